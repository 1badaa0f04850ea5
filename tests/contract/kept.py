"""What keeps documents, purchases, sessions and accounts, for the tests of their contracts.

An implementation is a class that meets one or more of the `Keeps...` here, and is added to the
fixtures of `conftest.py`; it then has to pass all tests of those interfaces.
"""

from pathlib import Path
from typing import Protocol

from oose.accounts import ManagedAccounts
from oose.embedded import (
    EmbeddedAccounts,
    EmbeddedDatabase,
    EmbeddedDocuments,
    EmbeddedPurchases,
    EmbeddedSessions,
)
from oose.embedded.database import FILE_NAME
from oose.metadata.documents import Database, Documents
from oose.passwords import Passwords
from oose.pool import Inline
from oose.purchases import Purchases, Sessions


class Keeps(Protocol):
    """Keeps things longer than a process lives. Each call opens anew, as another process would."""

    async def close(self) -> None:
        """Let go of all that was opened."""
        ...


class KeepsDocuments(Keeps, Protocol):
    async def documents(self, name: Database) -> Documents: ...


class KeepsPurchases(Keeps, Protocol):
    async def purchases(self) -> Purchases: ...


class KeepsSessions(Keeps, Protocol):
    async def sessions(self) -> Sessions: ...

    async def make_user(self, name: str) -> None:
        """Make a user who can have sessions, where sessions need one."""
        ...


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
        database = EmbeddedDatabase(self._path, writer=here, readers=here)
        await database.open()
        self._opened.append(database)
        return database

    async def documents(self, name: Database) -> Documents:
        return EmbeddedDocuments(await self._database(), name)

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
