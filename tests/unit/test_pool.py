import os
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from oose.pool import NICE, Inline, Pool, Threads
from tests.real import reactor

request: ContextVar[str] = ContextVar("request", default="none")


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads("disk1", 2, reactor)
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture(params=["threads", "inline"])
def pool(request: pytest.FixtureRequest, threads: Threads) -> Pool:
    return threads if request.param == "threads" else Inline()


@pytest_twisted.ensureDeferred
async def test_a_call_gets_its_arguments_and_returns_its_result(pool: Pool) -> None:
    assert await pool.run(divmod, 7, 3) == (2, 1)
    assert await pool.run(int, "ff", base=16) == 255


@pytest_twisted.ensureDeferred
async def test_what_a_call_raises_is_raised_to_who_awaits_it(pool: Pool) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await pool.run(int, "x")


@pytest_twisted.ensureDeferred
async def test_a_call_belongs_to_the_request_it_was_made_for(pool: Pool) -> None:
    reset = request.set("r1")
    try:
        assert await pool.run(request.get) == "r1"
    finally:
        request.reset(reset)


@pytest_twisted.ensureDeferred
async def test_threads_leave_the_reactors_thread_free_and_bear_their_name(threads: Threads) -> None:
    name = await threads.run(lambda: threading.current_thread().name)
    assert "disk1" in name
    assert name != threading.current_thread().name


@pytest_twisted.ensureDeferred
async def test_inline_calls_are_made_where_they_are_asked_for() -> None:
    assert await Inline().run(threading.current_thread) is threading.current_thread()


@pytest_twisted.ensureDeferred
async def test_no_more_threads_than_allowed_work_at_once(threads: Threads) -> None:
    """Each of four calls waits until there are two of them: a third at once would be counted."""
    both = threading.Barrier(2, timeout=30)
    lock = threading.Lock()
    working: list[int] = [0, 0]  # now, and at most

    def work() -> None:
        with lock:
            working[0] += 1
            working[1] = max(working)
        both.wait()
        with lock:
            working[0] -= 1

    await gatherResults([Deferred.fromCoroutine(threads.run(work)) for _ in range(4)])
    assert working == [0, 2]


@pytest_twisted.ensureDeferred
async def test_a_call_that_has_begun_ends_although_nobody_awaits_it(threads: Threads) -> None:
    go_on, ended = threading.Event(), Deferred[None]()

    def work() -> None:
        go_on.wait(30)
        reactor.callFromThread(ended.callback, None)

    waiting = Deferred.fromCoroutine(threads.run(work))
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    go_on.set()
    await ended


def test_stopping_finishes_what_waits() -> None:
    pool = Threads("disk1", 1, reactor)
    done: list[int] = []
    waiting = [Deferred.fromCoroutine(pool.run(done.append, n)) for n in range(5)]
    pool.start()
    pool.stop()
    assert done == [0, 1, 2, 3, 4]
    assert len(waiting) == 5


@pytest_twisted.ensureDeferred
async def test_the_threads_leave_the_processor_to_the_reactor(threads: Threads) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert await threads.run(os.getpriority, os.PRIO_PROCESS, 0) == min(own + NICE, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
