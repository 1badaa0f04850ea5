import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from oose.shield import shield


class Work:
    """Waits for `wait`; `ended` once it has come to its own end."""

    def __init__(self) -> None:
        self.wait: Deferred[str] = Deferred()
        self.ended = False
        self.shielded = Deferred.fromCoroutine(shield(self._work()))

    async def _work(self) -> str:
        try:
            return await self.wait
        finally:
            self.ended = True

    async def leave(self) -> None:
        """Whoever asked for it does not wait any longer."""
        self.shielded.cancel()
        with pytest.raises(CancelledError):
            await self.shielded


@pytest_twisted.ensureDeferred
async def test_who_stays_gets_the_result() -> None:
    work = Work()
    work.wait.callback("done")
    assert await work.shielded == "done"


@pytest_twisted.ensureDeferred
async def test_who_stays_gets_the_error_and_the_log_nothing() -> None:
    work = Work()
    with capturedLogs() as events:
        work.wait.errback(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await work.shielded
    assert events == []


@pytest_twisted.ensureDeferred
async def test_work_goes_on_to_its_end_though_whoever_asked_has_left() -> None:
    work = Work()
    await work.leave()
    assert not work.ended
    work.wait.callback("done")
    assert work.ended


@pytest_twisted.ensureDeferred
async def test_what_fails_after_that_is_in_the_log() -> None:
    work = Work()
    await work.leave()
    with capturedLogs() as events:
        work.wait.errback(ZeroDivisionError())
    (event,) = events
    assert event["log_format"] == "Failed after the client had left"
    assert event["log_failure"].type is ZeroDivisionError


@pytest_twisted.ensureDeferred
async def test_work_that_waits_for_nothing_is_done_at_once() -> None:
    async def work() -> int:
        return 5

    assert await shield(work()) == 5
