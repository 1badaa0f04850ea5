"""A store on real folders with a real database, for tests of what is above them."""

import hashlib
import os
from pathlib import Path

from attrs import define, evolve
from twisted.internet.task import Clock

from oose.address import relative_path
from oose.disk import Disk
from oose.embedded import EmbeddedDatabase, EmbeddedDocuments, EmbeddedInventory
from oose.existence import Existence
from oose.holdings import Holdings
from oose.metadata.records import InventoryRecord
from oose.pool import Inline, Pool
from oose.registry import Peer, Registry
from oose.volume import Volume

NOW = 1_700_000_000_000


@define
class Keeping:
    """One machine's database, and stores of the prism `p1` below `folder`, made as they start."""

    folder: Path
    clock: Clock
    database: EmbeddedDatabase
    inventory: EmbeddedInventory
    registry: Registry
    existence: Existence

    @classmethod
    async def begin(cls, folder: Path) -> "Keeping":
        clock = Clock()
        database = EmbeddedDatabase(folder / "x.sqlite", writer=Inline(), readers=Inline())
        await database.open()
        inventory = EmbeddedInventory(database)
        registry = Registry(EmbeddedDocuments(database, "peer"))
        existence = Existence(inventory, registry, clock, 30.0)
        return cls(folder, clock, database, inventory, registry, existence)

    def holdings(self, name: str = "s1", pool: Pool | None = None) -> Holdings:
        """A store as a process has it before its start."""
        volume = Volume(Disk(self.folder / name, name, 0), pool or Inline())
        return Holdings(
            f"p1:{name}", volume, self.inventory, self.existence, self.registry, self.now
        )

    def now(self) -> int:
        return NOW + int(self.clock.seconds() * 1000)

    async def others_write(self, statement: str, *values: str) -> None:
        """What somebody else does to the database behind this process's back."""
        await self.database.write(lambda c: c.execute(statement, values).rowcount)

    async def start(self, name: str = "s1", pool: Pool | None = None) -> Holdings:
        """A store as it is after the start of its process."""
        holdings = self.holdings(name, pool)
        await holdings.enroll()
        clearance = holdings.burial.clearance
        clearance.give(clearance.stamp)
        await self.registry.register(peer_of(holdings))
        return holdings

    async def put(
        self, holdings: Holdings, data: bytes, *, place: str | None = None, ext: str = "mp4"
    ) -> InventoryRecord:
        """Content as an upload leaves it, or where version 2.x left it."""
        content_hash = hashlib.sha1(data).hexdigest()
        record = InventoryRecord(
            hash=content_hash,
            prism=holdings.prism,
            store=holdings.store,
            mime_type="video/mp4",
            mime_extension=ext,
            relative_path=place or relative_path(content_hash, ext),
            size=len(data),
            created=NOW,
        )
        path = holdings.volume.disk.content / record.relative_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(NOW * 1_000_000,) * 2)
        await self.inventory.put(record.id, record.to_body())
        return record


def peer_of(holdings: Holdings) -> Peer:
    """What a store registers itself as at its start."""
    volume = holdings.volume
    return evolve(
        Peer(
            kind="store",
            name=holdings.store,
            prism=holdings.prism,
            host="192.0.2.1",
            port=5972,
            url="https://s1.example:5972",
            group="main",
            machine="machine1",
            version="3.0.0",
            created=NOW,
        ),
        available=volume.usable,
        capacity=volume.space.capacity,
        free=volume.space.free,
        identity=volume.identity,
    )
