"""What keeps documents, purchases, sessions and accounts, for the tests of their contracts.

An implementation is a class that meets one or more of the `Keeps...` here, and is added to the
fixtures of `conftest.py`; it then has to pass all tests of those interfaces.
"""

from pathlib import Path
from typing import Protocol

from oose.accounts import ManagedAccounts
from oose.couchdb import (
    CouchAccounts,
    CouchClient,
    CouchDocuments,
    CouchInventory,
    ensure_databases,
)
from oose.couchdb.index import DOCUMENT
from oose.embedded import (
    EmbeddedAccounts,
    EmbeddedDatabase,
    EmbeddedDocuments,
    EmbeddedInventory,
    EmbeddedPurchases,
    EmbeddedSessions,
)
from oose.embedded.database import FILE_NAME
from oose.metadata.documents import Database, Documents, Inventory
from oose.passwords import Passwords
from oose.pool import Inline
from oose.purchases import Purchases, Sessions
from oose.redis import RedisConnection, RedisPurchases, RedisSessions
from oose.settings.model import CouchSettings, RedisSettings
from oose.tls import client_policy
from tests.couchdb_double import ADMIN, ADMIN_PASSWORD, Cluster
from tests.pouchdb import Pouchdb
from tests.real import reactor
from tests.redis_server import connected


class Keeps(Protocol):
    """Keeps things longer than a process lives. Each call opens anew, as another process would."""

    async def close(self) -> None:
        """Let go of all that was opened."""
        ...


class KeepsDocuments(Keeps, Protocol):
    async def documents(self, name: Database) -> Documents: ...


class KeepsInventory(Keeps, Protocol):
    async def inventory(self) -> Inventory: ...


class KeepsPurchases(Keeps, Protocol):
    async def purchases(self) -> Purchases: ...


class KeepsSessions(Keeps, Protocol):
    async def sessions(self) -> Sessions: ...

    async def make_user(self, name: str) -> None:
        """Make a user who can have sessions, where sessions need one."""
        ...


class KeepsAccounts(Keeps, Protocol):
    async def accounts(self) -> ManagedAccounts: ...


class KeepsUsers(Keeps, Protocol):
    """Accounts and their users' sessions, where both are kept in one place."""

    async def accounts(self) -> ManagedAccounts: ...

    async def sessions(self) -> Sessions: ...


class Embedded:
    """One SQLite file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._opened: list[EmbeddedDatabase] = []

    async def _database(self) -> EmbeddedDatabase:
        here = Inline()
        database = EmbeddedDatabase(self._path, writer=here, readers=here, clock=reactor)
        await database.open()
        self._opened.append(database)
        return database

    async def documents(self, name: Database) -> Documents:
        return EmbeddedDocuments(await self._database(), name)

    async def inventory(self) -> Inventory:
        return EmbeddedInventory(await self._database())

    async def purchases(self) -> Purchases:
        return EmbeddedPurchases(await self._database())

    async def sessions(self) -> Sessions:
        return EmbeddedSessions(await self._database())

    async def accounts(self) -> ManagedAccounts:
        return EmbeddedAccounts(await self._database(), Passwords(Inline()))

    async def make_user(self, name: str) -> None:
        database = await self._database()
        await database.write(
            lambda c: c.execute("INSERT INTO accounts VALUES (?, '', 1, 0)", (name,)).rowcount
        )

    async def close(self) -> None:
        for database in self._opened:
            await database.close()


class Redis:
    """One server; what has expired stays there, however long ago that was."""

    AFTERLIFE = 2**52

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._opened: list[RedisConnection] = []

    async def _connection(self) -> RedisConnection:
        self._opened.append(await connected(self._settings))
        return self._opened[-1]

    async def purchases(self) -> Purchases:
        return RedisPurchases(await self._connection(), "oose", self.AFTERLIFE)

    async def sessions(self) -> Sessions:
        return RedisSessions(await self._connection(), "oose")

    async def make_user(self, name: str) -> None:
        """Sessions in Redis know no users."""

    async def close(self) -> None:
        for connection in self._opened:
            await connection.close()


class Couch:
    """Databases of its own, named after `database`, on a server that others use too."""

    def __init__(self, server: Pouchdb, database: str) -> None:
        self._settings = CouchSettings(
            server.url, server.username, server.password, database, timeout=30.0
        )
        self._opened: list[CouchClient] = []

    def _client(self) -> CouchClient:
        self._opened.append(CouchClient(reactor, client_policy(False, own=None), self._settings))
        return self._opened[-1]

    async def documents(self, name: Database) -> Documents:
        client = self._client()
        await ensure_databases(client)
        return CouchDocuments(client, name)

    async def inventory(self) -> Inventory:
        client = self._client()
        await ensure_databases(client)
        return CouchInventory(client, uses_index=True)

    async def accounts(self) -> ManagedAccounts:
        return CouchAccounts(self._client(), reactor, service="oose", floor=0.0)

    async def close(self) -> None:
        for client in self._opened:
            await client.close()


class Double(Couch):
    """What answers as CouchDB itself does, with queries and positions that are text."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        url = f"http://127.0.0.1:{cluster.port}"
        self._settings = CouchSettings(url, ADMIN, ADMIN_PASSWORD, database, timeout=30.0)
        self._opened = []


class Bare(Double):
    """The same with an account that may not make what an administrator did not."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        super().__init__(cluster, database)
        self._cluster = cluster

    async def inventory(self) -> Inventory:
        inventory = await super().inventory()
        self._cluster.stores[f"{self._settings.database}-inventory"].leaves.pop(DOCUMENT, None)
        return inventory


class Slow(Couch):
    """The server whose index is not asked."""

    async def inventory(self) -> Inventory:
        client = self._client()
        await ensure_databases(client)
        return CouchInventory(client)
