"""Making stores equally full: clones moved from fuller to emptier ones, as `oose.balance` says."""

from collections.abc import AsyncGenerator, Callable, Sequence

from attrs import define, field, frozen

from oose.balance import Balance, Level, Move
from oose.clones import Clones
from oose.errors import OoseError
from oose.moving.tally import Tally
from oose.registry import Peer, Registry
from oose.repairing.repair import Repair
from oose.tending.deed import NOTHING, Outcome
from oose.tending.picking import Block, Choice, Picked, Picking
from oose.tending.placing import STAYS, move
from oose.tending.round import Round, carried_on
from oose.wishes import usual


def level_of(peer: Peer) -> Level:
    """How full a store is."""
    used = peer.capacity - peer.free
    return Level(peer.place, peer.machine, peer.group, peer.capacity, used, peer.min_free)


def levels(registry: Registry) -> Sequence[Level]:
    """The stores that are there and take content."""
    stores = [each for each in registry.peers() if each.kind == "store" and each.writable]
    return [level_of(each) for each in stores if registry.serving(each.place) is not None]


@frozen
class Levelling:
    """Moves one clone where that makes stores more equally full.

    What is protected, or has too few clones, stays as it is.
    """

    clones: Clones
    repair: Repair
    balance: Balance

    async def begin(self, block: Sequence[Picked]) -> Sequence[Picked]:
        """See which stores still take something."""
        taking = {c.name for each in self.clones.keepers.all() if (c := each.candidate())}
        places = [each.place for each in self.balance.levels]
        self.balance.leave_out([each for each in places if each not in taking])
        return block

    def foresee(self, picked: Picked) -> Outcome:
        """See `Deed.foresee`."""
        plan = self._plan(picked)
        if plan is None:
            return NOTHING
        return Outcome(1, 1, bytes=plan.size, onto=plan.target, off=plan.source)

    async def do(self, picked: Picked) -> Outcome:
        """See `Deed.do`."""
        plan = self._plan(picked)
        if plan is None:
            return NOTHING
        try:
            went = await move(self.clones, picked, plan.source, plan.target)
        except OoseError:
            self.balance.undo(plan)
            raise
        if not (went.made and went.is_off):
            self.balance.undo(plan, is_copied=bool(went.made))
        return Outcome(
            went.made,
            went.removed,
            bytes=plan.size * went.made,
            onto=plan.target,
            off=plan.source,
            why=None if went.is_off else STAYS,
        )

    def _plan(self, picked: Picked) -> Move | None:
        if picked.content.protected or not self.balance.concerns(picked.places):
            return None
        if len(picked.counting) < usual(picked.content, self.repair.settings):
            return None
        known = [self.clones.registry.store(place) for place in picked.places]
        sites = {peer.place: (peer.machine, peer.group) for peer in known if peer is not None}
        return self.balance.consider(picked.size, picked.places, sites)


@define(eq=False)
class Rebalancing:
    """Has rounds of `Levelling` look at all content, until stores are even or nothing can move.

    `new_round` makes one. To pretend one is enough: content would be found again where it was.
    """

    balance: Balance
    picking: Picking
    new_round: Callable[[], Round]
    tally: Tally = field(factory=Tally, init=False)
    is_stopping: bool = field(default=False, init=False)
    _round: Round | None = field(default=None, init=False)

    async def run(self) -> None:
        """All of it. `tally` has what was done, and what failed in the last round."""
        while not self.balance.is_even and not self.is_stopping:
            before = self.balance.moves
            this = self._round = self.new_round()
            try:
                await this.run(self._blocks())
            finally:
                self.tally = carried_on(self.tally, this.tally)
            is_stuck = not self.balance.strict and self.balance.moves == before
            if is_stuck or this.pretend:
                return
            self.balance.strict = False

    def stop(self) -> None:
        """Begin with no other content."""
        self.is_stopping = True
        if self._round is not None:
            self._round.stop()

    async def _blocks(self) -> AsyncGenerator[Block, None]:
        async for block in self.picking.pick(Choice()):
            if self.balance.is_even:
                return
            yield block
