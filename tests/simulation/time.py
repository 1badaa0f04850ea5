"""Clocks that tests turn: one fast enough for a thousand peers, and one of a machine."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

Call = Callable[[], object]


@implementer(IDelayedCall)
class Later:
    """A call that will be made."""

    def __init__(self, clock: "Turned", at: float, call: Call) -> None:
        self._clock = clock
        self._at = at
        self.call: Call | None = call

    def getTime(self) -> float:  # noqa: N802 # Twisted's name
        return self._at

    def cancel(self) -> None:
        self.call = None

    def active(self) -> bool:
        return self.call is not None

    def delay(self, seconds: float) -> None:
        self._again(self._at + seconds)

    def reset(self, seconds: float) -> None:
        self._again(self._clock.seconds() + seconds)

    def _again(self, at: float) -> None:
        call, self.call = self.call, None
        assert call is not None
        later = self._clock.callLater(at - self._clock.seconds(), call)
        self.cancel = later.cancel  # type: ignore[method-assign] # the same call from now on
        self.active = later.active  # type: ignore[method-assign] # likewise
        self._at = at


@implementer(IReactorTime)
class Turned:
    """`twisted.internet.task.Clock`, which is slow where thousands of calls wait."""

    def __init__(self) -> None:
        self._now = 0.0
        self._numbers = count()
        self._calls: list[tuple[float, int, Later]] = []

    def seconds(self) -> float:
        return self._now

    def callLater(  # noqa: N802 # Twisted's name
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002 # Twisted's name
        *args: object,
        **kwargs: object,
    ) -> "Later":
        bound = (lambda: callable(*args, **kwargs)) if args or kwargs else callable
        later = Later(self, self._now + delay, bound)
        heappush(self._calls, (self._now + delay, next(self._numbers), later))
        return later

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:  # noqa: N802 # Twisted's name
        return [later for _, _, later in self._calls if later.active()]

    def advance(self, seconds: float) -> None:
        end = self._now + seconds
        while self._calls and self._calls[0][0] <= end:
            at, _, later = heappop(self._calls)
            call, later.call = later.call, None
            if call is not None:
                self._now = max(self._now, at)
                call()
        self._now = end


@implementer(IReactorTime)
class MachineClock:
    """The clock of one process: begun at another time, and stopped while it is frozen."""

    def __init__(self, clock: Turned, offset: float) -> None:
        self._clock = clock
        self._offset = offset
        self._held: list[Call] = []
        self.is_frozen = False

    def seconds(self) -> float:
        return self._clock.seconds() + self._offset

    def callLater(  # noqa: N802 # Twisted's name
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002 # Twisted's name
        *args: object,
        **kwargs: object,
    ) -> Later:
        return self._clock.callLater(delay, self.hold, lambda: callable(*args, **kwargs))

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:  # noqa: N802 # Twisted's name
        return self._clock.getDelayedCalls()

    def thaw(self) -> None:
        self.is_frozen = False
        held, self._held = self._held, []
        for call in held:
            call()

    def hold(self, call: Call) -> None:
        """Make the call when it runs."""
        if self.is_frozen:
            self._held.append(call)
        else:
            call()
