from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from oose.loop import Loop


@define
class Rounds:
    """A loop of 10 seconds whose rounds are counted; `wait` holds up the one under way."""

    clock: Clock = field(factory=Clock)
    count: int = 0
    wait: Deferred[None] | None = None
    loop: Loop = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.loop = Loop("sweep", self._round, 10.0, self.clock)

    async def _round(self) -> None:
        self.count += 1
        if self.wait is not None:
            await self.wait

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.loop.stop())


def test_the_first_round_comes_after_so_many_seconds_and_then_again_and_again() -> None:
    rounds = Rounds()
    rounds.loop.start()
    rounds.clock.advance(9.9)
    assert rounds.count == 0
    rounds.clock.pump([0.1, 10, 10])
    assert rounds.count == 3


def test_there_are_never_two_rounds_at_once() -> None:
    rounds = Rounds(wait=Deferred())
    rounds.loop.start()
    rounds.clock.pump([10, 10, 10])
    assert rounds.count == 1
    assert rounds.wait is not None
    rounds.wait.callback(None)
    rounds.clock.advance(10)
    assert rounds.count == 2


def test_a_failed_round_is_in_the_log_and_not_the_last() -> None:
    failing: Deferred[None] = Deferred()
    rounds = Rounds(wait=failing)
    rounds.loop.start()
    rounds.clock.advance(10)
    with capturedLogs() as events:
        failing.errback(ZeroDivisionError())
    (event,) = events
    assert event["name"] == "sweep"
    assert event["log_failure"].type is ZeroDivisionError
    rounds.wait = None
    rounds.clock.advance(10)
    assert rounds.count == 2


def test_after_a_stop_there_is_no_round_and_nothing_left_to_call() -> None:
    rounds = Rounds()
    rounds.loop.start()
    rounds.clock.advance(10)
    assert rounds.stop().called
    rounds.clock.advance(100)
    assert rounds.count == 1
    assert rounds.clock.getDelayedCalls() == []


def test_a_stop_waits_for_the_round_under_way() -> None:
    wait: Deferred[None] = Deferred()
    rounds = Rounds(wait=wait)
    rounds.loop.start()
    rounds.clock.advance(10)
    stopped = rounds.stop()
    assert not stopped.called
    wait.callback(None)
    assert stopped.called
    assert rounds.clock.getDelayedCalls() == []


def test_a_loop_that_has_not_begun_or_has_ended_can_be_stopped() -> None:
    rounds = Rounds()
    assert rounds.stop().called
    rounds.loop.start()
    assert rounds.stop().called
    assert rounds.stop().called
