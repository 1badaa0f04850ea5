"""Emptying a store: all clones off it, round after round until nothing comes any more."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.metadata.records import record_id
from oose.moving.patience import insist
from oose.moving.tally import Tally
from oose.settings.model import CloneSettings
from oose.tending.picking import Block, Choice, Picked, Picking
from oose.tending.round import Round, carried_on
from oose.wishes import usual


@define
class Left:
    """What a store has still, in contents: of these `alone` have no other clone that counts, and
    `few` have fewer others than they should have.
    """

    contents: int = 0
    protected: int = 0
    few: int = 0
    alone: int = 0

    @property
    def is_safe(self) -> bool:
        """Whether its disk can go: what is left there is protected, and is elsewhere too."""
        return self.contents == self.protected and not self.few


@define(eq=False)
class Draining:
    """Empties the store `place`. `new_round` makes one round.

    It goes on until nothing new can have come: by `noticed_at` (s) all know that the store takes
    nothing any more. `waits` is told how many seconds it waits for that, if it has to.
    """

    place: str
    picking: Picking
    new_round: Callable[[], Round]
    noticed_at: float
    clock: IReactorTime
    waits: Callable[[float], None]
    tally: Tally = field(factory=Tally, init=False)
    is_stopping: bool = field(default=False, init=False)
    _round: Round | None = field(default=None, init=False)
    _pause: Deferred[None] | None = field(default=None, init=False)

    async def run(self) -> None:
        """All of it. `tally` has what was done, and what failed in the last round."""
        while not self.is_stopping:
            began = self.clock.seconds()
            this = self._round = self.new_round()
            try:
                await this.run(self._blocks())
            finally:
                self.tally = carried_on(self.tally, this.tally)
            has_changed = bool(this.tally.counts["made"] or this.tally.counts["removed"])
            if this.pretend or not (has_changed or began < self.noticed_at):
                return
            if not has_changed:
                await self._wait()

    def stop(self) -> None:
        """Begin with no other content."""
        self.is_stopping = True
        if self._round is not None:
            self._round.stop()
        if self._pause is not None:
            self._pause.cancel()

    async def left(self, settings: CloneSettings) -> Left:
        """What is on it now; records are read by themselves, as ranges may lag behind."""
        left = Left()
        async with aclosing(self._blocks()) as blocks:
            async for block in blocks:
                for each in await self._still_there(block.picked):
                    others = sum(record.place != self.place for record in each.counting)
                    left.contents += 1
                    left.protected += each.content.protected
                    left.few += others < usual(each.content, settings)
                    left.alone += not others
        return left

    async def _still_there(self, picked: Sequence[Picked]) -> Sequence[Picked]:
        ids = {each.hash: record_id(each.hash, *self.place.split(":", 1)) for each in picked}
        found = await insist(
            lambda: self.picking.inventory.get_many(list(ids.values())), self.clock
        )
        return [each for each in picked if ids[each.hash] in found]

    async def _wait(self) -> None:
        """Until all know of it."""
        pause = self.noticed_at - self.clock.seconds()
        if pause <= 0:
            return
        self.waits(pause)
        self._pause = deferLater(self.clock, pause)
        try:
            await self._pause
        except CancelledError:
            if not self.is_stopping:
                raise
        finally:
            self._pause = None

    def _blocks(self) -> AsyncGenerator[Block, None]:
        return self.picking.pick(Choice(stores=frozenset([self.place])))
