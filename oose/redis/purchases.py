"""Purchases in Redis; see `oose.purchases`."""

from oose.purchases import Purchase
from oose.redis.connection import RedisConnection
from oose.redis.ended import purchase_ended
from oose.redis.fields import damaged, keep, key, number, read


class RedisPurchases:
    """Meets `Purchases`. What expired is kept for `afterlife` (ms), then Redis forgets it."""

    def __init__(self, connection: RedisConnection, prefix: str, afterlife: int) -> None:
        self._connection = connection
        self._prefix = prefix
        self._afterlife = afterlife

    async def add(self, purchase: Purchase) -> None:
        """See `Purchases.add`."""
        name = self._key(purchase.token)
        fields = {
            "hash": purchase.hash,
            "ext": purchase.ext,
            "referrer": ",".join(purchase.referrers),
            "life": str(purchase.life),
            "expirationDate": str(purchase.expires),
        }
        await keep(self._connection, name, fields, purchase.expires + self._afterlife)

    async def find(self, token: str) -> Purchase | None:
        """See `Purchases.find`."""
        [reply] = await self._connection.ask((b"HGETALL", self._key(token)), again=True)
        fields = read(self._connection, reply)
        if not fields:
            return None
        try:
            return Purchase(
                token,
                fields["hash"],
                fields["ext"],
                tuple(fields["referrer"].split(",")) if fields["referrer"] else (),
                int(fields["life"]),
                int(fields["expirationDate"]),
            )
        except (KeyError, ValueError):
            raise damaged() from None

    async def remove(self, token: str) -> bool:
        """See `Purchases.remove`."""
        removed, _ = await self._connection.write(
            (b"DEL", self._key(token)), purchase_ended(self._prefix, token)
        )
        return number(self._connection, removed) == 1

    async def prune(self, before: int) -> int:
        """See `Purchases.prune`: Redis does it by itself."""
        return 0

    def _key(self, token: str) -> bytes:
        return key(self._prefix, "purchase", token)
