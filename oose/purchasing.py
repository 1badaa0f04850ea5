"""Purchases: a token that opens one content for a time, to viewers from certain pages."""

from collections.abc import Mapping, Sequence

from oose.errors import NotFound
from oose.log import part
from oose.purchases import Endings, OneProcess, Purchase, Purchases, new_token
from oose.recall import Recall

MOST_LIFE = 10 * 365 * 24 * 3600 * 1000  # ms
AT_ONCE = 10_000  # purchases ended in one go
_log = part("purchase")


class PurchaseDesk:
    """Sells and checks; `cache_life` (ms) is how long a purchase is remembered.

    `endings` are those of everybody who shares `purchases`.
    """

    def __init__(
        self, purchases: Purchases, cache_life: int, *, endings: Endings | None = None
    ) -> None:
        self._purchases = purchases
        endings = endings or OneProcess()
        self._cache: Recall[Purchase] = Recall(endings, cache_life, cache_life)
        endings.on_purchase(self._cache.forget)

    async def sell(
        self, content_hash: str, ext: str, referrers: tuple[str, ...], life: int, now: int
    ) -> Purchase:
        """A new purchase, good for `life` (ms) from `now`."""
        purchase = Purchase(new_token(), content_hash, ext, referrers, life, now + life)
        await self._cache.make(purchase.token, purchase, now, lambda: self._purchases.add(purchase))
        _log.debug("{hash} sold for {s} s", hash=content_hash, s=life // 1000)
        return purchase

    async def valid(self, token: str, now: int) -> Purchase:
        """The purchase of a token; `NotFound` where there is none or it has expired."""
        return _good(await self._cache.get(token, now, lambda: self._purchases.find(token)), now)

    async def current(self, token: str, now: int) -> Purchase:
        """The same; `Unavailable` while the database is away, although it may be remembered."""
        found = await self._cache.current(token, now, lambda: self._purchases.find(token))
        return _good(found, now)

    def last_known(self, token: str, now: int) -> Purchase | None:
        """A remembered purchase, for when the database is away; `NotFound` if it has expired."""
        last = self._cache.last(token, now)
        return None if last is None else _good(last, now)

    async def remove(self, token: str) -> bool:
        """End a purchase at once; whether there was one."""
        try:
            return await self._purchases.remove(token)
        finally:
            self._cache.forget(token)

    async def end_of(self, *hashes: str) -> int:
        """End all purchases of this content at once; how many there were.

        One that is sold meanwhile may stay: first see to it that none is sold.
        """
        ended = 0
        while tokens := await self._purchases.of(*hashes, limit=AT_ONCE):
            removed = await self._remove_many(tokens)
            ended += removed
            if not removed:  # somebody else was as fast
                break
        _log.debug("{n} purchases of {hashes} ended", n=ended, hashes=" ".join(hashes))
        return ended

    async def _remove_many(self, tokens: Sequence[str]) -> int:
        try:
            return await self._purchases.remove_many(tokens)
        finally:
            for token in tokens:
                self._cache.forget(token)

    async def prune(self, before: int) -> int:
        """Forget what expired before a time (ms); how many."""
        return await self._purchases.prune(before)

    def cached(self) -> Mapping[str, int]:
        """How many remembered purchases stand for which content."""
        counts: dict[str, int] = {}
        for purchase in self._cache.values():
            counts[purchase.hash] = counts.get(purchase.hash, 0) + 1
        return counts

    def flush(self) -> int:
        """Forget what is remembered; how many."""
        return self._cache.flush()


def _good(purchase: Purchase | None, now: int) -> Purchase:
    if purchase is None or purchase.expires <= now:
        raise NotFound("This purchase does not exist or has expired")
    return purchase


def as_answer(purchase: Purchase) -> Mapping[str, str]:
    """A purchase as http-api.md has it: all values text, times in ms."""
    return {
        "hash": purchase.hash,
        "ext": purchase.ext,
        "token": purchase.token,
        "life": str(purchase.life),
        "expirationDate": str(purchase.expires),
        "referrer": ",".join(purchase.referrers),
    }
