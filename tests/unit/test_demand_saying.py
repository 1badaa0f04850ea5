import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.demand.counter import Rate
from oose.demand.note import WORD_LIFE, Word
from oose.demand.saying import AT_ONCE, QUIET, RENEWAL, due, still_counting

NOW = 1_700_000_000_000


def hottest(**rates: float) -> list[Rate]:
    found = [Rate(name, rate) for name, rate in rates.items()]
    return sorted(found, key=lambda rate: rate.per_minute, reverse=True)


def test_what_was_not_said_yet_is_said_from_the_share_on() -> None:
    words = due(hottest(a=100.4, b=99.9), {}, 100.0, NOW)
    assert words == {"a": 100}


@pytest.mark.parametrize(
    ("rate", "is_said"), [(149, False), (150, True), (67, False), (66.6, True), (100, False)]
)
def test_what_was_said_is_said_again_when_it_has_changed_by_half(
    rate: float, is_said: bool
) -> None:
    words = due(hottest(a=rate), {"a": Word(100, NOW - 1)}, 100.0, NOW)
    assert words == ({"a": round(rate)} if is_said else {})


def test_what_was_said_is_said_again_before_it_counts_no_more() -> None:
    assert WORD_LIFE - RENEWAL + 30_000 > 2 * 30_000  # so that a round may fail
    assert due(hottest(a=100), {"a": Word(100, NOW - RENEWAL + 1)}, 100.0, NOW) == {}
    assert due(hottest(a=100), {"a": Word(100, NOW - RENEWAL)}, 100.0, NOW) == {"a": 100}


def test_what_is_not_hot_any_more_is_withdrawn() -> None:
    assert QUIET < 1
    assert due(hottest(b=500), {"a": Word(100, NOW)}, 100.0, NOW) == {"b": 500, "a": None}


def test_a_word_is_never_nothing() -> None:
    assert due(hottest(a=0.2), {}, 0.1, NOW) == {"a": 1}
    assert due(hottest(a=0.2), {"a": Word(1, NOW - RENEWAL)}, 0.1, NOW) == {"a": 1}


def test_words_that_count_no_more_are_forgotten() -> None:
    said = {"a": Word(1, NOW - WORD_LIFE), "b": Word(1, NOW - WORD_LIFE + 1)}
    assert still_counting(said, NOW) == {"b": said["b"]}


@given(
    st.lists(st.floats(50.0, 1e6), max_size=300),
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 10**6), st.integers(0, WORD_LIFE))),
)
def test_a_round_is_bounded_and_says_the_hottest_first(
    rates: list[float], said: list[tuple[int, int, int]]
) -> None:
    hot = [Rate(str(n), rate) for n, rate in enumerate(sorted(rates, reverse=True))]
    before = {str(n): Word(rate, NOW - age) for n, rate, age in said}
    words = due(hot, before, 100.0, NOW)
    assert len(words) <= AT_ONCE
    unheard = [each.hash for each in hot if each.per_minute >= 100 and each.hash not in before]
    told = [each for each in unheard if each in words]
    assert told == unheard[: len(told)]
    if len(words) < AT_ONCE:
        assert told == unheard
