"""One lookup for many askers, and a cache that never says too long what is no longer so."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose import existence as module
from oose.errors import Unavailable
from oose.existence import Existence
from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord

HASH = "a" * 40
OTHER = "b" * 40


def record(store: str = "s1", content_hash: str = HASH) -> InventoryRecord:
    return InventoryRecord(content_hash, "p1", store, "text/plain", "txt", "x", 5, 1)


class Inventory:
    """An inventory that answers when a test says so."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.answers: list[Deferred[Mapping[str, Sequence[Document]]]] = []

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        self.asked.append(prefixes)
        self.answers.append(Deferred())
        return await self.answers[-1]

    def answer(self, *records: InventoryRecord, number: int = -1) -> None:
        rows: dict[str, list[Document]] = {prefix: [] for prefix in self.asked[number]}
        for each in records:
            rows[f"{each.hash}:"].append(Document(each.id, "1-x", each.to_body()))
        self.answers[number].callback(rows)


class Room:
    """An existence cache of 30 seconds before such an inventory; `available` are the stores."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.inventory = Inventory()
        self.available: set[str] = set()
        self.dead: set[str] = set()
        self.used: list[str] = []
        documents: Any = self.inventory
        registry: Any = self
        self.existence = Existence(
            documents,
            registry,
            self.clock,
            30.0,
            serves=lambda place: place not in self.dead,
            used=self.used.append,
        )

    def serving(self, place: str) -> str | None:
        """As the registry."""
        return place if place in self.available else None

    def insist(self, asked: Any, tries: int, seconds: float) -> list[Any]:
        """What insisting gives, once it does."""
        got: list[Any] = []
        work = Deferred.fromCoroutine(self.existence.insist(asked, tries, seconds))
        _ = work.addBoth(got.append)
        return got

    def ask(self, content_hash: str = HASH, *, fresh: bool = False) -> list[Any]:
        """What a lookup gives, once it does."""
        return self.outcome(self.existence.records(content_hash, fresh=fresh))

    def read(self) -> list[Any]:
        """What somebody who only reads is told."""
        return self.outcome(self.existence.last_known(HASH))

    def outcome(self, asking: Coroutine[Deferred[Any], Any, Any]) -> list[Any]:
        got: list[Any] = []
        _ = Deferred.fromCoroutine(asking).addBoth(got.append)
        return got


def test_many_askers_cost_one_lookup() -> None:
    room = Room()
    got = [room.ask() for _ in range(5)]
    assert len(room.inventory.asked) == 1
    room.inventory.answer(record())
    assert got == [[[record()]]] * 5
    assert room.ask() == [[record()]]
    assert len(room.inventory.asked) == 1


def test_what_is_known_is_looked_up_again_after_its_life() -> None:
    room = Room()
    room.ask()
    room.inventory.answer(record())
    room.clock.advance(29.9)
    room.ask()
    assert len(room.inventory.asked) == 1
    room.clock.advance(0.1)
    room.ask()
    assert len(room.inventory.asked) == 2


def test_what_is_not_there_is_kept_for_a_second_at_most() -> None:
    room = Room()
    room.ask()
    room.inventory.answer()
    room.clock.advance(0.9)
    assert room.ask() == [[]]
    room.clock.advance(0.1)
    assert room.ask() == []


def test_whoever_wants_it_fresh_looks_past_the_cache() -> None:
    room = Room()
    room.ask()
    room.inventory.answer(record())
    got = room.ask(fresh=True)
    assert got == []
    room.inventory.answer()
    assert got == [[]]
    assert room.ask() == [[]]


def test_a_lookup_that_was_overtaken_is_not_kept() -> None:
    room = Room()
    first = room.ask()
    second = room.ask(fresh=True)
    room.inventory.answer(number=1)
    room.inventory.answer(record(), number=0)
    assert (first, second) == ([[record()]], [[]])
    assert room.ask() == [[]]


def test_what_is_forgotten_during_a_lookup_is_looked_up_again() -> None:
    room = Room()
    got = room.ask()
    room.existence.forget(HASH)
    room.inventory.answer(record())
    assert got == [[record()]]
    assert room.ask() == []


def test_everything_can_be_forgotten() -> None:
    room = Room()
    room.ask()
    room.inventory.answer(record("s1"), record("s2"))
    assert room.existence.known() == {HASH: 2}
    assert room.existence.forget_all() == 1
    assert room.existence.known() == {}
    assert room.ask() == []


def test_a_failure_is_told_to_everybody_and_not_kept() -> None:
    room = Room()
    got = [room.ask() for _ in range(3)]
    room.inventory.answers[0].errback(Unavailable("away"))
    for each in got:
        assert each[0].check(Unavailable)
    room.ask()
    assert len(room.inventory.asked) == 2


def test_an_asker_that_leaves_takes_nothing_from_the_others() -> None:
    room = Room()
    first = Deferred.fromCoroutine(room.existence.records(HASH))
    second = Deferred.fromCoroutine(room.existence.records(HASH))
    third = room.ask()
    for leaving in (first, second):
        _ = leaving.addErrback(lambda _: None)
        leaving.cancel()
    room.inventory.answer(record())
    assert third == [[record()]]


def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES", 1)
    room = Room()
    room.ask(HASH)
    room.inventory.answer(record())
    room.ask(OTHER)
    room.inventory.answer(record(content_hash=OTHER))
    assert list(room.existence.known()) == [OTHER]


def test_insisting_ends_when_it_exists_or_the_tries_are_over() -> None:
    room = Room()
    got = room.insist(HASH, 3, 3.0)
    room.inventory.answer()
    assert got == []
    room.clock.advance(1)
    room.inventory.answer()
    room.clock.advance(1)
    room.inventory.answer()
    assert len(room.inventory.asked) == 3
    assert not got[0]["exists"]
    room.available.add("p1:s1")
    got = room.insist([HASH], 3, 3.0)
    room.inventory.answer(record())
    assert got[0][HASH]["count"] == 1
    assert not room.clock.getDelayedCalls()


def test_insisting_ends_when_the_time_is_over_though_tries_are_left() -> None:
    room = Room()
    got = room.insist(HASH, 4, 4.0)
    room.clock.advance(3.5)
    room.inventory.answer()
    assert not got[0]["exists"]
    assert not room.clock.getDelayedCalls()


def test_insisting_on_a_database_that_is_away_fails_at_once() -> None:
    room = Room()
    got = room.insist(HASH, 3, 3.0)
    room.inventory.answers[0].errback(Unavailable("away"))
    assert got[0].check(Unavailable)
    assert not room.clock.getDelayedCalls()


def test_insisting_on_a_database_that_says_nothing_fails_in_time() -> None:
    room = Room()
    got = room.insist(HASH, 3, 3.0)
    room.inventory.answer()
    room.clock.advance(1)
    room.clock.advance(1.9)
    assert got == []
    room.clock.advance(0.1)
    assert got[0].check(Unavailable)
    assert got[0].value.retry_after == 5
    room.inventory.answer(record())  # in the end, for whoever asks next
    assert room.ask() == [[record()]]


def test_a_store_that_is_found_dead_here_does_not_count_but_may_be_tried() -> None:
    room = Room()
    room.available = {"p1:s1", "p1:s2"}
    room.dead = {"p1:s2"}
    records = [record("s1"), record("s2"), record("s3")]
    assert room.existence.counting(records) == records[:1]
    assert room.existence.candidates(records) == records[:2]
    assert room.existence.describe(HASH, records)["map"] == ["p1:s1"]
    assert not room.existence.describe(HASH, records[1:])["exists"]


def test_without_such_knowledge_it_is_the_registry_that_says() -> None:
    room = Room()
    registry: Any = room
    documents: Any = room.inventory
    room.available = {"p1:s1"}
    plain = Existence(documents, registry, room.clock, 30.0)
    assert plain.counting([record("s1"), record("s2")]) == [record("s1")]
    got: list[Any] = []
    _ = Deferred.fromCoroutine(plain.answer(HASH)).addCallback(got.append)
    room.inventory.answer(record())
    assert got[0]["map"] == ["p1:s1"]


def test_stores_that_an_answer_names_are_in_use() -> None:
    room = Room()
    room.available = {"p1:s1", "p1:s2"}
    room.dead = {"p1:s2"}
    got: list[Any] = []
    work = Deferred.fromCoroutine(room.existence.answer([HASH, OTHER]))
    _ = work.addCallback(got.append)
    room.inventory.answer(record("s1"), record("s2"), record("s1", OTHER), record("s3", OTHER))
    assert got[0][OTHER]["map"] == ["p1:s1"]
    assert room.used == ["p1:s1"]
    assert len(room.inventory.asked) == 1


def test_what_the_feed_of_changes_names_is_looked_up_again() -> None:
    room = Room()
    for content_hash in (HASH, OTHER):
        room.ask(content_hash)
        room.inventory.answer(record(content_hash=content_hash))
    room.existence.forget_clones([record("s7").id, record("s8").id])
    assert list(room.existence.known()) == [OTHER]
    assert room.ask() == []


def test_what_is_known_is_used_for_its_life_while_the_database_is_away() -> None:
    room = Room()
    room.ask()
    room.inventory.answer(record())
    room.ask(OTHER)
    room.inventory.answers[1].errback(Unavailable("away"))
    room.clock.advance(29.9)
    assert room.ask() == [[record()]]
    room.clock.advance(0.1)
    late = room.ask()
    room.inventory.answers[2].errback(Unavailable("away"))
    assert late[0].check(Unavailable)


def test_who_only_reads_is_told_what_was_known_last_while_the_inventory_is_away() -> None:
    room = Room()
    first = room.read()
    room.inventory.answer(record())
    assert first == [[record()]]
    room.clock.advance(31)
    later = room.read()
    room.inventory.answers[-1].errback(Unavailable("away"))
    assert later == [[record()]]
    fresh = room.ask()
    room.inventory.answers[-1].errback(Unavailable("away"))
    assert fresh[0].check(Unavailable)


def test_what_was_forgotten_is_known_last_until_it_is_flushed() -> None:
    room = Room()
    room.read()
    room.inventory.answer(record())
    room.existence.doubt_all()
    assert room.existence.known() == {}
    later = room.read()
    room.inventory.answers[-1].errback(Unavailable("away"))
    assert later == [[record()]]
    assert room.existence.forget_all() == 0
    flushed = room.read()
    room.inventory.answers[-1].errback(Unavailable("away"))
    assert flushed[0].check(Unavailable)


def test_a_lookup_under_way_is_doubted_too() -> None:
    room = Room()
    got = room.read()
    room.existence.doubt_all()
    room.inventory.answer(record())
    assert got == [[record()]]
    assert room.existence.known() == {}


@pytest.mark.parametrize("known", [True, False])
def test_what_was_not_there_before_is_not_made_up(known: bool) -> None:
    room = Room()
    if known:
        room.read()
        room.inventory.answer()
        room.clock.advance(2)
    later = room.read()
    room.inventory.answers[-1].errback(Unavailable("away"))
    assert later[0].check(Unavailable)
