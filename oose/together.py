"""Doing several things at once and waiting for all of them."""

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, gatherResults

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
Work = Coroutine[Deferred[Any], Any, T]


async def together(works: Iterable[Work[T]]) -> list[T]:
    """Run `works` side by side, each to its end; their results in order, or the first error.

    Cancelling this await cancels each of them.
    """
    all_of_them = list(works)
    if len(all_of_them) == 1:
        return [await all_of_them[0]]
    outcomes = await gatherResults([Deferred.fromCoroutine(_outcome(work)) for work in all_of_them])
    results = []
    for result, error in outcomes:
        if error is not None:
            raise error
        results.append(result)
    return results


async def both(first: Work[A], second: Work[B]) -> tuple[A, B]:
    """The same of two that come to different things."""
    results: list[Any] = await together([first, second])
    return results[0], results[1]


async def _outcome(work: Work[T]) -> tuple[T, None] | tuple[Any, Exception]:
    try:
        return await work, None
    except Exception as error:  # a cancellation too: it ends like any other failure
        return None, error
