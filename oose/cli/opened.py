"""The databases that the configuration names, open for a command that works on them."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from attrs import evolve, frozen

from oose.cli.configuration import read_configuration
from oose.cli.couchdb import PATIENCE, policy_of
from oose.cli.exits import NOT_FOUND, CommandFailed
from oose.cli.reacting import run_reacting
from oose.databases import Cluster, Databases, OneMachine
from oose.embedded.database import FILE_NAME
from oose.first_start import make_root
from oose.pool import Inline
from oose.settings import Settings

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
    only with `make`. A process can do this once, as it runs the reactor; calls to an embedded
    database are done when they return, so long work lets the reactor have its turn in between.
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


def databases_of(settings: Settings, reactor: Any) -> Databases:
    """Those of one machine or of a cluster, not open yet; patient, as nobody else waits."""
    if settings.couchdb is None:
        here = Inline()
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
