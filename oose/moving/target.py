"""The databases that something is moved to: what is there already stays as it is."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

from oose.databases import Databases
from oose.metadata.documents import Document, Documents, Stale, Write
from oose.purchases import Purchase
from oose.together import together

SIDE_BY_SIDE = 250  # purchases

Bodies = Mapping[str, Mapping[str, Any]]


@frozen
class Target:
    """Takes new documents and purchases; with `pretend` it only says what it would take.

    None for `databases` that are not there yet, which is for pretending only.
    """

    databases: Databases | None
    pretend: bool

    async def put_new(
        self, name: Literal["peer", "inventory"], bodies: Bodies
    ) -> Mapping[str, Document | None]:
        """Write documents by their ids; those that were there already, None where one has gone."""
        if not bodies or self.databases is None:
            return {}
        documents: Documents = getattr(self.databases, name)
        if self.pretend:
            return {**await documents.get_many(list(bodies))}
        answers = await documents.put_many([Write(each, body) for each, body in bodies.items()])
        stale = [answer.id for answer in answers if isinstance(answer, Stale)]
        found = await documents.get_many(stale) if stale else {}
        return {each: found.get(each) for each in stale}

    async def sell(self, purchases: Sequence[Purchase]) -> int:
        """Add purchases; how many were not there yet."""
        if self.databases is None:
            return len(purchases)
        new = 0
        for start in range(0, len(purchases), SIDE_BY_SIDE):
            some = purchases[start : start + SIDE_BY_SIDE]
            new += sum(await together(self._sell(each) for each in some))
        return new

    async def _sell(self, purchase: Purchase) -> bool:
        assert self.databases is not None
        purchases = self.databases.purchases
        if await purchases.find(purchase.token) is not None:
            return False
        if not self.pretend:
            await purchases.add(purchase)
        return True
