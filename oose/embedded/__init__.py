"""The embedded database: one SQLite file holds what a cluster keeps in CouchDB and Redis."""

from oose.embedded.accounts import EmbeddedAccounts
from oose.embedded.database import EmbeddedDatabase
from oose.embedded.documents import EmbeddedDocuments
from oose.embedded.elsewhere import EndedElsewhere
from oose.embedded.first_clones import EmbeddedFirstClones
from oose.embedded.inventory import EmbeddedInventory
from oose.embedded.purchases import EmbeddedPurchases
from oose.embedded.sessions import EmbeddedSessions

__all__ = [
    "EmbeddedAccounts",
    "EmbeddedDatabase",
    "EmbeddedDocuments",
    "EmbeddedFirstClones",
    "EmbeddedInventory",
    "EmbeddedPurchases",
    "EmbeddedSessions",
    "EndedElsewhere",
]
