"""What systemd is to this process, all of it."""

from collections.abc import Sequence

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from oose.systemd.inherited import Inherited, inherited
from oose.systemd.notify import Notifier, notify_address
from oose.systemd.variables import Environment
from oose.systemd.watchdog import Watchdog, watchdog_seconds


@frozen
class Supervision:
    """Whom to tell how we are, when to say that we are alive, and the sockets handed over."""

    notifier: Notifier
    watchdog: Watchdog
    sockets: Sequence[Inherited] = ()


def supervision(environment: Environment, pid: int, clock: IReactorTime) -> Supervision:
    """What `environment` has for the process `pid`, taken out of it; `BadHandover`.

    From an empty one: a process that nobody supervises.
    """
    notifier = Notifier(notify_address(environment), clock)
    watchdog = Watchdog(notifier, watchdog_seconds(environment, pid), clock)
    return Supervision(notifier, watchdog, inherited(environment, pid))
