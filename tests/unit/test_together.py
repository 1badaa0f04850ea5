import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from oose.together import together
from tests.unit.at_once import at_once


async def after(wait: Deferred[str] | None, result: str) -> str:
    return await wait if wait is not None else result


def start(*waits: Deferred[str] | None) -> Deferred[list[str]]:
    works = [after(wait, str(n)) for n, wait in enumerate(waits)]
    return Deferred.fromCoroutine(together(works))


def pending(count: int) -> list[Deferred[str]]:
    return [Deferred() for _ in range(count)]


def test_nothing_to_do_is_done_at_once() -> None:
    assert at_once(together([])) == []


@pytest_twisted.ensureDeferred
async def test_results_come_in_order_whoever_ends_first() -> None:
    first, second = pending(2)
    all_of_it = start(first, second, None)
    second.callback("b")
    assert not all_of_it.called
    first.callback("a")
    assert await all_of_it == ["a", "b", "2"]


@pytest_twisted.ensureDeferred
async def test_one_that_fails_does_not_stop_the_others_and_the_first_error_is_raised() -> None:
    first, second, third = pending(3)
    all_of_it = start(first, second, third)
    third.errback(ZeroDivisionError())
    second.errback(KeyError())
    assert not all_of_it.called
    first.callback("a")
    with pytest.raises(KeyError):
        await all_of_it


@pytest_twisted.ensureDeferred
async def test_cancelling_cancels_each() -> None:
    ended: list[int] = []

    async def work(n: int) -> None:
        try:
            await Deferred()
        finally:
            ended.append(n)

    all_of_it = Deferred.fromCoroutine(together([work(n) for n in range(3)]))
    all_of_it.cancel()
    assert ended == [0, 1, 2]
    with pytest.raises(CancelledError):
        await all_of_it


@pytest_twisted.ensureDeferred
async def test_work_that_must_end_is_waited_for_though_all_is_cancelled() -> None:
    cleaned_up: Deferred[None] = Deferred()

    async def work() -> None:
        try:
            await Deferred()
        finally:
            await cleaned_up

    outcomes: list[object] = []
    all_of_it = Deferred.fromCoroutine(together([work()]))
    _ = all_of_it.addBoth(outcomes.append)
    all_of_it.cancel()
    assert outcomes == []
    cleaned_up.callback(None)
    (outcome,) = outcomes
    assert isinstance(outcome, Failure)
    assert outcome.check(CancelledError)
