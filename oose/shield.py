"""Finishing what has begun although whoever asked for it has left."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oose.log import part

T = TypeVar("T")
_log = part("shield")


async def shield(work: Coroutine[Deferred[Any], Any, T]) -> T:
    """Await `work`; cancelling this await leaves `work` running to its own end.

    For what must not stop half-way, such as the steps between a file's rename and its record.
    """
    outer: Deferred[T] = Deferred()

    def done(result: T) -> None:
        if not outer.called:
            outer.callback(result)

    def failed(failure: Failure) -> None:
        if outer.called:
            _log.failure("Failed after the client had left", failure)
        else:
            outer.errback(failure)

    Deferred.fromCoroutine(work).addCallbacks(done, failed)
    return await outer
