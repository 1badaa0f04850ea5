"""Accounts of the embedded database as they are kept, with the hashes of their passwords.

For `oose export` and `oose import` only: nothing else reads a hash out.
"""

import sqlite3
from collections.abc import Collection, Sequence

from attrs import frozen

from oose.embedded.database import EmbeddedDatabase

INSERT = "INSERT OR IGNORE INTO accounts VALUES (?, ?, ?, ?)"
REPLACE = """
INSERT INTO accounts VALUES (?, ?, ?, ?)
ON CONFLICT (username) DO UPDATE SET password = excluded.password, enabled = excluded.enabled
WHERE (password, enabled) <> (excluded.password, excluded.enabled)
"""
END = "DELETE FROM sessions WHERE username = ?"


@frozen
class AccountRow:
    """One account; `password` is its hash, `created` in ms since 1970."""

    username: str
    password: str
    enabled: bool
    created: int


class AccountRows:
    """The table of accounts."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database

    async def page(self, after: str, limit: int) -> Sequence[AccountRow]:
        """Accounts by name, from behind `after`."""
        rows = await self._database.read(
            lambda c: c.execute(
                "SELECT username, password, enabled, created FROM accounts"
                " WHERE username > ? ORDER BY username LIMIT ?",
                (after, limit),
            ).fetchall()
        )
        return [AccountRow(name, hashed, bool(on), created) for name, hashed, on, created in rows]

    async def put(self, rows: Sequence[AccountRow], *, replace: bool) -> Collection[str]:
        """Add accounts, all or none; the names of those that changed something.

        One that there is stays as it is, or with `replace` gets this password and its sessions end.
        """

        def write(connection: sqlite3.Connection) -> Collection[str]:
            changed = []
            for row in rows:
                values = (row.username, row.password, row.enabled, row.created)
                if connection.execute(REPLACE if replace else INSERT, values).rowcount:
                    connection.execute(END, (row.username,))
                    changed.append(row.username)
            return changed

        return await self._database.write(write)
