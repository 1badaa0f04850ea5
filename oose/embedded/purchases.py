"""Purchases in the embedded database; see `oose.purchases`."""

import json

from oose.embedded.database import EmbeddedDatabase
from oose.purchases import Purchase


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
        await self._database.write(
            lambda c: c.execute("INSERT INTO purchases VALUES (?, ?, ?, ?, ?, ?)", row).rowcount
        )

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
        return await self._database.write(
            lambda c: c.execute("DELETE FROM purchases WHERE token = ?", (token,)).rowcount > 0
        )

    async def prune(self, before: int) -> int:
        """See `Purchases.prune`."""
        return await self._database.write(
            lambda c: c.execute("DELETE FROM purchases WHERE expires < ?", (before,)).rowcount
        )
