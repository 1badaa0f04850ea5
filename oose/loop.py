"""Work done again and again: never two rounds at once, and a failed one is not the last."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from oose.log import part

_log = part("loop")


class Loop:
    """Does `work`, called `name` in the log, every `seconds`, the first time after so long."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Coroutine[Deferred[Any], Any, None]],
        seconds: float,
        clock: IReactorTime,
    ) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._calls = LoopingCall(self._round)
        self._calls.clock = clock
        self._ended: Deferred[Any] | None = None

    def start(self) -> None:
        """Begin."""
        self._ended = self._calls.start(self._seconds, now=False)

    async def stop(self) -> None:
        """Do no further round, and wait for the one under way."""
        if self._calls.running and self._ended is not None:
            self._calls.stop()
            await self._ended

    def _round(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._work()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        _log.failure("{name} failed; the next round comes all the same", failure, name=self._name)
