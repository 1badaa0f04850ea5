from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_twisted
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.errors import Unavailable
from oose.metadata.documents import Held
from oose.metadata.records import InventoryRecord
from oose.pace import Pace
from oose.verifying import due as module
from oose.verifying.due import NEVER, Due, Entry
from tests.unit.at_once import at_once
from tests.unit.keeping import Keeping

ALL = 1 << 60


@define
class Records:
    """The records of one store: when each was verified, by its hash."""

    verified: dict[str, int | None]
    asked: list[str] = field(factory=list)
    is_away: bool = False

    async def held(
        self, place: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> Sequence[Held]:
        if self.is_away:
            raise Unavailable("away")
        assert (place, prefix) == ("p1:s1", "")
        self.asked.append(after)
        names = sorted(each for each in self.verified if each > after)[:limit]
        return [Held(each, "1-x", f"{each}.bin", 10, 0, self.verified[each]) for each in names]


def due_of(records: Records, **more: int) -> Due:
    inventory: object = records
    return Due("p1:s1", inventory, Pace(None, Clock()), **more)  # type: ignore[arg-type]


def named(*verified: int | None) -> Records:
    return Records({f"{number:02x}": when for number, when in enumerate(verified)})


def taken(due: Due, before: int = ALL, files: int = 1000, size: int = ALL) -> list[str]:
    return [each.hash for each in due.take(before, files, size)]


def test_the_first_is_what_was_never_verified_then_what_was_for_longest() -> None:
    due = due_of(named(30, None, 10, 20, None))
    assert (due.oldest, due.has_looked, due.seen_all) == (None, False, False)
    assert at_once(due.look())
    assert (due.oldest, due.has_looked, due.seen_all, len(due)) == (NEVER, True, True, 5)
    assert taken(due) == ["01", "04", "02", "03", "00"]
    assert (due.oldest, len(due)) == (None, 0)


def test_only_what_was_verified_before_is_taken() -> None:
    due = due_of(named(30, None, 10))
    at_once(due.look())
    assert taken(due, before=10) == ["01"]
    assert due.oldest == 10
    assert taken(due, before=10) == []
    assert taken(due, before=11) == ["02"]


def test_so_many_files_and_bytes_are_taken_but_at_least_one() -> None:
    due = due_of(named(1, 2, 3, 4, 5, 6))
    at_once(due.look())
    assert taken(due, files=2) == ["00", "01"]
    assert taken(due, size=20) == ["02", "03"]
    assert taken(due, size=5) == ["04"]


def test_what_was_taken_in_vain_is_first_again() -> None:
    due = due_of(named(1, 2, 3))
    at_once(due.look())
    some = due.take(ALL, 2, ALL)
    assert some == [Entry(1, "00", 10), Entry(2, "01", 10)]
    due.put_back(some)
    assert taken(due) == ["00", "01", "02"]


def test_the_list_is_bounded() -> None:
    due = due_of(named(5, 4, 3, 2, 1), most=3)
    at_once(due.look())
    assert (len(due), due.seen_all, due.is_passing) == (3, False, False)
    assert taken(due) == ["04", "03", "02"]


def test_a_pass_that_has_found_enough_that_was_never_verified_goes_on_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    records = named(7, None, None, None, None, 8, None, None)
    due = due_of(records, most=3)
    at_once(due.look())
    assert taken(due) == ["01", "02", "03"]
    assert (due.is_passing, due.seen_all) == (True, False)
    at_once(due.look())
    assert taken(due) == ["04", "06", "07"]
    assert (due.is_passing, due.seen_all) == (False, False)
    assert records.asked == ["", "03", "03", "07"]
    records.verified = dict.fromkeys(records.verified, 9)
    at_once(due.look())
    assert records.asked[4:] == ["", "03", "07"]
    assert (len(due), due.is_passing, due.seen_all) == (3, False, False)


def test_what_was_verified_before_a_time_counts_as_never() -> None:
    due = due_of(named(30, None, 10, 20), since=20)
    at_once(due.look())
    assert due.take(20, 10, ALL) == [Entry(NEVER, "01", 10), Entry(NEVER, "02", 10)]
    assert due.oldest == 20


def test_a_pass_that_fails_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    records = named(None, None, None, None, None)
    due = due_of(records, most=2)
    at_once(due.look())
    records.is_away = True
    with pytest.raises(Unavailable):
        at_once(due.look())
    assert len(due) == 2
    records.is_away = False
    at_once(due.look())
    assert taken(due) == ["02", "03"]


def test_a_pass_that_is_to_stop_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    records = named(1, 2, 3)
    due = due_of(records)
    going = iter([True, True, False])
    assert not at_once(due.look(lambda: next(going)))
    assert (len(due), due.has_looked, due.is_passing) == (0, False, False)
    assert records.asked == ["", "00"]


def test_pages_are_asked_for_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    clock = Clock()
    records: object = named(1, 2)
    due = Due("p1:s1", records, Pace(2, clock))  # type: ignore[arg-type]
    looking = Deferred.fromCoroutine(due.look())
    clock.pump([0.5, 0.25])
    assert not looking.called
    clock.advance(0.25)
    assert looking.called


@given(
    st.lists(st.none() | st.integers(1, 20), max_size=30),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 22),
)
def test_whatever_there_is_each_becomes_due_once_and_the_oldest_first(
    verified: list[int | None], most: int, files: int, before: int
) -> None:
    records = named(*verified)
    due = due_of(records, most=most)
    seen: list[str] = []
    for _ in range(100):
        while some := taken(due, before, files):
            assert len(some) <= files
            seen += some
            for each in some:
                records.verified[each] = 1000
        if (due.has_looked and due.seen_all) or len(due):
            break
        at_once(due.look())
        assert len(due) <= most
    whens = [verified[int(each, 16)] or NEVER for each in seen]
    assert sorted(seen) == [
        f"{number:02x}" for number, when in enumerate(verified) if (when or NEVER) < before
    ]
    assert whens == sorted(whens)


# With a database


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    yield keeping
    await keeping.database.close()


@pytest_twisted.ensureDeferred
async def test_the_records_of_one_store_are_listed(keeping: Keeping) -> None:
    names = [f"{number:040x}" for number in range(5)]
    for number, name in enumerate(names):
        for place in ("s1", "s2"):
            record = InventoryRecord(name, "p1", place, "a/b", "x", "x", 1, 0, verified=9 - number)
            await keeping.inventory.put(record.id, record.to_body())
    due = Due("p1:s1", keeping.inventory, Pace(None, keeping.clock))
    await due.look()
    assert taken(due) == names[::-1]
