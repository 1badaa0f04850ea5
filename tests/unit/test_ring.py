from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.ring import WATCHERS, Ring

IDS = st.sets(st.text("abc:12", min_size=1, max_size=6), max_size=30)


def peers(count: int) -> list[str]:
    return [f"store:p:{n}" for n in range(count)]


def in_order(ids: list[str]) -> list[str]:
    return sorted(ids, key=lambda each: sha256(each.encode()).hexdigest())


def test_a_peer_is_watched_by_the_seven_before_it() -> None:
    order = in_order(peers(20))
    ring = Ring(peers(20))
    assert ring.watchers_of(order[10]) == order[9:2:-1]
    assert ring.watchers_of(order[2]) == [order[n] for n in (1, 0, 19, 18, 17, 16, 15)]
    assert ring.watched_by(order[10]) == order[11:18]
    assert ring.watched_by(order[18]) == [order[n] for n in (19, 0, 1, 2, 3, 4, 5)]


@pytest.mark.parametrize("count", range(1, 9))
def test_in_a_small_cluster_everybody_watches_everybody(count: int) -> None:
    ring = Ring(peers(count))
    for each in peers(count):
        others = set(peers(count)) - {each}
        assert set(ring.watchers_of(each)) == set(ring.watched_by(each)) == others


@given(IDS)
def test_who_is_watched_by_somebody_has_them_as_a_watcher(ids: set[str]) -> None:
    ring = Ring(ids)
    pairs = {(each, by) for each in ids for by in ring.watchers_of(each)}
    assert pairs == {(each, by) for by in ids for each in ring.watched_by(by)}
    assert len(pairs) == len(ids) * min(WATCHERS, max(0, len(ids) - 1))
    assert not any(each == by for each, by in pairs)


@given(IDS, st.text("abc:12", min_size=1, max_size=6))
def test_who_does_not_stand_on_the_ring_has_watchers_and_watches_nobody(
    ids: set[str], outside: str
) -> None:
    ring = Ring(ids - {outside})
    assert not ring.stands(outside)
    assert ring.watched_by(outside) == []
    assert ring.watchers_of(outside) == Ring(ids | {outside}).watchers_of(outside)


def test_who_stands_on_the_ring() -> None:
    ring = Ring(["a", "b", "a"])
    assert ring.stands("a")
    assert ring.watchers_of("a") == ["b"]


def test_a_peer_that_comes_changes_only_its_neighbours() -> None:
    before, after = Ring(peers(1000)), Ring(peers(1001))
    changed = [n for n in peers(1000) if before.watchers_of(n) != after.watchers_of(n)]
    assert len(changed) == WATCHERS
