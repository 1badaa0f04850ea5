"""No more than so much a second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from oose.pace import Pace


class Taking:
    """What was taken of a pace, and when."""

    def __init__(self, rate: float | None, since: float = 1000.0) -> None:
        self.clock = Clock()
        self.clock.advance(since)
        self.pace = Pace(rate, self.clock)
        self.taken: list[tuple[float, float]] = []

    def take(self, amount: float) -> "Deferred[None]":
        return Deferred.fromCoroutine(self._take(amount))

    async def _take(self, amount: float) -> None:
        await self.pace.take(amount)
        self.taken.append((self.clock.seconds(), amount))

    def pass_by(self, seconds: float) -> None:
        """Let time go by, and everybody have their turn when it comes."""
        end = self.clock.seconds() + seconds
        while (calls := self.clock.getDelayedCalls()) and calls[0].getTime() <= end:
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    @property
    def times(self) -> list[float]:
        return [when - 1000 for when, _ in self.taken]


def test_the_first_is_taken_at_once_and_the_next_when_it_is_paid_for() -> None:
    taking = Taking(10)
    for amount in (20, 5, 1):
        _ = taking.take(amount)
    assert taking.times == [0]
    taking.clock.advance(1.9)
    assert taking.times == [0]
    taking.clock.pump([0.1] * 10)
    assert taking.times == pytest.approx([0, 2, 2.5])


def test_time_in_which_nothing_was_taken_is_not_saved_up() -> None:
    taking = Taking(10)
    _ = taking.take(10)
    taking.clock.advance(100)
    for _n in range(2):
        _ = taking.take(10)
    assert taking.times == [0, 100]
    taking.clock.advance(1)
    assert taking.times == [0, 100, 101]


def test_without_a_rate_nobody_waits() -> None:
    taking = Taking(None)
    for _n in range(3):
        _ = taking.take(1e12)
    assert taking.times == [0, 0, 0]
    assert not taking.clock.getDelayedCalls()


def test_nothing_costs_nothing() -> None:
    taking = Taking(1)
    for _n in range(3):
        _ = taking.take(0)
    assert taking.times == [0, 0, 0]


def test_who_leaves_holds_up_nobody_for_longer() -> None:
    taking = Taking(1)
    first, second, third = (taking.take(2) for _ in range(3))
    _ = second.addErrback(lambda failure: failure.trap(CancelledError) and None)
    second.cancel()
    taking.clock.advance(4)
    assert first.called
    assert third.called
    assert taking.times == [0, 4]
    assert not taking.clock.getDelayedCalls()


def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_what_is_owed() -> None:
    taking = Taking(1)
    _ = taking.take(5)
    taking.clock.rightNow -= 500
    _ = taking.take(1)
    (call,) = taking.clock.getDelayedCalls()
    assert call.getTime() - taking.clock.seconds() == 5
    taking.clock.advance(5)
    assert len(taking.taken) == 2


AMOUNTS = st.floats(0.01, 1000, allow_nan=False)
STEPS = st.lists(st.tuples(st.floats(0, 100), AMOUNTS), max_size=40)


@given(st.floats(0.1, 1000), STEPS)
def test_in_no_time_more_is_taken_than_its_rate_allows_and_one_take(
    rate: float, steps: list[tuple[float, float]]
) -> None:
    taking = Taking(rate)
    for pause, amount in steps:
        _ = taking.take(amount)
        taking.pass_by(pause)
    taking.pass_by(1e9)
    taken = taking.taken
    assert len(taken) == len(steps)
    for first in range(len(taken)):
        total = 0.0
        for when, amount in taken[first:]:
            total += amount
            allowed = rate * (when - taken[first][0]) + amount
            assert total <= allowed + 1e-6 * rate  # the clock counts no finer
