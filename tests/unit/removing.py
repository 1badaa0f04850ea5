"""Stores with clones of content that is removed, some of them away."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, evolve, field

from oose.contents import Content, Contents
from oose.embedded import EmbeddedDocuments
from oose.errors import Unavailable
from oose.holdings import Holdings
from oose.keepers import Keeper, LocalKeepers
from oose.metadata.records import InventoryRecord
from oose.purchases import Purchase
from oose.purchasing import PurchaseDesk
from oose.removal import Removal
from oose.tombstones import Tombstones
from tests.unit.keeping import Keeping
from tests.unit.kept import MemoryPurchases

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()


class SomeAway(LocalKeepers):
    """Those of this process, but for those that are `away`."""

    def __init__(self, stores: Mapping[str, Holdings], away: set[str]) -> None:
        super().__init__(stores)
        self._away = away

    def get(self, place: str) -> Keeper | None:
        return None if place in self._away else super().get(place)


@define(eq=False)
class Removing:
    """Stores of one prism, its purchases, and who removes."""

    keeping: Keeping
    stores: dict[str, Holdings]
    documents: EmbeddedDocuments
    contents: Contents
    purchases: MemoryPurchases = field(factory=MemoryPurchases)
    away: set[str] = field(factory=set)

    @classmethod
    async def begin(cls, folder: Path, *names: str) -> "Removing":
        keeping = await Keeping.begin(folder)
        stores = {f"p1:{name}": await keeping.start(name) for name in names}
        documents = EmbeddedDocuments(keeping.database, "content")
        return cls(keeping, stores, documents, Contents(documents))

    @property
    def removal(self) -> Removal:
        return Removal(
            self.contents,
            self.keeping.inventory,
            self.keeping.existence,
            SomeAway(self.stores, self.away),
            PurchaseDesk(self.purchases, 0),
            self.keeping.now,
        )

    def tombstones(self, name: str = "s1") -> Tombstones:
        holdings = self.stores[f"p1:{name}"]
        return Tombstones(holdings, self.contents, self.keeping.inventory, self.keeping.now)

    async def put(
        self, name: str = "s1", data: bytes = DATA, *, created: int | None = None
    ) -> InventoryRecord:
        """A clone, recorded as it is now or as made then."""
        record = await self.keeping.put(self.stores[f"p1:{name}"], data)
        when = self.keeping.now() if created is None else created
        return await self.write(evolve(record, created=when))

    async def write(self, record: InventoryRecord) -> InventoryRecord:
        document = await self.keeping.inventory.get(record.id)
        rev = document.rev if document is not None else None
        await self.keeping.inventory.put(record.id, record.to_body(), rev)
        return record

    async def sell(self, token: str, content_hash: str = HASH) -> None:
        await self.purchases.add(Purchase(token, content_hash, "mp4", ("*",), 1000, 2**50))

    async def protect(self, content_hash: str = HASH) -> None:
        await self.contents.change(content_hash, lambda known: evolve(known, protected=True))

    async def records(self, content_hash: str = HASH) -> Sequence[str]:
        found = await self.keeping.existence.records(content_hash, fresh=True)
        return [each.store for each in found]

    async def note(self, content_hash: str = HASH) -> Content:
        return await self.contents.get(content_hash)

    def files(self, content_hash: str = HASH) -> list[str]:
        """The stores that have a file of it."""
        return [
            holdings.store
            for holdings in self.stores.values()
            if holdings.volume.disk.find(content_hash) is not None
        ]

    def aside(self) -> list[str]:
        """The stores that have something in quarantine."""
        return [
            holdings.store
            for holdings in self.stores.values()
            if list(holdings.volume.disk.quarantine.iterdir())
        ]


async def away(*args: object, **more: object) -> None:
    raise Unavailable("The database is away", retry_after=5)
