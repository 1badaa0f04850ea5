"""Running what needs a reactor, for a command that is done when it is."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.python.failure import Failure

from oose.cli.exits import FAILED, NOT_ALLOWED, NOT_FOUND, UNAVAILABLE, CommandFailed
from oose.errors import NotAllowed, NotFound, OoseError, Unavailable

T = TypeVar("T")
CODES: Mapping[type[OoseError], int] = {NotFound: NOT_FOUND}
OF_OTHERS: Mapping[type[OoseError], int] = {
    **CODES,
    NotAllowed: NOT_ALLOWED,
    Unavailable: UNAVAILABLE,
}


def run_reacting(work: Callable[[Any], Coroutine[Deferred[Any], Any, T]]) -> T:
    """Run `work`, which gets the reactor; `CommandFailed` for what it refuses.

    An interrupt cancels it, and what it does then, such as to close what it has opened, is waited
    for. A process can do this once.
    """
    results: list[T] = []
    failures: list[Failure] = []

    async def main(reactor: Any) -> None:
        working = Deferred.fromCoroutine(work(reactor))
        is_over: Deferred[None] = Deferred()

        def interrupt() -> Deferred[None]:
            working.cancel()
            return is_over

        reactor.addSystemEventTrigger("before", "shutdown", interrupt)
        try:
            results.append(await working)
        except CancelledError:
            pass  # it was interrupted, and has no result
        except Exception:
            failures.append(Failure())
        is_over.callback(None)

    with suppress(SystemExit):
        react(main)
    return outcome(results, failures, OF_OTHERS)


def outcome(
    results: Sequence[T],
    failures: Sequence[Failure],
    codes: Mapping[type[OoseError], int] = CODES,
) -> T:
    """The result, or the failure in words; neither when it was interrupted."""
    for failure in failures:
        error = failure.value
        if isinstance(error, OoseError):
            notes = "".join(f" ({each})" for each in getattr(error, "__notes__", ()))
            raise CommandFailed(error.message + notes, code_of(error, codes))
        failure.raiseException()
    if not results:
        raise KeyboardInterrupt
    return results[0]


def code_of(error: OoseError, codes: Mapping[type[OoseError], int]) -> int:
    """The exit code of the nearest kind that an error is of."""
    return next((codes[kind] for kind in type(error).__mro__ if kind in codes), FAILED)
