"""The word that systemd waits for, or else restarts the process: sd_watchdog_enabled(3).

It comes from the reactor, so it stays away when the reactor is stuck.
"""

from twisted.internet.interfaces import IReactorTime

from oose.loop import Loop
from oose.systemd.notify import MICROSECONDS, Notifier
from oose.systemd.variables import BadHandover, Environment, is_meant, number


def watchdog_seconds(environment: Environment, pid: int) -> float | None:
    """How long systemd waits for a word of the process `pid`, taken out of `environment`.

    None where it does not wait; `BadHandover`.
    """
    owner = environment.pop("WATCHDOG_PID", None)
    given = environment.pop("WATCHDOG_USEC", None)
    if given is None or (owner is not None and not is_meant("WATCHDOG_PID", owner, pid)):
        return None
    seconds = number("WATCHDOG_USEC", given) / MICROSECONDS
    if not seconds:
        raise BadHandover("WATCHDOG_USEC is 0 in the environment: nobody could be that quick")
    return seconds


class Watchdog:
    """Has `notifier` say that we are alive, at half of `seconds`; never where that is None."""

    def __init__(self, notifier: Notifier, seconds: float | None, clock: IReactorTime) -> None:
        self._notifier = notifier
        self._loop: Loop | None = None
        if seconds is not None:
            self._loop = Loop("The word for systemd's watchdog", self._beat, seconds / 2, clock)

    def start(self) -> None:
        """Begin."""
        if self._loop is not None:
            self._loop.start()

    async def stop(self) -> None:
        """Say nothing more."""
        if self._loop is not None:
            await self._loop.stop()

    async def _beat(self) -> None:
        self._notifier.alive()
