"""Sessions in Redis; see `oose.purchases`."""

from oose.purchases import Session
from oose.redis.connection import RedisConnection
from oose.redis.ended import session_ended
from oose.redis.fields import damaged, keep, key, number, read


class RedisSessions:
    """Meets `Sessions`."""

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix

    async def add(self, session: Session) -> None:
        """See `Sessions.add`."""
        name = self._key(session.digest)
        fields = {
            "username": session.username,
            "ip": session.ip,
            "createdAt": str(session.created),
        }
        await keep(self._connection, name, fields, session.expires)

    async def find(self, digest: str, now: int) -> Session | None:
        """See `Sessions.find`."""
        name = self._key(digest)
        reply, expires = await self._connection.ask(
            (b"HGETALL", name), (b"PEXPIRETIME", name), again=True
        )
        fields = read(self._connection, reply)
        ends = number(self._connection, expires)
        if not fields or ends <= now:
            return None
        try:
            created = int(fields["createdAt"])
            return Session(digest, fields["username"], fields["ip"], created, ends)
        except (KeyError, ValueError):
            raise damaged() from None

    async def extend(self, digest: str, expires: int) -> None:
        """See `Sessions.extend`."""
        await self._connection.ask((b"PEXPIREAT", self._key(digest), b"%d" % expires), again=True)

    async def remove(self, digest: str) -> bool:
        """See `Sessions.remove`."""
        removed, _ = await self._connection.write(
            (b"DEL", self._key(digest)), session_ended(self._prefix, digest)
        )
        return number(self._connection, removed) == 1

    async def prune(self, now: int) -> int:
        """See `Sessions.prune`: Redis does it by itself."""
        return 0

    def _key(self, digest: str) -> bytes:
        return key(self._prefix, "session", digest)
