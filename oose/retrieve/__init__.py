"""Importing content from web servers: what may be asked, of whom, and how the bytes come in.

`oose.retrieve.source` checks what a client asks for, `oose.retrieve.public_address` judges
addresses, `oose.retrieve.line` connects to exactly the addresses that were judged, and
`oose.retrieve.retriever` puts them together.
"""

from oose.retrieve.retriever import Head, Limits, Receiver, Retriever
from oose.retrieve.source import Source, extension_from, parse_source

__all__ = ["Head", "Limits", "Receiver", "Retriever", "Source", "extension_from", "parse_source"]
