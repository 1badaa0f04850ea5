"""Doing no more of something than so much a second."""

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater


class Pace:
    """At most `rate` a second over time; without a rate as fast as it goes.

    In any time no more is taken than the rate allows for it, and what was taken first.
    """

    def __init__(self, rate: float | None, clock: IReactorTime) -> None:
        self._rate = rate
        self._clock = clock
        self._free = 0.0  # when what was taken so far is paid for
        self._when = 0.0  # when something was taken last

    async def take(self, amount: float) -> None:
        """Wait until what was taken before is paid for, then take `amount`.

        Whoever is cancelled while waiting has taken it all the same.
        """
        if self._rate is None:
            return
        now = self._clock.seconds()
        self._free -= max(0.0, self._when - now)  # a clock that is set back makes no debt
        self._when = now
        wait = self._free - now
        self._free = max(now, self._free) + amount / self._rate
        if wait > 0:
            await deferLater(self._clock, wait)
