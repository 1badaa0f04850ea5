"""A prism's part in clones on demand, under a clock."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.demand.note import WORD_LIFE
from oose.demand.service import REST, ROUND, Demand
from oose.errors import Unavailable
from oose.existence import Existence
from oose.following import Following
from oose.membership import BUNDLE
from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord
from oose.peer import Peer
from oose.readers import Readers
from oose.registry import Registry
from oose.settings.model import CloneSettings
from tests.simulation.memory import MemoryDocuments
from tests.unit.at_once import at_once
from tests.unit.logged import debugged, logged

HASH = "a" * 40
EPOCH = 1_700_000_000_000
SETTINGS = CloneSettings(bear=100, maximum=6, cool_after=600.0)


class Database(MemoryDocuments):
    """One that may be away."""

    problem: Exception | None = None

    async def get_many(self, ids: Any) -> Any:
        if self.problem is not None:
            raise self.problem
        return await super().get_many(ids)


def prism(name: str) -> Peer:
    url = f"http://{name}.example"
    return Peer("prism", name, name, name, 1, url, "g", name, "3", 1)


@define
class Cluster:
    """Prisms that share a database, and what each was told to clone."""

    names: tuple[str, ...] = ("p1",)
    settings: CloneSettings = SETTINGS
    follows: bool = True
    clock: Clock = field(factory=Clock)
    told: list[tuple[str, str]] = field(factory=list)
    documents: Database = field(init=False)
    registry: Registry = field(init=False)
    prisms: dict[str, Demand] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.documents = Database(self.clock)
        self.registry = Registry(MemoryDocuments(self.clock))
        for name in self.names:
            at_once(self.registry.register(prism(name)))
        self.prisms = {name: self.make(name) for name in self.names}

    def make(self, name: str) -> Demand:
        return Demand(
            name,
            self.documents,
            self.registry,
            self.settings,
            lambda hashes: self.told.extend((name, each) for each in hashes),
            follows=self.follows,
            clock=self.clock,
            now=self.now,
            chance=lambda: self.names.index(name) / len(self.names),
        )

    def now(self) -> int:
        return EPOCH + int(self.clock.seconds() * 1000)

    def start(self) -> None:
        for each in self.prisms.values():
            each.start()

    def stop(self) -> None:
        for each in self.prisms.values():
            stopped = Deferred.fromCoroutine(each.stop())
            assert stopped.called
        assert self.clock.getDelayedCalls() == []

    def view(self, per_second: int, seconds: int, *names: str) -> None:
        """Viewers who ask these prisms."""
        for _ in range(seconds):
            for name in names or self.names:
                for _ in range(per_second):
                    self.prisms[name].count(HASH)
            self.clock.advance(1.0)

    @property
    def document(self) -> Document | None:
        return self.documents.now().get(HASH)

    def prisms_heard(self) -> set[str]:
        return {name for name, _ in self.told}


def test_within_a_minute_all_hear_of_what_is_hot_somewhere() -> None:
    cluster = Cluster(("p1", "p2", "p3"))
    cluster.start()
    cluster.view(0, int(ROUND))
    cluster.view(20, int(2 * ROUND + REST), "p2")
    assert cluster.prisms_heard() == {"p1", "p2", "p3"}
    assert {each for _, each in cluster.told} == {HASH}
    cluster.stop()


def test_viewers_are_sent_to_a_new_clone_as_soon_as_it_is_heard_of() -> None:
    clock = Clock()
    inventory, registry = MemoryDocuments(clock), Registry(MemoryDocuments(clock))
    for store in ("s1", "s2"):
        at_once(registry.register(evolve(prism("p1"), kind="store", name=store, identity=store)))
    existence = Existence(inventory, registry, clock, 30.0)
    readers = Readers({}, lambda: 0.5, seconds=clock.seconds)
    following = Following(
        "Following the inventory",
        inventory,
        clock,
        on_changes=lambda ids: forgotten(existence, ids),
        on_everything=lambda: forgotten(existence, []),
        rest=BUNDLE,
    )
    following.start()

    def cloned(store: str) -> None:
        record = InventoryRecord(HASH, "p1", store, "video/mp4", "mp4", "aa/x.mp4", 5, 1)
        at_once(inventory.put(record.id, record.to_body()))

    def view() -> str:
        record = readers.in_order(existence.candidates(at_once(existence.last_known(HASH))))[0]
        readers.sent_to(record.place)
        return record.store

    cloned("s1")
    clock.advance(1.0)
    assert {view() for _ in range(100)} == {"s1"}
    cloned("s2")
    assert view() == "s1"
    clock.advance(2 * BUNDLE)
    assert [view() for _ in range(50)] == ["s2"] * 50  # it has had no viewers yet
    assert Deferred.fromCoroutine(following.stop()).called


async def forgotten(existence: Existence, ids: Sequence[str]) -> None:
    existence.forget_clones(ids)


def test_alone_it_hears_itself() -> None:
    cluster = Cluster(follows=False)
    cluster.start()
    cluster.view(20, 60)
    assert cluster.told == [("p1", HASH)] * len(cluster.told) != []
    (hot,) = cluster.prisms["p1"].hottest()
    assert hot.hash == HASH
    assert 500 < hot.per_minute < 700
    assert hot.desired > 2
    told = {"perMinute": hot.per_minute, "clones": hot.desired}
    assert cluster.prisms["p1"].named() == {HASH: told}
    cluster.stop()


def test_what_each_sees_a_little_of_is_hot_in_all() -> None:
    cluster = Cluster(("p1", "p2", "p3", "p4"))
    cluster.start()
    cluster.view(1, 400)  # each says 60, of which one clone bears 100
    assert cluster.prisms["p1"].hottest()[0].desired == 3
    cluster.stop()


def test_nothing_is_written_of_what_one_clone_bears() -> None:
    cluster = Cluster()
    cluster.start()
    cluster.view(1, 400)
    assert cluster.document is None
    cluster.stop()


def test_the_first_prism_tidies_up_for_all_and_another_when_it_is_gone() -> None:
    cluster = Cluster(("p1", "p2"))
    cluster.start()
    cluster.view(20, 90, "p2")
    for each in cluster.prisms.values():
        at_once(each.stop())
    cluster.clock.advance(WORD_LIFE / 1000 + 600)
    fresh = cluster.make("p2")
    at_once(fresh.agree())
    assert cluster.document is not None
    at_once(cluster.registry.vote_down("prism:p1"))
    at_once(fresh.agree())
    assert cluster.document is None


def test_a_prism_that_knows_of_no_prism_tidies_up_itself() -> None:
    cluster = Cluster(())
    at_once(cluster.documents.put(HASH, {"demand": {"level": 5, "since": 1}}))
    cluster.names = ("p1",)
    demand = cluster.make("p1")
    demand.count(HASH)
    at_once(demand.agree())
    assert cluster.document is None


def test_where_demand_is_off_nothing_is_counted_and_leftovers_go() -> None:
    cluster = Cluster(settings=evolve(SETTINGS, bear=0))
    left = {"demand": {"prisms": {"p1": {"perMinute": 9, "at": 1}}, "level": 5, "since": 1}}
    at_once(cluster.documents.put(HASH, left))
    cluster.start()
    cluster.view(50, 70)
    assert cluster.prisms["p1"].hottest() == []
    assert cluster.document is None
    assert cluster.told == []
    cluster.stop()


def test_a_database_that_is_away_is_asked_again_in_the_next_round() -> None:
    cluster = Cluster(follows=False)
    cluster.start()
    cluster.documents.problem = Unavailable("The database is away")
    with debugged("oose:demand") as seen, logged("critical") as failures:
        cluster.view(20, 60)
    assert any("The database is away" in each for each in seen)
    assert failures == []
    assert cluster.told == []
    cluster.documents.problem = None
    cluster.view(20, 30)
    assert cluster.told == [("p1", HASH)]
    cluster.stop()


@pytest.mark.parametrize("seconds", [0.0, 10.0, 100.0])
def test_it_ends_whenever_it_is_told(seconds: float) -> None:
    cluster = Cluster(("p1", "p2"))
    cluster.start()
    cluster.clock.advance(seconds)
    cluster.stop()


def test_one_that_never_began_can_be_ended() -> None:
    cluster = Cluster(follows=False)
    cluster.stop()


def test_the_statistics_are_numbers_and_name_no_content() -> None:
    cluster = Cluster()
    assert cluster.prisms["p1"].describe()["hottest"] == 0.0
    cluster.start()
    cluster.view(20, 90)
    numbers = cluster.prisms["p1"].describe()
    assert HASH not in json.dumps(numbers)
    assert numbers["counted"] == numbers["said"] == 1
    assert numbers["error"] == 0.0
    assert numbers["hottest"] > 700
    assert numbers["mostDesired"] == 6
    cluster.stop()
