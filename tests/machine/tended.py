"""What works on much content, on stores over real connections."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from oose.clones import Clones
from oose.metadata.records import InventoryRecord
from oose.pace import Pace
from oose.repairing.fleet import Absences, Fleet
from oose.repairing.repair import Repair
from oose.settings.model import CloneSettings
from oose.tending.deed import Deed
from oose.tending.picking import Choice, Picked, Picking
from oose.tending.round import Round
from oose.trimming import RECENT
from tests.machine.elsewhere import Cluster, Elsewhere

OLD = -int(RECENT * 1000) - 60_000  # ms; the clock that claims are made by begins at 0


@frozen
class One:
    """One hash."""

    hash: str

    @property
    def total(self) -> int:
        return 1

    def hashes(self) -> Iterator[str]:
        return iter([self.hash])


@define(eq=False)
class Tended:
    """A cluster, and what an operator's command has of it."""

    made: Cluster
    settings: CloneSettings = field(factory=CloneSettings)
    clones: Clones = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clones = self.made.clones("oose clones")

    def fleet(self) -> Fleet:
        return Absences(self.made.keeping.registry, 3600).fleet(self.made.keeping.now())

    @property
    def repair(self) -> Repair:
        clock = self.made.keeping.clock
        return Repair(
            self.clones, self.fleet, self.settings, Pace(None, clock), self.made.keeping.now
        )

    def picking(self, block: int = 250) -> Picking:
        keeping = self.made.keeping
        return Picking(
            keeping.inventory, self.clones.contents, keeping.existence, keeping.clock, block
        )

    async def put(self, data: bytes, *names: str, verified: int | None = OLD) -> str:
        """Content with clones on stores, verified long ago; its hash."""
        keeping = self.made.keeping
        content_hash = ""
        for name in names:
            record = await keeping.put(self.made.stores[name].holdings, data, ext="txt")
            await self.write(evolve(record, verified=verified))
            content_hash = record.hash
        return content_hash

    async def write(self, record: InventoryRecord) -> None:
        """The record as it is from now on."""
        inventory = self.made.keeping.inventory
        document = await inventory.get(record.id)
        assert document is not None
        await inventory.put(record.id, record.to_body(), document.rev)

    async def picked(self, content_hash: str) -> Picked:
        [block] = [each async for each in self.picking().pick(Choice(), One(content_hash))]
        [found] = block.picked
        return found

    async def do(self, deed: Deed, pretend: bool = False) -> Round:
        """A round over all content."""
        this = Round(deed, 2, pretend)
        await this.run(self.picking().pick(Choice()))
        return this

    async def note(self, content_hash: str, **what: Any) -> None:
        await self.clones.contents.change(content_hash, lambda known: evolve(known, **what))

    async def where(self) -> Mapping[str, set[str]]:
        """The stores that have a whole file and a record of each content."""
        blocks = [each async for each in self.picking().pick(Choice())]
        found = {}
        for each in (picked for block in blocks for picked in block.picked):
            found[each.hash] = {record.store for record in each.records}
            for record in each.records:
                assert self.file(self.made.stores[record.store], record.hash) is not None
        files = [path.stem for store in self.made.stores.values() for path in store.files()]
        assert sorted(files) == sorted(key for key, names in found.items() for _ in names)
        return found

    def file(self, store: Elsewhere, content_hash: str) -> Any:
        """The file of a content on a store."""
        return next((path for path in store.files() if path.stem == content_hash), None)


def counts(this: Round) -> Mapping[str, int]:
    """What was done, without what was not."""
    return {key: count for key, count in this.tally.counts.items() if count}


def reasons(this: Round) -> Sequence[str]:
    """Why something failed."""
    return [why for _, why in this.tally.failures]
