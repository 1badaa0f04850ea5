"""The databases that the configuration names, open for a command that works on them."""

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from attrs import evolve, frozen
from twisted.internet.task import deferLater

from oose.cli.configuration import read_configuration
from oose.cli.couchdb import PATIENCE, policy_of
from oose.cli.exits import NOT_FOUND, CommandFailed
from oose.cli.reacting import run_reacting
from oose.databases import Cluster, Databases, OneMachine
from oose.embedded.database import FILE_NAME
from oose.first_start import make_root
from oose.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


@frozen
class Opened:
    """What a command works with. Its databases are closed when the work is done."""

    settings: Settings
    databases: Databases
    reactor: Any


def on_databases(
    config: str | None, work: Callable[[Opened], Awaitable[T]], *, make: bool = False
) -> T:
    """What `work` makes of the databases of the configuration; `CommandFailed`.

    A service may run on them meanwhile. An embedded database that is not there comes into being
    only with `make`. A process can do this once, as it runs the reactor.
    """
    settings = read_configuration(config)
    if settings.couchdb is None:
        find_file(settings, make=make)

    async def run(reactor: Any) -> T:
        databases = databases_of(settings, reactor)
        try:
            await databases.open()
            return await work(Opened(settings, databases, reactor))
        finally:
            await databases.close()

    return run_reacting(run)


@frozen
class BetweenTurns:
    """A `Pool` that runs calls in the reactor's own thread, between its turns.

    What was asked for within one turn is done together, and an interrupt is heard.
    """

    reactor: Any

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Pool.run`."""
        await deferLater(self.reactor, 0)
        return call(*args, **kwargs)


def databases_of(settings: Settings, reactor: Any) -> Databases:
    """Those of one machine or of a cluster, not open yet; patient, as nobody else waits."""
    if settings.couchdb is None:
        here = BetweenTurns(reactor)
        return OneMachine(settings, here, here, here)
    redis = settings.redis
    assert redis is not None  # a cluster names both
    return Cluster(
        evolve(settings.couchdb, timeout=max(PATIENCE, settings.couchdb.timeout)),
        evolve(redis, timeout=max(PATIENCE, redis.timeout)),
        int(settings.purchase.afterlife * 1000),
        policy_of(settings),
        reactor,
    )


def find_file(settings: Settings, *, make: bool) -> None:
    """See that the embedded database is there, or may come into being; `CommandFailed`."""
    path = settings.root / FILE_NAME
    if make:
        make_root(settings.root)
    elif not path.exists():
        raise CommandFailed(
            f"{path} is not there: nothing has run here yet. Is this the configuration meant?",
            NOT_FOUND,
        )
