"""CouchDB: what a cluster keeps its documents and its users in."""

from oose.couchdb.accounts import CouchAccounts
from oose.couchdb.client import AnswerLost, CouchClient
from oose.couchdb.documents import CouchDocuments
from oose.couchdb.inventory import CouchInventory
from oose.couchdb.setup import Prepared, ensure_databases, prepare

__all__ = [
    "AnswerLost",
    "CouchAccounts",
    "CouchClient",
    "CouchDocuments",
    "CouchInventory",
    "Prepared",
    "ensure_databases",
    "prepare",
]
