"""Where viewers are sent when stores are loaded, better avoided, or not available."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.task import Clock

from oose.errors import NotFound, Unavailable
from oose.existence import Existence
from oose.metadata.records import InventoryRecord
from oose.readers import Nobody, Readers
from oose.viewing import Viewing
from tests.unit.at_once import at_once

HASH = "a" * 40


class Watching(Nobody):
    """Avoids some places and remembers those that were used."""

    def __init__(self) -> None:
        self.avoided: set[str] = set()
        self.heard: list[str] = []

    def avoids(self, place: str) -> bool:
        return place in self.avoided

    def used(self, place: str) -> None:
        self.heard.append(place)


@define
class Cluster:
    """Two stores with the same content, and the prism that sends viewers to them."""

    stores: list[str] = field(factory=lambda: ["a", "b"])
    available: set[str] = field(factory=lambda: {"p1:a", "p1:b"})
    loads: dict[str, Any] = field(factory=dict)
    watching: Watching = field(factory=Watching)

    async def records_of(self, hashes: list[str], *, fresh: bool) -> Any:
        """As `Existence`."""
        found = [
            InventoryRecord(HASH, "p1", name, "text/plain", "txt", "aa/x.txt", 5, 1)
            for name in self.stores
        ]
        return dict.fromkeys(hashes, found)

    def serving(self, place: str) -> Any:
        """As the registry."""
        name = place.partition(":")[2]
        url = f"http://{name}.example"
        return SimpleNamespace(url=url, name=name) if place in self.available else None

    def view(self) -> str:
        """Where a viewer is sent."""
        part: Any = self
        existence = Existence(
            part, part, Clock(), 30.0, serves=lambda place: not self.watching.avoids(place)
        )
        existence.records_of = self.records_of  # type: ignore[method-assign, assignment] # known
        readers = Readers(self.loads, random.random, watcher=self.watching)
        clients: Any = SimpleNamespace(forwarded_scheme=lambda request: None)
        viewing = Viewing(
            part, existence, part, readers, clients, Clock(), domain=None, deny_static=frozenset()
        )
        request: Any = SimpleNamespace(query=b"")
        answer = at_once(viewing.static(request, HASH, "x.txt"))
        assert answer.status == 302
        return dict(answer.headers)[b"Location"].decode()


def test_a_viewer_is_sent_to_a_store_that_nothing_speaks_against() -> None:
    cluster = Cluster()
    cluster.watching.avoided = {"p1:a"}
    cluster.loads = {"p1:b": lambda: 9}
    assert {cluster.view() for _ in range(5)} == {"http://b.example/static/aa/x.txt"}
    assert set(cluster.watching.heard) == {"p1:b"}


def test_when_all_are_better_avoided_the_least_loaded_is_used() -> None:
    cluster = Cluster()
    cluster.watching.avoided = {"p1:a", "p1:b"}
    cluster.loads = {"p1:b": lambda: 9}
    assert cluster.view() == "http://a.example/static/aa/x.txt"
    assert cluster.watching.heard == ["p1:a"]


def test_a_store_that_the_cluster_holds_to_be_down_is_not_used() -> None:
    cluster = Cluster(available={"p1:b"})
    assert {cluster.view() for _ in range(5)} == {"http://b.example/static/aa/x.txt"}
    cluster.available = set()
    with pytest.raises(Unavailable):
        cluster.view()
    cluster.stores = []
    with pytest.raises(NotFound):
        cluster.view()
