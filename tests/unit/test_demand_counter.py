"""What is counted in bounded memory, against exact counts."""

from collections import Counter as Exact
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.demand.counter import HALF_LIFE, TICK, Counter, uncounted

TOLERANCE = 1e-9  # of floating point


def zipf(exponent: float, contents: int, requests: int, seed: int) -> list[str]:
    """Requests for contents whose popularity falls with their rank to the power of `exponent`."""
    weights = list(accumulate(1 / rank**exponent for rank in range(1, contents + 1)))
    names = [f"{rank:040x}" for rank in range(1, contents + 1)]
    return Random(seed).choices(names, cum_weights=weights, k=requests)


def unit() -> float:
    """The rate that one request of just now is taken for."""
    counter = Counter()
    counter.count("x")
    return counter.rate("x")


steps = st.lists(
    st.one_of(st.integers(0, 30), st.floats(0.1, 100.0)),  # a request of that content, or time
    max_size=300,
)


@given(steps, st.integers(1, 12))
def test_a_rate_is_never_too_high_and_too_low_by_the_error_at_most(
    said: list[int | float], most: int
) -> None:
    counter, exact, unlimited = Counter(most), Exact[str](), Counter()
    for each in said:
        if isinstance(each, int):
            counter.count(str(each))
            unlimited.count(str(each))
            exact[str(each)] += 1
        else:
            counter.age(each)
            unlimited.age(each)
        assert len(counter) <= most
    everything = sum(unlimited.rate(key) for key in exact)
    assert counter.error <= 2 / most * everything + TOLERANCE
    for key in exact:
        rate = unlimited.rate(key)
        assert rate - counter.error - TOLERANCE <= counter.rate(key) <= rate + TOLERANCE


@pytest.mark.parametrize("exponent", [0.8, 0.9, 1.0, 1.1])
def test_the_hottest_of_a_hundred_thousand_are_found_by_a_thousand_counters(
    exponent: float,
) -> None:
    trace = zipf(exponent, 100_000, 200_000, seed=7)
    counter, exact = Counter(1000), Exact(trace)
    for each in trace:
        counter.count(each)
    assert len(counter) <= 1000
    error = counter.error / unit()
    assert error <= 2 / 1000 * len(trace)
    rates = {rate.hash: rate.per_minute / unit() for rate in counter.hottest(0.0)}
    for content_hash, count in exact.items():
        assert count - error - TOLERANCE <= rates.get(content_hash, 0.0) <= count + TOLERANCE
    missed = [each for each, count in exact.items() if count > error and each not in rates]
    assert missed == []
    assert [rate.hash for rate in counter.hottest(0.0, 3)] == [
        each for each, _ in exact.most_common(3)
    ]


def test_what_comes_evenly_is_told_as_it_comes() -> None:
    counter = Counter()
    for _ in range(int(20 * HALF_LIFE / TICK)):
        for _ in range(50):
            counter.count("a")
        counter.age(TICK)
    assert counter.rate("a") == pytest.approx(50 * 60 / TICK, rel=1e-4)


def test_what_is_no_longer_asked_for_is_half_as_hot_after_a_half_life() -> None:
    counter = Counter()
    counter.count("a")
    before = counter.rate("a")
    for _ in range(int(HALF_LIFE / TICK)):
        counter.age(TICK)
    assert counter.rate("a") == pytest.approx(before / 2)


def test_what_suddenly_comes_is_half_told_after_a_half_life() -> None:
    counter = Counter()
    for _ in range(int(HALF_LIFE / TICK)):
        for _ in range(500):
            counter.count("viral")
        counter.age(TICK)
    assert counter.rate("viral") == pytest.approx(500 * 60 / TICK / 2)


def test_weights_stay_numbers_however_long_it_counts() -> None:
    counter = Counter(2)
    for _ in range(5000):
        for key in "aaab":
            counter.count(key)
        counter.age(HALF_LIFE)
    assert counter.rate("a") == pytest.approx(3 * unit(), rel=0.5)
    assert counter.rate("b") == pytest.approx(counter.rate("a") / 3)


def test_a_process_that_slept_for_a_week_has_forgotten() -> None:
    counter = Counter()
    counter.count("a")
    counter.age(7 * 86400.0)
    assert counter.rate("a") < 1e-50
    counter.count("b")
    assert counter.hottest(0.001) == counter.hottest(0.001, 1)
    assert counter.hottest(0.001)[0].hash == "b"


def test_a_clock_that_is_put_back_changes_nothing() -> None:
    counter = Counter()
    counter.count("a")
    before = counter.rate("a")
    counter.age(-1000.0)
    assert counter.rate("a") == before


def test_only_what_is_hot_enough_is_told_and_the_hottest_first() -> None:
    counter = Counter()
    for key in "abbcccc":
        counter.count(key)
    assert [rate.hash for rate in counter.hottest(2 * unit())] == ["c", "b"]
    assert [rate.hash for rate in counter.hottest(0.0, 1)] == ["c"]


def test_who_does_not_count_may_be_told_anything() -> None:
    uncounted("a" * 40)
