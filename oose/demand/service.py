"""A prism's part in clones on demand, all the time: counting, saying, hearing, tidying up."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from oose.demand.agreement import Agreement
from oose.demand.counter import TICK, Counter, uncounted
from oose.demand.hearing import Hearing
from oose.demand.saying import QUIET
from oose.demand.tidying import Tidying
from oose.errors import Unavailable
from oose.following import Following
from oose.log import part
from oose.loop import Loop
from oose.metadata.documents import Documents
from oose.registry import Registry
from oose.settings.model import CloneSettings

ROUND = 30.0  # seconds between two times that the prisms say what they count
REST = 2.0  # seconds in which what is written to the content documents is gathered
SHOWN = 10  # of the hottest content
_log = part("demand")


@frozen
class Hot:
    """Content asked for so often here, and how many clones it should have in all."""

    hash: str
    per_minute: float
    desired: int


class Demand:
    """The part of the prism `name`; `count` is to be called for each viewer, with the hash.

    `documents` are those of content. `tell` is called with hashes that should have more clones
    than before; where this `follows` what others write, also with theirs. `now` is ms since 1970,
    `chance` between 0 and 1 at random.
    """

    def __init__(
        self,
        name: str,
        documents: Documents,
        registry: Registry,
        settings: CloneSettings,
        tell: Callable[[Sequence[str]], None],
        *,
        follows: bool,
        clock: IReactorTime,
        now: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self._name = name
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._now = now
        self._chance = chance
        self._counter = Counter()
        self._agreement = Agreement(name, documents, settings)
        self._hearing = Hearing(documents, settings, tell, now)
        self._tidying = Tidying(documents, settings)
        self._following = Following(
            "Following the notes on content",
            documents,
            clock,
            on_changes=self._hearing.changed,
            on_everything=self._hearing.missed,
            rest=REST,
        )
        self._follows = follows
        self._aged = 0.0
        self._starting: IDelayedCall | None = None
        self._ticks = Loop("Counting demand", self._tick, TICK, clock)
        self._rounds = Loop("Agreeing on demand", self.agree, ROUND, clock)
        self.count: Callable[[str], None] = self._counter.count if settings.bear else uncounted

    def start(self) -> None:
        """Begin; the rounds at some moment, so that the prisms do not all write at once."""
        self._aged = self._clock.seconds()
        self._ticks.start()
        self._starting = self._clock.callLater(self._chance() * ROUND, self._rounds.start)
        if self._follows:
            self._following.start()

    async def stop(self) -> None:
        """End, with what is under way."""
        if self._starting is not None and self._starting.active():
            self._starting.cancel()
        await self._ticks.stop()
        await self._rounds.stop()
        if self._follows:
            await self._following.stop()

    async def agree(self) -> None:
        """Say what is hot here, and tidy up where that is ours to do.

        A handful of requests. A database that is away is asked again in the next round.
        """
        now = self._now()
        prisms = [
            each.name for each in self._registry.peers() if each.kind == "prism" and each.counts
        ]
        try:
            if self._settings.bear:
                share = self._settings.bear / max(len(prisms), 1)
                hottest = self._counter.hottest(share * QUIET)
                self._hearing.saw(await self._agreement.say(hottest, share, now))
            if not prisms or min(prisms) == self._name:
                self._hearing.saw(await self._tidying.step(now))
        except Unavailable as error:  # whoever asks the database has said so
            _log.debug("Demand is not agreed on this time: {why}", why=error.message)

    def hottest(self) -> Sequence[Hot]:
        """What is asked for most often here, for who may see hashes."""
        rates = self._counter.hottest(1.0, SHOWN)
        return [
            Hot(rate.hash, round(rate.per_minute, 1), self._hearing.desired(rate.hash))
            for rate in rates
        ]

    def named(self) -> Mapping[str, Any]:
        """The same for tools, by hash."""
        return {
            each.hash: {"perMinute": each.per_minute, "clones": each.desired}
            for each in self.hottest()
        }

    def describe(self) -> Mapping[str, Any]:
        """For `/stats`, which says nothing of hashes: how much is counted, and how well."""
        hottest = self.hottest()
        return {
            "counted": len(self._counter),
            "said": len(self._agreement),
            "error": round(self._counter.error, 1),
            "hottest": hottest[0].per_minute if hottest else 0.0,
            "mostDesired": max((hot.desired for hot in hottest), default=0),
        }

    async def _tick(self) -> None:
        now = self._clock.seconds()
        self._counter.age(now - self._aged)
        self._aged = now
