from hypothesis import given
from hypothesis import strategies as st

from oose.remembered import Remembered


def remember(cache: Remembered[str], *keys: str, now: int = 0) -> None:
    for key in keys:
        cache.keep(key, key.upper(), now, read_at=cache.changes)


def test_a_value_is_remembered_for_its_life() -> None:
    cache: Remembered[str] = Remembered(100)
    remember(cache, "a", now=1000)
    assert cache.get("a", 1099) == "A"
    assert cache.get("a", 1100) is None
    assert cache.get("b", 1000) is None


def test_a_life_of_nothing_remembers_nothing() -> None:
    cache: Remembered[str] = Remembered(0)
    remember(cache, "a", now=1000)
    assert cache.get("a", 1000) is None


def test_a_value_that_is_kept_again_lives_anew() -> None:
    cache: Remembered[str] = Remembered(100)
    remember(cache, "a", now=0)
    remember(cache, "a", now=50)
    assert cache.get("a", 149) == "A"
    assert len(cache) == 1


def test_the_least_recently_used_goes_first() -> None:
    cache: Remembered[str] = Remembered(100, most=2)
    remember(cache, "a", "b")
    cache.get("a", 0)
    remember(cache, "c")
    assert list(cache.values()) == ["A", "C"]


def test_what_was_read_before_something_was_forgotten_is_not_kept() -> None:
    cache: Remembered[str] = Remembered(100)
    read_at = cache.changes
    cache.forget("b")
    cache.keep("a", "old", 0, read_at=read_at)
    assert cache.get("a", 0) is None
    read_at = cache.changes
    cache.flush()
    cache.keep("a", "old", 0, read_at=read_at)
    assert len(cache) == 0


def test_what_is_forgotten_is_gone_and_the_rest_is_not() -> None:
    cache: Remembered[str] = Remembered(100)
    remember(cache, "a", "b")
    cache.forget("a")
    assert (cache.get("a", 0), cache.get("b", 0)) == (None, "B")


def test_a_flush_says_how_many_there_were() -> None:
    cache: Remembered[str] = Remembered(100)
    remember(cache, "a", "b")
    assert cache.flush() == 2
    assert cache.flush() == 0
    assert list(cache.values()) == []


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 50))), st.integers(1, 4))
def test_it_never_holds_more_than_it_may_nor_tells_what_is_over(
    steps: list[tuple[str, int]], most: int
) -> None:
    cache: Remembered[str] = Remembered(20, most=most)
    kept: dict[str, int] = {}
    now = 0
    for key, passed in steps:
        now += passed
        value = cache.get(key, now)
        assert value is None or now < kept[key] + 20
        remember(cache, key, now=now)
        kept[key] = now
        assert len(cache) <= most
