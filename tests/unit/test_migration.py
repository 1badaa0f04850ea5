"""A migration into the embedded database; tests/cli has the command, and a CouchDB."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import pytest_twisted
from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.databases import Databases, OneMachine
from oose.errors import Unavailable
from oose.metadata.records import InventoryRecord
from oose.moving.cursor import Cursor, Reached
from oose.moving.migration import Migration, differing
from oose.moving.old_documents import PREFIX
from oose.moving.old_source import OldRow, Page
from oose.moving.patience import PAUSE, TRIES, insist
from oose.moving.tally import NAMED, Tally
from oose.moving.target import Target
from oose.peer import Peer
from oose.pool import Inline
from oose.settings import Settings, read
from tests.generated_2x import NOW, Old, damaged, everything, records
from tests.real import reactor


@define
class Listed:
    """A source of a few documents, `page` at a time; `broken` once, behind so many pages."""

    documents: Sequence[Old]
    page: int = 100
    broken: int | None = None
    asked: list[str | None] = field(factory=list)
    name: str = "listed"

    async def size(self) -> int:
        return len(self.documents)

    async def after(self, position: str | None, passed: int) -> Page | None:
        self.asked.append(position)
        if self.broken == len(self.asked) - 1:
            raise ConnectionError("cut off")
        start = int(position or 0)
        some = self.documents[start : start + self.page]
        end = start + len(some)
        rows = [OldRow(each.id, each.body) for each in some]
        return Page(rows, str(end), end) if some else None


@define
class Moving:
    """What migrations work on."""

    settings: Settings
    databases: Databases
    told: list[tuple[int, int]] = field(factory=list)

    def cursor(self, source: str = "listed") -> Cursor:
        return Cursor(self.settings.root / "cursor.json", source, "here")

    async def move(self, source: Listed, *, pretend: bool = False, there: bool = True) -> Tally:
        migration = Migration(
            source,
            Target(self.databases if there else None, pretend),
            self.cursor(),
            reactor,
            NOW,
            PREFIX,
            lambda passed, tally: self.told.append((passed, tally.counts["read"])),
        )
        return await migration.run()

    async def ids(self, name: str) -> list[str]:
        rows = await getattr(self.databases, name).range("", "\uffff")
        return [row.id for row in rows]


def settings_in(folder: Path) -> Settings:
    return evolve(read(None), root=folder)


@pytest_twisted.async_yield_fixture
async def moving(tmp_path: Path) -> AsyncIterator[Moving]:
    here = Inline()
    settings = settings_in(tmp_path)
    databases = OneMachine(settings, here, here, here)
    await databases.open()
    yield Moving(settings, databases)
    await databases.close()


def wanted(count: int) -> list[str]:
    """The ids of the records of so many contents."""
    ids = [each.id.removeprefix("oose:inventory:") for n in range(count) for each in records(n)]
    return sorted(ids)


@pytest_twisted.ensureDeferred
async def test_all_of_it_comes_over(moving: Moving) -> None:
    documents = list(everything(200))
    tally = await moving.move(Listed(documents))
    assert await moving.ids("inventory") == wanted(200)
    assert len(await moving.ids("peer")) == 8
    assert tally.counts["records moved"] == 400
    assert tally.counts["peers moved"] == 8
    assert tally.counts["purchases moved"] == tally.counts["expired"] == 25
    assert (tally.counts["other"], tally.counts["summary"], tally.failed) == (3, 1, 0)
    assert moving.told[-1] == (len(documents), len(documents))
    assert moving.cursor().load() is None


@pytest_twisted.ensureDeferred
async def test_what_came_over_is_of_use(moving: Moving) -> None:
    await moving.move(Listed(list(everything(8))))
    for row in await moving.databases.inventory.range("", "\uffff"):
        assert InventoryRecord.from_document(row).id == row.id
    for row in await moving.databases.peer.range("", "\uffff"):
        peer = Peer.from_document(row)
        assert not peer.counts
        assert peer.active == (peer.name != "store2")
    sold = next(each for each in everything(8) if "purchase" in each.id and each.id)
    assert await moving.databases.purchases.find(sold.body["token"]) is None  # it is over
    tokens = [each.body["token"] for each in everything(8) if "purchase" in each.id]
    found = await moving.databases.purchases.find(tokens[1])
    assert found is not None
    assert "example.com" in found.referrers


@pytest_twisted.ensureDeferred
async def test_doing_it_again_changes_nothing(moving: Moving) -> None:
    source = Listed(list(everything(20)))
    await moving.move(source)
    before = await moving.databases.inventory.range("", "\uffff")
    tally = await moving.move(source)
    assert await moving.databases.inventory.range("", "\uffff") == before
    assert (tally.counts["records moved"], tally.counts["records there"]) == (0, 40)
    assert (tally.counts["peers moved"], tally.counts["peers there"]) == (0, 8)
    assert (tally.counts["purchases moved"], tally.counts["purchases there"]) == (0, 2)
    assert tally.counts["records otherwise"] == 0


@pytest_twisted.ensureDeferred
async def test_what_is_newer_stays(moving: Moving) -> None:
    [first, *_] = wanted(1)
    await moving.databases.inventory.put(first, {"size": 5, "mine": True})
    tally = await moving.move(Listed(list(everything(1))))
    found = await moving.databases.inventory.get(first)
    assert found is not None
    assert found.body == {"size": 5, "mine": True}
    assert tally.counts["records otherwise"] == tally.counts["records there"] == 1


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_understood_is_named_and_the_rest_comes_over(moving: Moving) -> None:
    tally = await moving.move(Listed([*damaged(), *everything(1), Old("x", {})]))
    assert [which for which, _ in tally.failures] == [
        "oose:inventory:nonsense:prism1:store1",
        "oose:store:prism1:store99",
    ]
    assert tally.counts["unsized"] == 1
    assert await moving.ids("inventory") == wanted(1)


@pytest_twisted.ensureDeferred
async def test_a_line_that_cannot_be_read_is_named(moving: Moving) -> None:
    class Torn(Listed):
        async def after(self, position: str | None, passed: int) -> Page | None:
            row = OldRow("line 1", None, "torn")
            return None if position else Page([row], "1", 1)

    tally = await moving.move(Torn([]))
    assert tally.failures == [("line 1", "torn")]


@pytest_twisted.ensureDeferred
async def test_one_that_was_cut_goes_on_there(moving: Moving) -> None:
    documents = list(everything(200))
    with pytest.raises(ConnectionError):
        await moving.move(Listed(documents, broken=3))
    reached = moving.cursor().load()
    assert reached is not None
    assert (reached.position, reached.passed) == ("300", 300)
    source = Listed(documents)
    tally = await moving.move(source)
    assert source.asked[0] == "300"
    assert tally.counts["records moved"] == 400
    assert tally.counts["read"] == len(documents)
    assert await moving.ids("inventory") == wanted(200)
    assert moving.cursor().load() is None


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("there", [True, False])
async def test_pretending_writes_nothing(moving: Moving, there: bool) -> None:
    await moving.databases.inventory.put(wanted(1)[0], {"size": 5})
    moving.cursor().save(Reached("1", 1, {}))
    tally = await moving.move(Listed(list(everything(20))), pretend=True, there=there)
    assert tally.counts["records moved"] == 39 + (not there)
    assert tally.counts["records there"] == there
    assert tally.counts["purchases moved"] == 2
    assert await moving.ids("inventory") == wanted(1)[:1]
    assert await moving.ids("peer") == []
    assert moving.cursor().load() == Reached("1", 1, {})
    assert await moving.databases.purchases.prune(2**52) == 0


# The cursor.


def test_a_cursor_counts_for_its_source_and_target(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "c", "a", "b")
    cursor.save(Reached("7:1", 7, {"counts": {}}))
    assert cursor.load() == Reached("7:1", 7, {"counts": {}})
    assert evolve(cursor, source="x").load() is None
    assert evolve(cursor, target="x").load() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"source": "a", "target": "b"}'])
def test_a_damaged_cursor_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c"
    path.write_text(text)
    cursor = Cursor(path, "a", "b")
    assert cursor.load() is None
    cursor.remove()
    cursor.remove()
    assert not path.exists()


# Counting.


def test_the_first_failures_are_kept() -> None:
    tally = Tally()
    for number in range(NAMED + 5):
        tally.fail(str(number), "why")
    assert tally.failed == NAMED + 5
    assert len(tally.failures) == NAMED
    again = Tally.from_json(json.loads(json.dumps(tally.to_json())))
    assert again == tally


@pytest.mark.parametrize("value", [{}, {"counts": 5, "failures": []}, {"counts": {"a": "x"}}])
def test_counts_that_make_no_sense_are_none(value: dict[str, object]) -> None:
    assert Tally.from_json(value) == Tally()


# Patience.


def outcome_of(work: Callable[[], object], clock: Clock) -> list[object]:
    outcomes: list[object] = []

    async def do() -> object:
        return work()

    insisting = Deferred.fromCoroutine(insist(do, clock))
    _ = insisting.addBoth(outcomes.append)
    return outcomes


def test_a_short_absence_is_waited_out() -> None:
    clock, tries = Clock(), [1, 2]

    def work() -> str:
        if tries:
            tries.pop()
            raise Unavailable("away")
        return "done"

    outcomes = outcome_of(work, clock)
    clock.advance(PAUSE)
    assert outcomes == []
    clock.advance(PAUSE)
    assert outcomes == ["done"]


def test_a_long_one_is_not() -> None:
    clock, tries = Clock(), []

    def work() -> None:
        tries.append(1)
        raise Unavailable("away")

    outcomes = outcome_of(work, clock)
    clock.pump([PAUSE] * TRIES)
    assert len(tries) == TRIES
    [failure] = outcomes
    failure.trap(Unavailable)  # type: ignore[attr-defined]


def test_what_has_gone_meanwhile_says_nothing_otherwise() -> None:
    assert differing({"x": {}}, {"x": None}) == 0
