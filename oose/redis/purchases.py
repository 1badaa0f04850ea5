"""Purchases in Redis; see `oose.purchases`."""

from collections.abc import AsyncIterator, Sequence

from oose.purchases import Purchase, Tidied
from oose.redis.connection import RedisConnection
from oose.redis.ended import purchase_ended
from oose.redis.fields import Damaged, damaged, keep, key, number, read
from oose.redis.line import Command, Reply
from oose.redis.scanning import AT_ONCE, keys

NEVER = -1  # what PTTL answers of a key that stays


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
        name = self._key(token)
        [reply] = await self._connection.ask((b"HGETALL", name), again=True)
        return self._purchase(name, reply)

    async def remove(self, token: str) -> bool:
        """See `Purchases.remove`."""
        return await self.remove_many([token]) == 1

    async def remove_many(self, tokens: Sequence[str]) -> int:
        """See `Purchases.remove_many`."""
        removed = 0
        for start in range(0, len(tokens), AT_ONCE):
            commands: list[Command] = []
            for token in tokens[start : start + AT_ONCE]:
                commands += (b"DEL", self._key(token)), purchase_ended(self._prefix, token)
            replies = await self._connection.write(*commands)
            removed += sum(number(self._connection, each) for each in replies[::2])
        return removed

    async def prune(self, before: int) -> int:
        """See `Purchases.prune`: Redis does it by itself."""
        return 0

    async def tidy(self, before: int, *, pretend: bool = False) -> Tidied:
        """See `Purchases.tidy`: Redis keeps what somebody wrote there otherwise than we do."""
        done = Tidied()
        async for names in keys(self._connection, self._prefix, "purchase"):
            done += await self._tidy(names, before, pretend=pretend)
        return done

    async def each(self) -> AsyncIterator[Sequence[Purchase]]:
        """See `Purchases.each`; what is no purchase is left out."""
        async for names in keys(self._connection, self._prefix, "purchase", of_type="hash"):
            if found := [each for each in await self._read(names) if isinstance(each, Purchase)]:
                yield found

    async def of(self, *hashes: str, limit: int | None = None) -> Sequence[str]:
        """See `Purchases.of`: Redis has them by their tokens only, so all are looked at."""
        wanted = {each.encode() for each in hashes}
        found: dict[str, None] = {}
        async for names in keys(self._connection, self._prefix, "purchase", of_type="hash"):
            asked: list[Command] = [(b"HGET", name, b"hash") for name in names]
            replies = await self._connection.ask(*asked, again=True)
            own = [name for name, each in zip(names, replies, strict=True) if each in wanted]
            found.update((token, None) for token in map(self._token, own) if token is not None)
            if limit is not None and len(found) >= limit:
                break
        return list(found)[:limit]

    async def _tidy(self, names: Sequence[bytes], before: int, *, pretend: bool) -> Tidied:
        asked: list[Command] = []
        for name in names:
            asked += (b"TYPE", name), (b"PTTL", name)
        replies = await self._connection.ask(*asked, again=True)
        about = dict(zip(names, zip(replies[::2], replies[1::2], strict=True), strict=True))
        hashes = [name for name, (kind, _) in about.items() if kind == "hash"]
        found = dict(zip(hashes, await self._read(hashes), strict=True))
        broken, expired, unending = [], [], []
        for name, (kind, left) in about.items():
            purchase = found.get(name, Damaged("This is no hash"))
            if purchase is None or kind == "none":
                continue  # Redis has forgotten it just now
            if isinstance(purchase, Damaged):
                broken.append((b"DEL", name))
            elif purchase.expires < before:
                expired.append((b"DEL", name))
            elif left == NEVER:
                until = purchase.expires + self._afterlife
                unending.append((b"PEXPIREAT", name, b"%d" % until))
        orders: list[Command] = [*broken, *expired, *unending]
        if orders and not pretend:
            await self._connection.write(*orders, again=True)
        return Tidied(len(expired), len(broken), len(unending))

    async def _read(self, names: Sequence[bytes]) -> Sequence[Purchase | Damaged | None]:
        """What is under each of these keys, which are of hashes."""
        if not names:
            return []
        asked: list[Command] = [(b"HGETALL", name) for name in names]
        replies = await self._connection.ask(*asked, again=True)
        return [self._judged(*each) for each in zip(names, replies, strict=True)]

    def _judged(self, name: bytes, reply: Reply) -> Purchase | Damaged | None:
        try:
            return self._purchase(name, reply)
        except Damaged as error:
            return error

    def _purchase(self, name: bytes, reply: Reply) -> Purchase | None:
        """A purchase as HGETALL tells it; None where there is none."""
        fields = read(self._connection, reply)
        if not fields:
            return None
        token = self._token(name)
        if token is None:
            raise damaged()
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

    def _token(self, name: bytes) -> str | None:
        """The token that a key is of; None for a key that none of ours is like."""
        try:
            return name.removeprefix(self._key("")).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return None

    def _key(self, token: str) -> bytes:
        return key(self._prefix, "purchase", token)
