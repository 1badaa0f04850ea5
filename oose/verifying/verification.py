"""The service that verifies a store's clones, the oldest verified first, at a limited rate."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from oose.errors import OoseError, Unavailable
from oose.log import part
from oose.loop import Loop
from oose.metadata.documents import Inventory
from oose.pace import Pace
from oose.settings.model import InventorySettings
from oose.verifying.asked import Asked, Memory
from oose.verifying.due import Due, Entry
from oose.verifying.faults import Dying
from oose.verifying.looking import Looking
from oose.verifying.manner import Manner, piece_at
from oose.verifying.review import DONE, STOPPED, Review
from oose.verifying.tally import Tally
from oose.verifying.verifier import Outcome, Verifier
from oose.volume import Volume

LOOK = 1.0  # seconds between two looks whether something is due
FILES = 1000  # whose results are written down together
PIECES = 16  # of reading, after which they are written down too: some seconds at a limited rate
SOON = 5.0  # seconds after which a list is made anew at the earliest
DAY = 86_400.0  # seconds after which a list is made anew: a sweep may have found others
REST = 3600.0  # seconds after which a disk that seemed to be dying is looked at again
_log = part("verify")

Note = Callable[[Sequence[Entry], Mapping[str, Outcome]], None]


@frozen
class Bounds:
    """Each file is verified every `frequency` seconds (None: by itself none is).

    At most `rate` bytes are read a second, and `requests` made of the database to find out which.
    """

    frequency: float | None
    rate: int | None
    requests: int | None

    @classmethod
    def of(cls, settings: InventorySettings) -> "Bounds":
        """As the configuration has them."""
        frequency = settings.verify_frequency if settings.enabled else None
        return cls(frequency, settings.verify_rate, settings.requests)


class Verification:
    """Verifies the clones of one store as they become due, once it is started; `now` is ms."""

    def __init__(
        self,
        verifier: Verifier,
        volume: Volume,
        inventory: Inventory,
        bounds: Bounds,
        *,
        clock: IReactorTime,
        now: Callable[[], int],
    ) -> None:
        self.place = verifier.place
        self._verifier = verifier
        self._volume = volume
        self._inventory = inventory
        self._bounds = bounds
        self._clock = clock
        self._now = now
        self._stopping = False
        self._rests_until = 0.0
        self._told = ""
        self._look_at = 0.0  # when the list is to be made anew
        self._requests = Pace(bounds.requests, clock)
        self._due = Due(self.place, inventory, self._requests)
        self._manner = self._manner_at(bounds.rate, self._is_going)
        self._review: Review | None = None
        self._memory = Memory(volume)
        self._settling: Deferred[None] | None = None
        self._loop = Loop(f"Verifying {self.place}", self._round, LOOK, clock)

    def start(self) -> None:
        """Begin."""
        self._loop.start()

    async def stop(self) -> None:
        """Read nothing more, and write down what was found."""
        self._stopping = True
        await self._loop.stop()

    # What operators want and see.

    async def review(self, older: float = 0.0, rate: int | None = None) -> Mapping[str, Any]:
        """Verify all that was not verified for `older` seconds, unless that goes on already.

        At so many bytes a second, as fast as it goes at 0, else at the usual rate. A restart goes
        on with it.
        """
        await self._recall()
        if self._review is None or not self._review.is_going:
            now = self._now()
            since = max(1, now - int(older * 1000))  # and what never was is before that
            self._begin(Asked(since, now, rate))
            self._rests_until = 0.0
            _log.info("All of {place} is verified now", place=self.place)
            await self._keep()
        return self._reviewed()

    async def stop_review(self) -> Mapping[str, Any]:
        """Let it be."""
        await self._recall()
        if self._review is not None:
            self._review.end(STOPPED, self._now())
        await self._keep()
        return self._reviewed()

    async def reviewed(self) -> Mapping[str, Any]:
        """How far the last one has come; `state` is `begun`, `stopped`, `done` or `none`."""
        await self._recall()
        return self._reviewed()

    def describe(self) -> Mapping[str, Any]:
        """For `/stats`: files and bytes since the start, and the list of those that are next."""
        return {
            **self._verifier.tally.counts(),
            "listed": len(self._due),
            "oldest": self._due.oldest,
            "resting": self._clock.seconds() < self._rests_until,
            "review": self._reviewed(),
        }

    def _reviewed(self) -> Mapping[str, Any]:
        return {"state": "none"} if self._review is None else self._review.describe(self._now())

    def _begin(self, asked: Asked) -> None:
        due = Due(self.place, self._inventory, self._requests, since=asked.since)
        rate = self._bounds.rate if asked.rate is None else asked.rate or None
        tally = Tally()
        manner = evolve(self._manner_at(rate, self._is_reviewing), tell=tally.read)
        self._review = Review(asked, due, manner, tally)

    async def _recall(self) -> None:
        asked = await self._memory.recall()
        if asked is not None:
            self._begin(asked)
            _log.info("All of {place} is verified further, as before", place=self.place)

    async def _keep(self) -> None:
        review = self._review
        is_going = review is not None and review.is_going
        await self._memory.keep(review.asked if review is not None and is_going else None)

    # Again and again.

    def _manner_at(self, rate: int | None, going: Callable[[], bool]) -> Manner:
        pace = Pace(rate, self._clock) if rate is not None else None
        return Manner(pace, piece_at(rate), going)

    def _is_going(self) -> bool:
        return not self._stopping and self._volume.usable

    def _is_reviewing(self) -> bool:
        return self._is_going() and self._review is not None and self._review.is_going

    async def _round(self) -> None:
        await self._recall()
        await self._memory.settle()
        if self._clock.seconds() < self._rests_until:
            return
        try:
            try:
                await self._go_on_and_on()
            finally:
                await self._settled()
        except OoseError as error:
            self._failed(error)

    async def _go_on_and_on(self) -> None:
        while self._is_going():
            await self._memory.settle()
            if self._review is not None and self._review.is_going:
                await self._go_on_reviewing(self._review)
            elif not await self._go_on():
                return

    def _failed(self, error: OoseError) -> None:
        if isinstance(error, Dying):
            self._rests_until = self._clock.seconds() + REST
            _log.error("{why}", why=error)
        elif error.message != self._told:
            self._told = error.message
            _log.warn("Verification of {place} waits: {why}", place=self.place, why=error)

    async def _go_on(self) -> bool:
        """Verify some of what is due; whether there may be more."""
        frequency = self._bounds.frequency
        if frequency is None:
            return False
        before = self._now() - int(frequency * 1000)
        if await self._verify(self._due, self._manner, before):
            return True
        now = self._clock.seconds()
        is_used_up = not (self._due.seen_all or len(self._due))
        if now < self._look_at and not is_used_up:
            return False
        if await self._due.look(self._is_going):
            self._look_at = now + min(DAY, max(SOON, frequency))
        return True

    async def _go_on_reviewing(self, review: Review) -> None:
        if review.read is None:
            review.read = self._now()
        if await self._verify(review.due, review.manner, review.asked.since, review.note):
            return
        if not review.due.has_looked or review.due.is_passing:
            await review.due.look(review.manner.going)
        else:
            review.end(DONE, self._now())
            await self._keep()
            _log.info("All of {place} was verified: {what}", place=self.place, what=review.tally)

    async def _verify(
        self, due: Due, manner: Manner, before: int, note: Note | None = None
    ) -> bool:
        """Read the first of a list that are due, while what was read before is written down.

        False where nothing is left to be done.
        """
        entries = due.take(before, FILES, manner.piece * PIECES)
        if not entries:
            return await self._settled()
        is_read = False
        try:
            hashes = [each.hash for each in entries]
            lookings = await self._verifier.look(hashes, manner, before=before)
            is_read = True
            await self._settled()
        except Exception as error:
            if is_read or isinstance(error, Unavailable):  # it was not the fault of these
                due.put_back(entries)
            raise
        settling = self._settle(due, manner, entries, lookings, note)
        self._settling = Deferred.fromCoroutine(settling)
        return True

    async def _settle(
        self,
        due: Due,
        manner: Manner,
        entries: Sequence[Entry],
        lookings: Sequence[Looking],
        note: Note | None,
    ) -> None:
        try:
            outcomes = await self._verifier.settle(lookings, manner)
        except Unavailable:
            due.put_back(entries)
            raise
        if not manner.going():
            due.put_back([each for each in entries if each.hash not in outcomes])
        if note is not None:
            note(entries, outcomes)
        self._told = ""

    async def _settled(self) -> bool:
        """Wait for what is being written down; whether there was any."""
        settling, self._settling = self._settling, None
        if settling is None:
            return False
        await settling
        return True
