"""Purchases in the embedded database; see `oose.purchases`."""

import json
from collections.abc import AsyncIterator, Sequence

from oose.embedded.database import EmbeddedDatabase
from oose.purchases import Purchase, Tidied

AT_ONCE = 1000  # purchases in one read, so that others wait for no more
GONE_AT_ONCE = 200  # purchases removed in one transaction: it takes far longer

# A page is one row: see `oose.embedded.inventory`.
PAGE = """
SELECT json_group_array(json_array(token, hash, ext, json(referrers), life, expires))
FROM (SELECT * FROM purchases WHERE token > ? ORDER BY token LIMIT ?)
"""
OF = """
SELECT json_group_array(token) FROM (
    SELECT token FROM purchases WHERE hash IN (SELECT value FROM json_each(?)) LIMIT ?
)
"""
REMOVE = "DELETE FROM purchases WHERE token IN (SELECT value FROM json_each(?))"
PRUNE = """
DELETE FROM purchases
WHERE token IN (SELECT token FROM purchases WHERE expires < ? ORDER BY expires LIMIT ?)
"""
COUNT = "SELECT count(*) FROM purchases WHERE expires < ?"


class EmbeddedPurchases:
    """Meets `Purchases`."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database

    async def add(self, purchase: Purchase) -> None:
        """See `Purchases.add`."""
        row = (
            purchase.token,
            purchase.hash,
            purchase.ext,
            json.dumps(purchase.referrers),
            purchase.life,
            purchase.expires,
        )
        await self._change("INSERT OR REPLACE INTO purchases VALUES (?, ?, ?, ?, ?, ?)", *row)

    async def find(self, token: str) -> Purchase | None:
        """See `Purchases.find`."""
        row = await self._database.read(
            lambda c: c.execute("SELECT * FROM purchases WHERE token = ?", (token,)).fetchone()
        )
        if row is None:
            return None
        return Purchase(row[0], row[1], row[2], tuple(json.loads(row[3])), row[4], row[5])

    async def remove(self, token: str) -> bool:
        """See `Purchases.remove`."""
        return await self._change("DELETE FROM purchases WHERE token = ?", token) > 0

    async def remove_many(self, tokens: Sequence[str]) -> int:
        """See `Purchases.remove_many`."""
        removed = 0
        for start in range(0, len(tokens), GONE_AT_ONCE):
            removed += await self._change(REMOVE, json.dumps(tokens[start : start + GONE_AT_ONCE]))
        return removed

    async def prune(self, before: int) -> int:
        """See `Purchases.prune`."""
        pruned = 0
        while (some := await self._change(PRUNE, before, GONE_AT_ONCE)) == GONE_AT_ONCE:
            pruned += some
        return pruned + some

    async def tidy(self, before: int, *, pretend: bool = False) -> Tidied:
        """See `Purchases.tidy`: nothing can be broken here."""
        if not pretend:
            return Tidied(expired=await self.prune(before))
        (count,) = await self._database.read(lambda c: c.execute(COUNT, (before,)).fetchone())
        return Tidied(expired=count)

    async def each(self) -> AsyncIterator[Sequence[Purchase]]:
        """See `Purchases.each`."""
        last = ""
        while page := await self._page(last):
            yield page
            if len(page) < AT_ONCE:
                return
            last = page[-1].token

    async def of(self, *hashes: str, limit: int | None = None) -> Sequence[str]:
        """See `Purchases.of`."""
        values = (json.dumps(hashes), -1 if limit is None else limit)
        (text,) = await self._database.read(lambda c: c.execute(OF, values).fetchone())
        tokens: list[str] = json.loads(text)
        return tokens

    async def _page(self, last: str) -> Sequence[Purchase]:
        (text,) = await self._database.read(lambda c: c.execute(PAGE, (last, AT_ONCE)).fetchone())
        return [
            Purchase(token, content_hash, ext, tuple(referrers), life, expires)
            for token, content_hash, ext, referrers, life, expires in json.loads(text)
        ]

    async def _change(self, statement: str, *values: str | int) -> int:
        """How many rows it changed."""
        return await self._database.write(lambda c: c.execute(statement, values).rowcount)
