"""Clones read and hashed again."""

from collections.abc import Sequence

from attrs import frozen

from oose.errors import OoseError
from oose.keepers import Keepers
from oose.metadata.records import InventoryRecord
from oose.tending.deed import Outcome
from oose.tending.picking import Choice, Picked
from oose.together import together


@frozen
class Reading:
    """Verifies the clones that count now, and are on the stores of the `choice`, if it names any.

    A corrupt one is put into quarantine by its store.
    """

    keepers: Keepers
    choice: Choice

    async def begin(self, block: Sequence[Picked]) -> Sequence[Picked]:
        """See `Deed.begin`."""
        return block

    def foresee(self, picked: Picked) -> Outcome:
        """See `Deed.foresee`."""
        return Outcome(verified=len(self._meant(picked)))

    async def do(self, picked: Picked) -> Outcome:
        """See `Deed.do`."""
        meant = self._meant(picked)
        if not meant:
            return Outcome(why="no clone of it can be read now")
        found = await together(self._verify(each) for each in meant)
        wrong = [f"{r.place}: {why}" for r, why in zip(meant, found, strict=True) if why]
        return Outcome(verified=found.count(None), why="; ".join(wrong) or None)

    def _meant(self, picked: Picked) -> Sequence[InventoryRecord]:
        return [each for each in picked.counting if self.choice.is_at(each.place)]

    async def _verify(self, record: InventoryRecord) -> str | None:
        """What is wrong with it."""
        keeper = self.keepers.get(record.place)
        if keeper is None:
            return "the store is not available any more"
        try:
            status = await keeper.verify(record.hash)
        except OoseError as error:
            return error.message
        return None if status == "ok" else status
