"""Finishing what has begun although whoever asked for it has left."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oose.background import in_background
from oose.log import part

T = TypeVar("T")
_log = part("shield")


async def shield(work: Coroutine[Deferred[Any], Any, T]) -> T:
    """Await `work`; cancelling this await leaves `work` running to its own end.

    For what must not stop half-way, such as the steps between a file's rename and its record.
    """
    outer: Deferred[T] = Deferred()
    in_background(_carry_out(work, outer))
    return await outer


async def _carry_out(work: Coroutine[Deferred[Any], Any, T], outer: Deferred[T]) -> None:
    try:
        result = await work
    except Exception:
        if outer.called:
            _log.failure("Failed after the client had left", Failure())
        else:
            outer.errback(Failure())
    else:
        if not outer.called:
            outer.callback(result)
