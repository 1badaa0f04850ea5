"""Clones brought onto a store, and taken off one."""

from collections.abc import Sequence

from attrs import evolve, frozen

from oose.clones import Clones
from oose.contents import Content
from oose.errors import NotFound, OoseError, Unavailable
from oose.metadata.records import InventoryRecord
from oose.repairing.repair import Repair
from oose.tending.deed import NOTHING, Outcome
from oose.tending.picking import Picked
from oose.together import together
from oose.tombstones import is_buried
from oose.wishes import desired, usual

STAYS = "its clone stays: not enough of the others could be verified, or somebody else works on it"


@frozen
class Onto:
    """One more clone on the store `place`, where there is none.

    That it stays is noted as a wish: what is more than usual would be removed again.
    """

    clones: Clones
    repair: Repair
    place: str

    async def begin(self, block: Sequence[Picked]) -> Sequence[Picked]:
        """See `Deed.begin`."""
        keeper = self.clones.keepers.get(self.place)
        if keeper is None or keeper.candidate() is None:
            raise Unavailable(f"The store {self.place} takes nothing now")
        return block

    def foresee(self, picked: Picked) -> Outcome:
        """See `Deed.foresee`."""
        if picked.on(self.place) is not None:
            return NOTHING
        return Outcome(made=1, bytes=picked.size, onto=self.place)

    async def do(self, picked: Picked) -> Outcome:
        """See `Deed.do`."""
        content = await self.clones.contents.get(picked.hash)
        known = await self.clones.look(picked.hash, picked.ids)
        records = [each for each in known if not is_buried(content, each.created)]
        if any(each.place == self.place for each in records):
            return NOTHING
        fleet = self.repair.fleet()
        count = sum(fleet.standing(each.place) != "gone" for each in records) + 1
        if count > usual(content, self.repair.settings):
            await self._wish(content, count)
        try:
            added = await self.clones.add(picked.hash, records, 1, to=self.place)
        except OoseError:
            await self._unwish(content, count)
            raise
        return Outcome(made=len(added), bytes=picked.size * len(added), onto=self.place)

    async def _wish(self, content: Content, count: int) -> None:
        await self.clones.contents.change(content.hash, lambda now: evolve(now, wanted=count))

    async def _unwish(self, content: Content, count: int) -> None:
        """As it was before, unless somebody else has wished since."""

        def back(now: Content) -> Content:
            return evolve(now, wanted=content.wanted) if now.wanted == count else now

        await self.clones.contents.change(content.hash, back)


@frozen
class Off:
    """Moves clones off the store `place`; what is protected is only made up for elsewhere.

    Others are as many as content should have, and verified: after `since` (ms), where nothing is
    removed.
    """

    clones: Clones
    repair: Repair
    place: str
    since: int

    async def begin(self, block: Sequence[Picked]) -> Sequence[Picked]:
        """See `Deed.begin`."""
        if self.clones.keepers.get(self.place) is None:
            raise Unavailable(f"The store {self.place} is not available")
        return block

    def foresee(self, picked: Picked) -> Outcome:
        """See `Deed.foresee`."""
        if picked.on(self.place) is None:
            return NOTHING
        others = self._others(picked.counting)
        missing = max(0, self._wanted(picked, others) - len(others))
        made = min(missing, self._targets(picked, others))
        is_protected = picked.content.protected
        removed = int(made == missing and not is_protected)
        return Outcome(
            made,
            removed,
            bytes=picked.size * made,
            off=self.place if removed else None,
            note="protected" if is_protected else None,
            why=None if made == missing else "no other store can take a clone",
        )

    async def do(self, picked: Picked) -> Outcome:
        """See `Deed.do`."""
        if picked.on(self.place) is None:
            return NOTHING
        others = self._others(picked.counting)
        wanted = self._wanted(picked, others)
        went = await move(self.clones, picked, self.place, wanted=wanted)
        made = went.made
        outcome = Outcome(made, went.removed, bytes=picked.size * made, off=self.place)
        if went.is_off:
            return outcome
        if not (await self.clones.contents.get(picked.hash)).protected:
            count = len(others) + made
            few = f"only {count} of {wanted} clones are elsewhere: no other store can take one"
            return evolve(outcome, why=few if count < wanted else STAYS)
        verified = await self._verify(picked.hash, went.ids)
        if verified < wanted:
            why = f"protected, and only {verified} of {wanted} other clones could be verified"
            return evolve(outcome, why=why)
        return evolve(outcome, note="protected")

    def _others(self, records: Sequence[InventoryRecord]) -> Sequence[InventoryRecord]:
        return [each for each in records if each.place != self.place]

    def _targets(self, picked: Picked, others: Sequence[InventoryRecord]) -> int:
        """How many more could be made elsewhere."""
        fleet = self.repair.fleet()
        rooms = {place: room for place, room in fleet.rooms.items() if place != self.place}
        return evolve(fleet, rooms=rooms).targets([each.place for each in others], picked.size)

    def _wanted(self, picked: Picked, others: Sequence[InventoryRecord]) -> int:
        """How many others there are to be: what viewers demand only as far as there is a store."""
        repair = self.repair
        wanted = desired(picked.content, repair.settings, repair.now())
        could = len(others) + self._targets(picked, others)
        return max(usual(picked.content, repair.settings), min(wanted, could))

    async def _verify(self, content_hash: str, known_ids: Sequence[str]) -> int:
        """How many others are good, read again since."""
        records = await self.clones.look(content_hash, known_ids)
        others = self._others(self.clones.existence.counting(records))
        return sum(await together(self._is_good(each) for each in others))

    async def _is_good(self, record: InventoryRecord) -> bool:
        if record.verified is not None and record.verified >= self.since:
            return True
        keeper = self.clones.keepers.get(record.place)
        try:
            return keeper is not None and await keeper.verify(record.hash) == "ok"
        except OoseError:
            return False


@frozen
class Went:
    """What came of a move: clones made and removed, and whether none is where it was any more.

    Others may have removed it. `ids` are the records that are known.
    """

    made: int
    removed: int
    is_off: bool
    ids: Sequence[str]


async def move(
    clones: Clones, picked: Picked, source: str, target: str | None = None, **wanted: int
) -> Went:
    """See `Clones.move`; it is no error where the clone went meanwhile."""
    ids = picked.ids
    try:
        moved = await clones.move(picked.hash, source, target, known_ids=ids, **wanted)
    except NotFound:
        if await _is_on(clones, picked.hash, source, ids):
            raise
        return Went(0, 0, is_off=True, ids=ids)
    ids = [*ids, *(each.id for each in moved.added)]
    is_off = bool(moved.removed) or not await _is_on(clones, picked.hash, source, ids)
    return Went(len(moved.added), len(moved.removed), is_off, ids)


async def _is_on(clones: Clones, content_hash: str, place: str, ids: Sequence[str]) -> bool:
    return any(each.place == place for each in await clones.look(content_hash, ids))
