"""User accounts in the embedded database; see `oose.accounts`."""

import sqlite3
from collections.abc import Sequence

from oose.accounts import Account
from oose.address import shown
from oose.embedded.database import EmbeddedDatabase
from oose.errors import Conflict, NotFound
from oose.passwords import Passwords
from oose.usernames import check_password, check_username, is_username


class EmbeddedAccounts:
    """Meets `ManagedAccounts`."""

    def __init__(self, database: EmbeddedDatabase, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def verify(self, username: str, password: str) -> bool:
        """See `Accounts.verify`."""
        row = None
        if is_username(username):
            row = await self._database.read(
                lambda c: c.execute(
                    "SELECT password FROM accounts WHERE username = ? AND enabled", (username,)
                ).fetchone()
            )
        return await self._passwords.verify(row[0] if row is not None else None, password)

    async def add(self, username: str, password: str, now: int) -> None:
        """See `ManagedAccounts.add`."""
        check_username(username)
        check_password(password)
        hashed = await self._passwords.hash(password)

        def insert(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(
                    "INSERT INTO accounts VALUES (?, ?, 1, ?)", (username, hashed, now)
                )
            except sqlite3.IntegrityError:
                raise Conflict(f"There is a user {username!r} already") from None

        await self._database.write(insert)

    async def list(self) -> Sequence[Account]:
        """See `ManagedAccounts.list`."""
        rows = await self._database.read(
            lambda c: c.execute(
                "SELECT username, enabled, created FROM accounts ORDER BY username"
            ).fetchall()
        )
        return [Account(name, bool(enabled), created) for name, enabled, created in rows]

    async def set_password(self, username: str, password: str) -> None:
        """See `ManagedAccounts.set_password`."""
        check_password(password)
        hashed = await self._passwords.hash(password)
        await self._change(username, "UPDATE accounts SET password = ? WHERE username = ?", hashed)

    async def set_enabled(self, username: str, *, enabled: bool) -> None:
        """See `ManagedAccounts.set_enabled`."""
        await self._change(username, "UPDATE accounts SET enabled = ? WHERE username = ?", enabled)

    async def remove(self, username: str) -> None:
        """See `ManagedAccounts.remove`."""
        await self._change(username, "DELETE FROM accounts WHERE username = ?")

    async def _change(self, username: str, statement: str, *values: str | bool) -> None:
        """Change one account and end its sessions."""

        def change(connection: sqlite3.Connection) -> bool:
            changed = connection.execute(statement, (*values, username)).rowcount > 0
            connection.execute("DELETE FROM sessions WHERE username = ?", (username,))
            return changed

        if not (is_username(username) and await self._database.write(change)):
            raise NotFound(f"There is no user {shown(username)}")
