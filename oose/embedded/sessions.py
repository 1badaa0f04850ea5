"""Sessions in the embedded database; see `oose.purchases`."""

from oose.embedded.database import EmbeddedDatabase
from oose.purchases import Session


class EmbeddedSessions:
    """Meets `Sessions`."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database

    async def add(self, session: Session) -> None:
        """See `Sessions.add`."""
        row = (session.digest, session.username, session.ip, session.created, session.expires)
        await self._database.write(
            lambda c: c.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", row).rowcount
        )

    async def find(self, digest: str, now: int) -> Session | None:
        """See `Sessions.find`."""
        row = await self._database.read(
            lambda c: c.execute(
                "SELECT sessions.* FROM sessions JOIN accounts USING (username)"
                " WHERE digest = ? AND expires > ? AND enabled",
                (digest, now),
            ).fetchone()
        )
        return None if row is None else Session(*row)

    async def extend(self, digest: str, expires: int) -> None:
        """See `Sessions.extend`."""
        await self._database.write(
            lambda c: (
                c.execute(
                    "UPDATE sessions SET expires = ? WHERE digest = ?", (expires, digest)
                ).rowcount
            )
        )

    async def remove(self, digest: str) -> bool:
        """See `Sessions.remove`."""
        return await self._database.write(
            lambda c: c.execute("DELETE FROM sessions WHERE digest = ?", (digest,)).rowcount > 0
        )

    async def prune(self, now: int) -> int:
        """See `Sessions.prune`."""
        return await self._database.write(
            lambda c: c.execute("DELETE FROM sessions WHERE expires <= ?", (now,)).rowcount
        )
