from typing import Any

import pytest
from attrs import define, field

from oose.errors import BadInput
from oose.prism_caches import PrismCaches
from oose.stats import Hits, Stats

HOT = {"aa": {"perMinute": 700.0, "clones": 2}}


@define
class Memory:
    """A part of a prism that remembers `count` things."""

    count: int = 0

    def known(self) -> dict[str, int]:
        return {"aa": self.count}

    def cached(self) -> dict[str, int]:
        return {"bb": self.count}

    def flush(self) -> int:
        count, self.count = self.count, 0
        return count

    forget_all = flush


@define
class Redirects:
    content_hits: Hits = field(factory=Hits)
    store_hits: Hits = field(factory=Hits)


@pytest.fixture
def caches() -> PrismCaches:
    stats, viewing = Stats(0.0, "3.0"), Redirects()
    stats.count("ping", 200)
    viewing.content_hits.count("aa")
    viewing.store_hits.count("prism1:store1")
    viewing.store_hits.count("prism1:store2")
    parts: tuple[Any, Any, Any] = (viewing, Memory(3), Memory(4))
    return PrismCaches(stats, *parts, lambda: HOT)


@pytest.mark.parametrize("command", [None, "all"])
def test_all_is_meant_where_nothing_is_said(caches: PrismCaches, command: str | None) -> None:
    assert caches.detail(command) == {
        "stats": {"ping:200": 1},
        "prismHits": {"aa": 1},
        "storeHits": {"prism1:store1": 1, "prism1:store2": 1},
        "hottest": HOT,
        "exists": {"aa": 3},
        "purchases": {"bb": 4},
    }
    assert caches.flush(command) == 1 + 1 + 2 + 3 + 4
    assert caches.flush(command) == 0


@pytest.mark.parametrize(("command", "count"), [("stats", 1), ("prismHits", 1), ("storeHits", 2)])
def test_one_cache_is_seen_and_emptied_alone(caches: PrismCaches, command: str, count: int) -> None:
    assert list(caches.detail(command)) == [command]
    assert len(caches.detail(command)[command]) == count
    assert caches.flush(command) == count
    assert caches.detail(command) == {command: {}}
    assert caches.flush("all") == 11 - count


@pytest.mark.parametrize("command", ["", "purchases", 5, ["all"], {"all": 1}, True])
def test_an_unknown_cache_is_refused(caches: PrismCaches, command: object) -> None:
    expected = "command must be one of all, stats, prismHits, storeHits, "
    with pytest.raises(BadInput, match=f"{expected}hottest, not "):
        caches.detail(command)
    with pytest.raises(BadInput, match=f"{expected}not "):
        caches.flush(command)


def test_what_is_hottest_is_seen_by_name_and_not_emptied(caches: PrismCaches) -> None:
    assert caches.detail("hottest") == {"hottest": HOT}
    with pytest.raises(BadInput, match="command must be one of"):
        caches.flush("hottest")
