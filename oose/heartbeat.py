"""The heartbeat: peers ping each other, vote the dead down and take the recovered back.

Each round pings the peers that ours watch (`neighbourhood.py`). Who was silent `retries` times in
a row gets a down vote and is left alone for `vote_life`; then it is asked again, and its vote is
renewed or withdrawn. Who has votes of more than half of those who watch it is not available until
it answers and has them no longer. Only those watchers count that keep renewing their own document,
so that a few survivors can still judge.

Who cannot reach the database has no opinion: it starts over when it is back.
"""

from collections.abc import Callable, Collection, Sequence

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from oose.contact import Contact
from oose.errors import OoseError
from oose.log import part
from oose.loop import Loop
from oose.neighbourhood import Neighbourhood, neighbourhood
from oose.peer import Peer
from oose.pings import Answers, Ping, Pings
from oose.presence import Presence
from oose.registry import Registry
from oose.settings.model import HeartbeatSettings
from oose.verdicts import Verdicts
from oose.votes import Vote, Votes

STEP = 3  # times `frequency`: rounds that are further apart are those of a frozen process
_log = part("heartbeat")


@define
class _Watched:
    """What is known of one peer: silent how often in a row, asked when, voted against by whom."""

    silent: int = 0
    asked: float = float("-inf")
    rest_until: float = float("-inf")
    voters: Sequence[str] = ()


class Heartbeat:
    """The heartbeat of one process, which speaks for the peers `own` (ids).

    `contacts` are with the database, as others here found it: who follows the peers' changes and
    who renews our own. `now` is ms since 1970, `chance` between 0 and 1 at random.
    """

    def __init__(
        self,
        own: Collection[str],
        registry: Registry,
        votes: Votes,
        ping: Ping,
        contacts: Sequence[Contact],
        settings: HeartbeatSettings,
        *,
        clock: IReactorTime,
        now: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self._own = tuple(own)
        self._registry = registry
        self._votes = votes
        self._pings = Pings(ping, clock, settings.ping_response_timeout, settings.concurrency)
        self._contacts = contacts
        self._settings = settings
        self._clock = clock
        self._now = now
        self._chance = chance
        self._presence = Presence(settings.vote_life, STEP * settings.frequency)
        self._verdicts = Verdicts(registry, votes, self._presence, clock)
        self._watched: dict[str, _Watched] = {}
        self._area = Neighbourhood()
        self._edition = -1
        self._pruned: Collection[str] = ()
        self._losses = -1
        self._starting: IDelayedCall | None = None
        self._loops = (
            Loop("The heartbeat", self.beat, settings.frequency, clock),
            Loop("Pruning votes", self.prune, settings.vote_prune_frequency, clock),
        )

    def start(self) -> None:
        """Begin after `start_delay` and a bit, so that not all begin at once."""
        offset = self._chance() * self._settings.frequency
        self._starting = self._clock.callLater(self._settings.start_delay + offset, self._begin)

    def _begin(self) -> None:
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        """No further round; ends with the one under way."""
        if self._starting is not None and self._starting.active():
            self._starting.cancel()
        for loop in self._loops:
            await loop.stop()

    # Rounds.

    async def beat(self) -> None:
        """One round."""
        frequency = self._settings.frequency
        await deferLater(self._clock, self._chance() * frequency / 4)
        self._look_around()
        answers = await self._pings.ask(self._due())
        silent = " ".join(each for each, silence in answers.items() if silence is not None)
        _log.debug("Asked {n}; silent: {who}", n=len(answers), who=silent or "nobody")
        try:
            if await self._is_steady():
                await self._take(answers)
        except OoseError as error:
            _log.debug("Nobody is judged: {why}", why=error.message)
            self._interrupt()
        except Exception:
            self._interrupt()
            raise

    async def prune(self) -> None:
        """Delete the votes that nobody keeps up, against those who are watched here or were."""
        if not self._is_in_contact():
            return
        whom = {*self._area.watchers, *self._pruned}
        life = 2 * self._settings.vote_life
        try:
            await self._votes.prune(whom, self._exists, life, self._clock.seconds())
        except OoseError as error:
            _log.debug("No votes are pruned: {why}", why=error.message)
        else:
            self._pruned = tuple(self._area.watchers)

    def _exists(self, peer_id: str) -> bool:
        return self._registry.peer(peer_id) is not None

    # Whether what is seen here can be believed.

    def _is_in_contact(self) -> bool:
        return all(contact.is_there for contact in self._contacts)

    def _interrupt(self) -> None:
        self._losses = -1

    async def _is_steady(self) -> bool:
        """Whether the database was there since the last round; when it was not, start over."""
        losses = sum(contact.losses for contact in self._contacts)
        if losses == self._losses:
            return True
        self._interrupt()
        if self._is_in_contact():
            await self._withdraw(self._watched)
            self._watched.clear()
            self._presence.forget()
            self._losses = losses
        return False

    # Whom to ask.

    def _look_around(self) -> None:
        """See who is to be watched now, and who of their watchers lives."""
        if self._edition != self._registry.edition:
            self._edition = self._registry.edition
            self._area = neighbourhood(self._own, self._registry.peers())
        self._verdicts.look(self._area)

    def _due(self) -> Sequence[Peer]:
        """All that are up and not left alone; of those that are down only one for each of ours."""
        up = [each for each in self._area.up if self._is_due(each)]
        down = [each for each in self._area.down if self._is_due(each)]
        down.sort(key=lambda each: self._known(each).asked)
        chosen = up + down[: len(self._area.own)]
        peers = [peer for each in chosen if (peer := self._registry.peer(each)) is not None]
        now = self._clock.seconds()
        for each in chosen:
            self._known(each).asked = now
        return peers

    def _is_due(self, peer_id: str) -> bool:
        """Who renews its document is asked again before its time."""
        known = self._watched.get(peer_id)
        if known is None or known.rest_until <= self._clock.seconds():
            return True
        return self._presence.renewed_at(peer_id) > known.asked

    def _known(self, peer_id: str) -> _Watched:
        known = self._watched.get(peer_id)
        if known is None:
            known = self._watched[peer_id] = _Watched()
        return known

    # What to make of it.

    async def _take(self, answers: Answers) -> None:
        if self._edition != self._registry.edition:
            self._look_around()
        await self._forget_others()
        answered = [each for each, silence in answers.items() if silence is None]
        await self._withdraw(answered)
        for each in answered:
            known = self._known(each)
            known.silent, known.rest_until = 0, float("-inf")
        await self._vote(answers)
        suspects = [each for each, known in self._watched.items() if known.voters]
        await self._verdicts.reach(suspects, answered)

    async def _forget_others(self) -> None:
        """Those that ours no longer watch, and our votes against them."""
        others = [each for each in self._watched if not self._area.watches(each)]
        await self._withdraw(others)
        for each in others:
            del self._watched[each]

    async def _vote(self, answers: Answers) -> None:
        now = self._clock.seconds()
        votes = []
        for each, silence in answers.items():
            if silence is None or not self._area.watches(each):
                continue
            known = self._known(each)
            known.silent += 1
            if known.silent >= self._settings.retries or known.voters:
                known.rest_until = now + self._settings.vote_life
                known.voters = self._area.voters(each)
                at = self._now()
                votes += [Vote(each, by, silence, at) for by in known.voters]
        await self._votes.cast(votes)

    async def _withdraw(self, ids: Collection[str]) -> None:
        voted = [(each, self._watched[each]) for each in ids if each in self._watched]
        pairs = [(each, by) for each, known in voted for by in known.voters]
        await self._votes.withdraw(pairs)
        for _, known in voted:
            known.voters = ()
