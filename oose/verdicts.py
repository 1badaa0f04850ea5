"""Judging those who were voted against: by those who watch them, as far as these live."""

from collections.abc import Collection, Sequence

from twisted.internet.interfaces import IReactorTime

from oose.log import part
from oose.neighbourhood import Neighbourhood
from oose.presence import Presence
from oose.registry import Registry
from oose.votes import Votes, is_majority

_log = part("heartbeat")


class Verdicts:
    """Says in the registry who is down and who is back."""

    def __init__(
        self, registry: Registry, votes: Votes, presence: Presence, clock: IReactorTime
    ) -> None:
        self._registry = registry
        self._votes = votes
        self._presence = presence
        self._clock = clock
        self._area = Neighbourhood()

    def look(self, area: Neighbourhood) -> None:
        """See which watchers, and which of the watched, have renewed their documents."""
        self._area = area
        renewed = {}
        for each in area.everybody:
            peer = self._registry.peer(each)
            if peer is not None:
                renewed[each] = peer.renewed
        self._presence.look(renewed, self._clock.seconds())

    async def reach(self, suspects: Collection[str], answered: Collection[str]) -> None:
        """Judge those we have voted against, and those that were down and have answered."""
        down = [each for each in suspects if each in self._area.up]
        back = [each for each in answered if each in self._area.down]
        pairs = [(each, by) for each in (*down, *back) for by in self._area.watchers[each]]
        standing = await self._votes.standing(pairs)
        for each in down:
            await self._consider(each, {by for whom, by in standing if whom == each})
        for each in back:
            voters = {by for whom, by in standing if whom == each}
            if is_majority(voters, self._living(each)):
                continue
            if await self._registry.bring_back(each):
                _log.info("{id} is back", id=each)

    async def _consider(self, peer_id: str, voters: Collection[str]) -> None:
        living = self._living(peer_id)
        if is_majority(voters, living):
            living = await self._look_again(peer_id)
        if is_majority(voters, living) and await self._registry.vote_down(peer_id):
            number = sum(each in voters for each in living)
            _log.warn(
                "{id} is down: {n} of {m} who watch it had no answer",
                id=peer_id,
                n=number,
                m=len(living),
            )

    def _living(self, peer_id: str) -> Sequence[str]:
        return [each for each in self._area.watchers[peer_id] if self._presence.is_fresh(each)]

    async def _look_again(self, peer_id: str) -> Sequence[str]:
        """Ask the database itself about watchers that seem dead: its news may come late."""
        living = self._living(peer_id)
        silent = [each for each in self._area.watchers[peer_id] if each not in living]
        if silent:
            await self._registry.apply(silent)
            self.look(self._area)
            living = self._living(peer_id)
        return living
