"""Talking to other prisms and stores: the one place that asks them something over HTTP."""

from oose.peers.body import READ, FileBody
from oose.peers.client import PeerClient

__all__ = ["READ", "FileBody", "PeerClient"]
