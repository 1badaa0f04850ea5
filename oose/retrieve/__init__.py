"""Importing content from web servers: what may be asked, of whom, and how the bytes come in.

`source` checks what a client asks for, `public_address` judges addresses, `retriever` asks and
follows redirects, `body` lets a receiver hold back a fast server.
"""

from oose.retrieve.retriever import Head, Limits, Receiver, Retriever
from oose.retrieve.source import Source, extension_from, parse_source

__all__ = ["Head", "Limits", "Receiver", "Retriever", "Source", "extension_from", "parse_source"]
