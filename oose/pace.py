"""Doing no more of something than so much a second."""

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater


class Pace:
    """At most `rate` a second over time; without a rate as fast as it goes."""

    def __init__(self, rate: float | None, clock: IReactorTime) -> None:
        self._rate = rate
        self._clock = clock
        self._free = 0.0  # when what was taken so far is paid for

    async def take(self, amount: float) -> None:
        """Wait until what was taken before is paid for, then take `amount`."""
        if self._rate is None:
            return
        now = self._clock.seconds()
        wait = self._free - now
        self._free = max(now, self._free) + amount / self._rate
        if wait > 0:
            await deferLater(self._clock, wait)
