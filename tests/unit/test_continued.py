"""Answers that go on from another clone, over clones in memory that break where a test says."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from oose.continued import Continued
from oose.deliver.content import Clone
from oose.deliver.flow import Flow
from oose.errors import NotFound, OoseError, Unavailable
from oose.metadata.records import InventoryRecord
from oose.ranges import Span
from oose.readers import Nobody, Readers
from tests.unit.at_once import at_once
from tests.unit.logged import logged

DATA = bytes(range(256))
HASH = "a" * 40


def record(store: str) -> InventoryRecord:
    return InventoryRecord(HASH, "p1", store, "text/plain", "txt", "x", len(DATA), 1)


@define
class Client:
    """A request whose client takes everything."""

    taken: bytes = b""

    @property
    def sentLength(self) -> int:  # noqa: N802 # Twisted's name
        return len(self.taken)

    def write(self, data: bytes) -> None:
        self.taken += data


@define
class Place:
    """A store that breaks off at each of `cuts` once, and says `refuses` where there is one."""

    cuts: list[int] = field(factory=list)
    refuses: OoseError | None = None
    sends: int = 0
    closed: int = 0


@define
class MemoryClone:
    place: Place

    async def ready(self, flow: Flow, span: Span) -> None:
        if self.place.refuses is not None:
            raise self.place.refuses

    async def send(self, flow: Flow, span: Span) -> bool:
        await self.ready(flow, span)
        self.place.sends += 1
        cut = next((cut for cut in self.place.cuts if span.start <= cut < span.stop), None)
        if cut is None:
            flow.write(DATA[span.start : span.stop])
            return True
        self.place.cuts.remove(cut)
        flow.write(DATA[span.start : cut])
        raise Unavailable("cut")

    def close(self) -> None:
        self.place.closed += 1


class Watching(Nobody):
    def __init__(self) -> None:
        self.failures: list[str] = []

    def failed(self, place: str, why: object = None) -> None:
        self.failures.append(place)


class Cluster:
    """Stores by name, and one answer on its way from them."""

    def __init__(self, places: Mapping[str, Place], *unknown: str) -> None:
        self.places = dict(places)
        self.client = Client()
        self.flow = Flow(self.client, Clock(), 60.0)
        self.watching = Watching()
        self.readers = Readers({}, lambda: 0.5, watcher=self.watching, seconds=lambda: 0.0)
        self.looks = 0
        self.found: list[InventoryRecord] | OoseError = []
        records = [record(store) for store in (*unknown, *places)]
        self.content = Continued(len(DATA), records, self.look, self.read, self.readers)

    async def look(self) -> Sequence[InventoryRecord]:
        self.looks += 1
        if isinstance(self.found, OoseError):
            raise self.found
        return self.found

    def read(self, record: InventoryRecord) -> Clone | None:
        place = self.places.get(record.store)
        return MemoryClone(place) if place is not None else None

    def send(self, *spans: Span) -> bool:
        at_once(self.content.ready(self.flow, spans[0]))
        try:
            return all(at_once(self.content.send(self.flow, span)) for span in spans)
        finally:
            self.content.close()

    def error(self, span: Span) -> OoseError:
        """How it fails."""
        try:
            self.send(span)
        except OoseError as error:
            return error
        raise AssertionError("it does not fail")


ALL = Span(0, len(DATA))


@given(cuts=st.lists(st.sets(st.integers(1, len(DATA) - 1)), min_size=2, max_size=4))
def test_wherever_stores_break_off_the_bytes_are_the_same(cuts: list[set[int]]) -> None:
    taken: set[int] = set()
    places = {}
    for number, points in enumerate(cuts):
        places[f"s{number}"] = Place(sorted(points - taken))
        taken |= points
    cluster = Cluster(places)
    cluster.found = [record(store) for store in places]
    assert cluster.send(ALL)
    assert cluster.client.taken == DATA


@given(
    cuts=st.sets(st.integers(0, len(DATA) - 1)),
    spans=st.lists(st.tuples(st.integers(0, len(DATA)), st.integers(0, len(DATA))), min_size=1),
)
def test_wherever_a_store_breaks_off_parts_are_the_same(
    cuts: set[int], spans: list[tuple[int, int]]
) -> None:
    cluster = Cluster({"a": Place(sorted(cuts)), "b": Place()})
    asked = [Span(min(pair), max(pair)) for pair in spans]
    assert cluster.send(*asked)
    assert cluster.client.taken == b"".join(DATA[each.start : each.stop] for each in asked)


def test_one_that_cannot_begin_is_passed_over_before_the_answer() -> None:
    cluster = Cluster({"a": Place(refuses=Unavailable("down")), "b": Place()})
    assert cluster.send(ALL)
    assert cluster.client.taken == DATA
    assert cluster.places["a"].sends == 0
    assert cluster.places["a"].closed == 1
    assert cluster.watching.failures == ["p1:a"]


def test_one_that_lacks_the_content_is_not_held_to_be_down() -> None:
    cluster = Cluster({"a": Place(refuses=NotFound("no")), "b": Place()})
    assert cluster.send(ALL)
    assert cluster.watching.failures == []


def test_one_that_cannot_be_read_from_here_is_passed_over() -> None:
    cluster = Cluster({"b": Place()}, "elsewhere")
    assert cluster.send(ALL)


def test_one_that_has_another_size_by_its_record_is_not_used() -> None:
    cluster = Cluster({"a": Place()})
    cluster.content._records = [evolve(record("a"), size=5)]
    assert "No store with the content can be read" in cluster.error(ALL).message
    assert cluster.places["a"].sends == 0


def test_when_none_is_left_others_are_looked_for_once() -> None:
    cluster = Cluster({"a": Place([100])})
    cluster.places["new"] = Place()
    cluster.found = [record("a"), record("new")]
    assert cluster.send(ALL)
    assert cluster.client.taken == DATA
    assert cluster.looks == 1
    assert cluster.places["a"].sends == 1


def test_one_that_broke_off_is_asked_again_once_another_has_gone_on() -> None:
    cluster = Cluster({"a": Place([10, 200]), "b": Place([100])})
    cluster.found = [record("a"), record("b")]
    assert cluster.send(ALL)
    assert cluster.client.taken == DATA


def test_when_nothing_moves_any_more_it_fails() -> None:
    cluster = Cluster({"a": Place([10, 100]), "b": Place([10])})
    cluster.found = [record("a"), record("b")]
    cluster.places["b"].cuts = [10, 10]
    cluster.places["a"].cuts = [10, 10]
    assert isinstance(cluster.error(ALL), Unavailable)
    assert cluster.client.taken == DATA[:10]


def test_that_no_store_has_it_is_said_only_where_all_say_so() -> None:
    lacking, down = NotFound("not here"), Unavailable("down")
    everywhere = Cluster({"a": Place(refuses=lacking), "b": Place(refuses=lacking)})
    assert everywhere.error(ALL) is lacking
    partly = Cluster({"a": Place(refuses=down), "b": Place(refuses=lacking)})
    assert partly.error(ALL) is down
    nowhere = Cluster({}, "elsewhere")
    assert nowhere.error(ALL).retry_after == 5
    assert nowhere.looks == 0


def test_the_log_names_each_place_once() -> None:
    away, broken = Unavailable("p1:a refused the connection"), Unavailable("The disk is broken")
    cluster = Cluster({"a": Place(refuses=away), "b": Place(refuses=broken)})
    with logged("warn") as said:
        cluster.error(ALL)
    assert sorted(said) == ["p1:a refused the connection", "p1:b: The disk is broken"]


def test_without_the_database_it_is_what_the_stores_said() -> None:
    cluster = Cluster({"a": Place(refuses=Unavailable("down"))})
    cluster.found = Unavailable("no database")
    assert cluster.error(ALL).message == "down"


def test_nothing_is_sent_to_who_has_left() -> None:
    cluster = Cluster({"a": Place()})
    cluster.flow.stopped = True
    assert not cluster.send(ALL)
    assert cluster.places["a"].sends == 0


def test_content_without_bytes_needs_no_store() -> None:
    assert Cluster({}).send(Span(0, 0))


def test_reading_weighs_on_a_store_until_it_is_over() -> None:
    cluster = Cluster({"a": Place()})

    def loads() -> Any:
        return dict(cluster.readers._reading)

    at_once(cluster.content.ready(cluster.flow, ALL))
    assert loads() == {"p1:a": 1}
    cluster.content.close()
    assert loads() == {}
    cluster.content.close()
    assert loads() == {}
