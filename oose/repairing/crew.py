"""Those who work off the worklist, a few at once."""

from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from oose.repairing.need import Kind
from oose.repairing.worklist import Task, Worklist
from oose.together import together

Mend = Callable[[Task], Coroutine[Deferred[Any], Any, None]]
DEMAND: Kind = "demand"


@define(eq=False)
class Crew:
    """Has `mend` done for each task, `at_once` of them side by side; it raises nothing.

    One more is there for what viewers demand only, which does not wait for all else. `may_go_on`
    is asked before each task. `busy` are the contents that are being mended.
    """

    worklist: Worklist
    mend: Mend
    at_once: int
    may_go_on: Callable[[], bool]
    busy: set[str] = field(factory=set, init=False)
    _working: dict[Deferred[None], Kind | None] = field(factory=dict, init=False)
    _is_stopping: bool = field(default=False, init=False)

    def go_on(self) -> None:
        """Have as many at work as there is work for."""
        kinds = list(self._working.values())
        self._is_stopping = False
        for _ in range(min(self.at_once, len(self.worklist)) - kinds.count(None)):
            self._begin(None)
        if DEMAND not in kinds and self.worklist.has(DEMAND):
            self._begin(DEMAND)

    async def stop(self) -> None:
        """Cut all of it short, and wait for its end."""
        self._is_stopping = True
        working = list(self._working)
        for each in working:
            each.cancel()
        await together(_ended(each) for each in working)

    def _begin(self, only: Kind | None) -> None:
        working = Deferred.fromCoroutine(self._work(only))
        if not working.called:
            self._working[working] = only
            _ = working.addCallback(lambda _: self._working.pop(working))

    async def _work(self, only: Kind | None) -> None:
        while not self._is_stopping and self.may_go_on():
            task = self.worklist.take(only)
            if task is None:
                return
            self.busy.add(task.hash)
            try:
                await self.mend(task)
            finally:
                self.busy.discard(task.hash)


async def _ended(working: Deferred[None]) -> None:
    await working
