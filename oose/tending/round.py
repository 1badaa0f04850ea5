"""Doing something to each of many contents, a few at once, until it is told to stop."""

from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from attrs import define, field
from twisted.internet.defer import DeferredLock

from oose.errors import OoseError
from oose.moving.tally import Tally
from oose.tending.deed import Deed, Outcome
from oose.tending.picking import Block, Picked
from oose.together import together

Heard = Callable[[Picked, Outcome], None]
Passed = Callable[[float | None, int], None]
COUNTS = ("made", "removed", "verified", "bytes")


def nobody(picked: Picked, outcome: Outcome) -> None:
    """Who hears what became of each content."""


def nowhere(passed: float | None, contents: int) -> None:
    """Who is told how far it is."""


@define(eq=False)
class _Way:
    """How far it is on the way from one block's beginning to its end."""

    start: float | None = 0.0
    end: float | None = 0.0
    size: int = 0
    done: int = 0

    def go_on(self, end: float | None, size: int) -> None:
        """The next block."""
        self.start, self.end, self.size, self.done = self.end, end, size, 0

    @property
    def passed(self) -> float | None:
        """From 0 to 1, if that is known."""
        if self.start is None or self.end is None or not self.size:
            return self.end
        return self.start + (self.end - self.start) * min(1.0, self.done / self.size)


@define(eq=False)
class Round:
    """Does `deed`, `at_once` side by side; with `pretend` nothing is done, but told.

    `heard` is told what became of each content, `passed` how far it is and how many there were.
    """

    deed: Deed
    at_once: int
    pretend: bool = False
    heard: Heard = nobody
    passed: Passed = nowhere
    tally: Tally = field(factory=Tally)
    is_stopping: bool = field(default=False, init=False)
    _waiting: deque[Picked] = field(factory=deque, init=False)
    _lock: DeferredLock = field(factory=DeferredLock, init=False)
    _way: _Way = field(factory=_Way, init=False)

    async def run(self, blocks: AsyncGenerator[Block, None]) -> None:
        """All of it, or until it is to stop; an `OoseError` where it cannot go on."""
        self._waiting.clear()
        self._way = _Way()
        async with aclosing(blocks):
            await together(self._work(blocks) for _ in range(self.at_once))

    def stop(self) -> None:
        """Begin with no other content."""
        self.is_stopping = True

    async def _work(self, blocks: AsyncGenerator[Block, None]) -> None:
        while (picked := await self._next(blocks)) is not None:
            outcome = await self._done(picked)
            self._count(picked, outcome)
            self.heard(picked, outcome)
            self._way.done += 1
            self.passed(self._way.passed, self.tally.counts["contents"])

    async def _next(self, blocks: AsyncGenerator[Block, None]) -> Picked | None:
        await self._lock.acquire()
        try:
            while not self.is_stopping:
                if self._waiting:
                    return self._waiting.popleft()
                try:
                    block = await anext(blocks)
                except StopAsyncIteration:
                    return None
                found = block.picked
                self._waiting.extend(found if self.pretend else await self.deed.begin(found))
                self._way.go_on(block.passed, len(found))
                self.passed(self._way.passed, self.tally.counts["contents"])
            return None
        finally:
            self._lock.release()

    async def _done(self, picked: Picked) -> Outcome:
        if picked.damaged is not None:
            return Outcome(why=f"its record {picked.damaged} cannot be understood")
        if not picked.records:
            return Outcome(why="there is no clone of it")
        if self.pretend:
            return self.deed.foresee(picked)
        try:
            return await self.deed.do(picked)
        except OoseError as error:
            return Outcome(why=error.message)

    def _count(self, picked: Picked, outcome: Outcome) -> None:
        self.tally.add("contents")
        for name in COUNTS:
            self.tally.add(name, getattr(outcome, name))
        if outcome.note is not None:
            self.tally.add(outcome.note)
        if outcome.why is not None:
            self.tally.fail(picked.hash, outcome.why)


def carried_on(before: Tally, last: Tally) -> Tally:
    """What rounds over the same contents came to: what was done is a sum, and of the `last` is
    what failed.
    """
    counts = {name: before.counts[name] + last.counts[name] for name in COUNTS}
    contents = max(before.counts["contents"], last.counts["contents"])
    return Tally(Counter({**last.counts, **counts, "contents": contents}), last.failures)
