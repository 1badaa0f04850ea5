"""A process's part in a cluster: it follows what others write, speaks for itself, watches others.

On one machine, without others, what is left is to look after the disks.
"""

from collections.abc import Callable, Sequence
from typing import Any

from oose.announcements import Announcements
from oose.databases import Databases
from oose.existence import Existence
from oose.following import PATIENCE, Following
from oose.heartbeat import Heartbeat
from oose.holdings import Holdings
from oose.loop import Loop
from oose.reachability import Reachability
from oose.registry import Registry
from oose.repairing import Repairing
from oose.settings import Settings
from oose.together import together
from oose.tombstones import Tombstones
from oose.upkeep import Upkeep
from oose.votes import Votes

LOOK = 1.0  # seconds between two looks at the peers that viewers are sent to
BUNDLE = 0.1  # seconds in which what is written to the inventory is gathered
GATHER = 0.5  # the same for the peers, who renew themselves all the time
REST = 2.0  # the same for notes on content: a store that was away has time
ALONE = 60.0  # seconds between two renewals on one machine, where nobody waits for them


class Membership:
    """Joins with `join`, leaves with `leave`; speaks for the peers `own` (ids).

    `loops` is what else this process does all the time. `repairing` is told what is written to
    the inventory, and tells the others how its part of all content is.
    """

    def __init__(
        self,
        own: Sequence[str],
        holdings: Sequence[Holdings],
        databases: Databases,
        registry: Registry,
        existence: Existence,
        reachability: Reachability,
        settings: Settings,
        *,
        clock: Any,
        now: Callable[[], int],
        chance: Callable[[], float],
        tombstones: Sequence[Tombstones] = (),
        loops: Sequence[Loop] = (),
        repairing: Repairing | None = None,
    ) -> None:
        self._own = own
        self._tombstones = tombstones
        self._existence = existence
        heartbeat, is_cluster = settings.heartbeat, settings.is_cluster
        self._votes = Votes(databases.heartbeat)
        self._repairing = repairing
        care = repairing.care if repairing is not None else lambda: None
        upkeep = Upkeep(own, holdings, registry, now, care)
        renewal = heartbeat.vote_life / 3 if is_cluster else ALONE
        self._loops = [*upkeep.loops(clock, heartbeat.frequency, renewal), *loops]
        self._loops += [each.loop(clock, heartbeat.frequency) for each in tombstones]
        self._followings: list[Following] = []
        self._heartbeat: Heartbeat | None = None
        if not is_cluster:
            return
        registry.watch(Announcements(own).tell)
        self._loops.append(Loop("Looking at peers", reachability.look, LOOK, clock))
        peers = Following(
            "Following the peers",
            databases.peer,
            clock,
            on_changes=registry.apply,
            on_everything=registry.load,
            patience=min(PATIENCE, renewal),
            rest=GATHER,
        )
        clones = Following(
            "Following the inventory",
            databases.inventory,
            clock,
            on_changes=self._clones_changed,
            on_everything=self._all_may_have_changed,
            rest=BUNDLE,
        )
        removals = Following(
            "Following what is removed",
            databases.content,
            clock,
            on_changes=self._content_changed,
            on_everything=self._content_may_have_changed,
            rest=REST,
        )
        self._followings = [peers, clones, removals]
        if heartbeat.enabled is not False:
            self._heartbeat = Heartbeat(
                own,
                registry,
                self._votes,
                reachability.ping,
                (peers.contact, upkeep.contact),
                heartbeat,
                clock=clock,
                now=now,
                chance=chance,
            )

    async def come_back(self) -> None:
        """What was voted while we were away is over."""
        await self._votes.clear(self._own)

    def join(self) -> None:
        """Begin."""
        for following in self._followings:
            following.start()
        for loop in self._loops:
            loop.start()
        if self._heartbeat is not None:
            self._heartbeat.start()

    async def leave(self) -> None:
        """End, with what is under way."""
        if self._heartbeat is not None:
            await self._heartbeat.stop()
        await together(loop.stop() for loop in self._loops)
        await together(following.stop() for following in self._followings)

    async def _clones_changed(self, ids: Sequence[str]) -> None:
        self._existence.forget_clones(ids)
        if self._repairing is not None:
            self._repairing.hint(ids)

    async def _all_may_have_changed(self) -> None:
        self._existence.doubt_all()
        if self._repairing is not None:
            self._repairing.missed()

    async def _content_changed(self, hashes: Sequence[str]) -> None:
        await together(each.changed(hashes) for each in self._tombstones)

    async def _content_may_have_changed(self) -> None:
        for each in self._tombstones:
            each.missed()
