"""Where blocking work runs: named, bounded pools of threads, awaited from the reactor.

A disk has a pool of its own, so that a dying disk stalls neither the reactor nor its neighbour.
"""

import contextvars
import os
from collections.abc import Callable
from threading import Thread
from typing import ParamSpec, Protocol, TypeVar

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")
NICE = 10  # how much the threads step back; without it /ping waits twice as long beside transfers


class Pool(Protocol):
    """Runs blocking calls elsewhere."""

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `call` and return what it returns or raise what it raises.

        Cancelling the awaiting coroutine does not stop a call that has begun: a call must leave
        nothing behind that only its caller could clean up.
        """
        ...


class Yielding(Thread):
    """A thread that leaves the processor to the reactor where both want it."""

    def run(self) -> None:
        """See `Thread.run`."""
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
        super().run()


class Threads:
    """A `Pool` of at most `size` threads, named for the process list and the logs."""

    def __init__(self, name: str, size: int, reactor: IReactorFromThreads) -> None:
        self._threads = ThreadPool(minthreads=0, maxthreads=size, name=name)
        self._threads.threadFactory = Yielding
        self._reactor = reactor

    def start(self) -> None:
        """Accept work. Not before the process has daemonised: threads do not survive a fork."""
        self._threads.start()

    def stop(self) -> None:
        """Finish what has begun and what waits, then end the threads. Blocks meanwhile."""
        self._threads.stop()

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Pool.run`; log events in `call` carry the request they belong to."""
        context = contextvars.copy_context()
        return await deferToThreadPool(
            self._reactor, self._threads, lambda: context.run(call, *args, **kwargs)
        )


class Inline:
    """A `Pool` that runs calls where they are made: for tools that have no reactor to keep free."""

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Pool.run`."""
        return call(*args, **kwargs)
