import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose import readers as module
from oose.metadata.records import InventoryRecord
from oose.readers import HALF_LIFE, Nobody, Readers

SHA1 = "a03f181dc7dedcfb577511149b8844711efdb04f"


def clone(store: str) -> InventoryRecord:
    return InventoryRecord(SHA1, "prism1", store, "video/mp4", "mp4", "a0/3f/a03f.mp4", 10, 1)


def order(readers: Readers, *stores: str) -> list[str]:
    return [each.store for each in readers.in_order([clone(store) for store in stores])]


def test_the_least_loaded_store_is_asked_first() -> None:
    loads = {"prism1:a": lambda: 3, "prism1:b": lambda: 1, "prism1:c": lambda: 2}
    assert order(Readers(loads, random.random), "a", "b", "c") == ["b", "c", "a"]


def test_a_store_elsewhere_counts_as_idle() -> None:
    assert order(Readers({"prism1:a": lambda: 1}, random.random), "a", "far") == ["far", "a"]


def test_chance_decides_between_equals() -> None:
    chances = iter([0.9, 0.1, 0.5])
    assert order(Readers({}, lambda: next(chances)), "a", "b", "c") == ["b", "c", "a"]


def test_clones_of_the_same_place_and_chance_can_be_ordered_too() -> None:
    assert order(Readers({}, lambda: 0.5), "a", "a") == ["a", "a"]
    assert order(Readers({}, random.random)) == []


class Now:
    """The time, as a test has it."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Watching(Nobody):
    """Avoids some places and remembers those that were used or failed."""

    def __init__(self, *avoided: str) -> None:
        self.avoided = {f"prism1:{store}" for store in avoided}
        self.heard: list[str] = []

    def avoids(self, place: str) -> bool:
        return place in self.avoided

    def used(self, place: str) -> None:
        self.heard.append(f"used {place}")

    def failed(self, place: str, why: object = None) -> None:
        self.heard.append(f"failed {place}")


def test_stores_to_avoid_are_asked_last_and_asked_all_the_same() -> None:
    loads = {"prism1:a": lambda: 1, "prism1:b": lambda: 7, "prism1:c": lambda: 2}
    assert order(Readers(loads, random.random, watcher=Watching("a")), *"abc") == ["c", "b", "a"]
    every = Readers(loads, random.random, watcher=Watching(*"abc"))
    assert order(every, *"abc") == ["a", "c", "b"]


def test_viewers_weigh_on_a_store_for_some_seconds() -> None:
    now = Now()
    readers = Readers({}, lambda: 0.5, seconds=now)
    for _ in range(4):
        readers.sent_to("prism1:a")
    readers.sent_to("prism1:b")
    assert order(readers, *"abc") == ["c", "b", "a"]
    now.seconds += HALF_LIFE
    for _ in range(3):
        readers.sent_to("prism1:b")
    assert order(readers, *"abc") == ["c", "a", "b"]
    now.seconds += 20 * HALF_LIFE
    assert order(readers, *"bca") == list("bca")


def test_what_is_read_weighs_on_a_store_until_it_is_left() -> None:
    readers = Readers({}, lambda: 0.5)
    readers.reading("prism1:a")
    readers.reading("prism1:a")
    readers.left("prism1:a")
    assert order(readers, *"ab") == ["b", "a"]
    readers.left("prism1:a")
    assert order(readers, *"ab") == ["a", "b"]


def test_viewers_of_a_store_that_is_here_are_not_counted_twice() -> None:
    readers = Readers({"prism1:a": lambda: 3}, lambda: 0.5, seconds=Now())
    for place in ("prism1:a", "prism1:a", "prism1:b", "prism1:b", "prism1:b", "prism1:b"):
        readers.sent_to(place)
    assert order(readers, *"ba") == ["a", "b"]


def test_of_equals_those_that_are_here_can_be_preferred() -> None:
    readers = Readers({"prism1:a": lambda: 0}, lambda: 0.5)
    clones = [clone("far"), clone("a")]
    assert readers.in_order(clones)[0].store == "far"
    assert readers.in_order(clones, near_first=True)[0].store == "a"
    readers.reading("prism1:a")
    assert readers.in_order(clones, near_first=True)[0].store == "far"


def test_viewers_are_remembered_of_so_many_stores_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACES", 1)
    readers = Readers({}, lambda: 0.5)
    readers.sent_to("prism1:a")
    readers.sent_to("prism1:b")
    assert order(readers, *"ba") == ["a", "b"]


def test_whoever_watches_hears_of_what_is_used_and_fails() -> None:
    watching = Watching()
    readers = Readers({}, random.random, watcher=watching)
    readers.sent_to("prism1:a")
    readers.reading("prism1:b")
    readers.failed("prism1:b")
    assert watching.heard == ["used prism1:a", "used prism1:b", "failed prism1:b"]
    nobody = Readers({}, random.random)
    nobody.failed("prism1:b")
    assert not Nobody().avoids("prism1:b")


@given(picks=st.integers(1, 200), stores=st.integers(1, 8))
def test_viewers_are_spread_evenly(picks: int, stores: int) -> None:
    readers = Readers({}, random.Random(7).random, seconds=lambda: 0.0)
    sent = Counter[str]()
    for _ in range(picks):
        (first, *_) = readers.in_order([clone(f"s{number}") for number in range(stores)])
        readers.sent_to(first.place)
        sent[first.place] += 1
    assert max(sent.values()) - min(sent[f"prism1:s{n}"] for n in range(stores)) <= 1
