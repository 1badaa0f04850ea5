"""How many clones content is to have, noted and done."""

from collections.abc import Sequence

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime

from oose.cloning import shortage
from oose.contents import Content, Contents
from oose.moving.patience import insist
from oose.repairing.need import Need, need_of
from oose.repairing.repair import Repair
from oose.tending.deed import Outcome
from oose.tending.picking import Picked


@frozen
class Wishing:
    """Content is to have `wanted` clones; None: as many as usual.

    Repair does that; with `later` whoever repairs does.
    """

    contents: Contents
    repair: Repair
    clock: IReactorTime
    wanted: int | None
    later: bool = False

    async def begin(self, block: Sequence[Picked]) -> Sequence[Picked]:
        """Note the wish for all that there is."""
        hashes = [each.hash for each in block if each.records and each.damaged is None]
        noted = await insist(lambda: self.contents.change_many(hashes, self._wished), self.clock)
        return [evolve(each, content=noted.get(each.hash, each.content)) for each in block]

    def foresee(self, picked: Picked) -> Outcome:
        """See `Deed.foresee`."""
        if self.later:
            return Outcome(note="later")
        repair = self.repair
        content = self._wished(picked.content)
        need = need_of(picked.records, content, repair.fleet(), repair.settings, repair.now())
        made = need.missing or int(need.is_shared)
        removed = 0 if content.protected else need.surplus + int(need.is_shared)
        left = evolve(need, live=need.live + made - removed, surplus=0)
        return evolve(self._judged(left, content), made=made, removed=removed, bytes=need.bytes)

    async def do(self, picked: Picked) -> Outcome:
        """See `Deed.do`."""
        if self.later:
            return Outcome(note="later")
        mended = await self.repair.mend(picked.hash, picked.ids)
        return evolve(
            self._judged(mended.need, picked.content),
            made=mended.added,
            removed=mended.removed,
            bytes=mended.bytes,
        )

    def _wished(self, content: Content) -> Content:
        return evolve(content, wanted=self.wanted)

    def _judged(self, need: Need, content: Content) -> Outcome:
        """Whether it is so now, and if it is not, why."""
        if need.live + need.waiting < need.usual:
            return Outcome(why=shortage(need.live, need.usual, shares_a_machine=False))
        if need.surplus:
            return Outcome(
                why=f"{need.surplus} of {need.live} clones too many: not enough of the others could"
                " be verified, or somebody else works on it"
            )
        if need.live > need.wanted:
            return Outcome(note="protected" if content.protected else "waiting")
        if need.live < need.usual:
            return Outcome(note="waiting")
        return Outcome(note="demand" if need.live > need.usual else None)
