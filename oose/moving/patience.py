"""Long work that a database's short absence must not end."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.errors import Unavailable

T = TypeVar("T")
TRIES = 6
PAUSE = 5.0  # seconds between two


async def insist(work: Callable[[], Awaitable[T]], clock: IReactorTime) -> T:
    """What `work` comes to, tried again while a database is away; its `Unavailable` in the end.

    It may be done twice, so that has to change nothing.
    """
    for _ in range(TRIES - 1):
        try:
            return await work()
        except Unavailable:
            await deferLater(clock, PAUSE)
    return await work()
