"""Which content is meant, read in pages."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest_twisted
from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred

from oose.contents import Content, Contents
from oose.embedded import EmbeddedDocuments
from oose.errors import Unavailable
from oose.metadata.documents import Write
from oose.metadata.records import InventoryRecord
from oose.moving.patience import PAUSE
from oose.peer import Peer
from oose.tending import picking
from oose.tending.picking import Block, Choice, Picked, Picking, fraction
from tests.unit.keeping import NOW, Keeping

RECORD = InventoryRecord("", "", "", "video/mp4", "mp4", "x", 5, NOW)
STORE = Peer("store", "s1", "p1", "h", 1, "http://h:1", "g", "m", "3", 0)


def hash_of(number: int) -> str:
    return f"{number:02x}" * 20


def record(number: int, place: str, **more: Any) -> InventoryRecord:
    prism, store = place.split(":")
    return evolve(RECORD, hash=hash_of(number), prism=prism, store=store, **more)


@define(eq=False)
class Shelf:
    """An inventory, and what was asked of it."""

    keeping: Keeping
    picking: Picking
    asked: list[str] = field(factory=list)

    @classmethod
    async def make(cls, folder: Path, block: int = 2) -> "Shelf":
        keeping = await Keeping.begin(folder)
        for prism, name in (("p1", "s1"), ("p1", "s2"), ("p2", "s3")):
            await keeping.registry.register(evolve(STORE, prism=prism, name=name))
        contents = Contents(EmbeddedDocuments(keeping.database, "content"))
        inventory: Any = keeping.inventory
        made = cls(keeping, Picking(inventory, contents, keeping.existence, keeping.clock, block))
        for name in ("range", "held", "under"):
            setattr(inventory, name, made.noting(name, getattr(inventory, name)))
        return made

    def noting(self, name: str, method: Any) -> Any:
        async def noted(*args: Any, **more: Any) -> Any:
            self.asked.append(name)
            return await method(*args, **more)

        return noted

    async def put(self, *records: InventoryRecord) -> None:
        await self.keeping.inventory.put_many([Write(r.id, r.to_body()) for r in records])

    async def note(self, number: int, **what: Any) -> None:
        await self.picking.contents.change(hash_of(number), lambda known: evolve(known, **what))

    async def blocks(self, choice: Choice | None = None, *named: str) -> list[Block]:
        found = self.picking.pick(choice or Choice(), Few(named) if named else None)
        return [each async for each in found]

    async def pick(self, choice: Choice | None = None, *named: str) -> list[Picked]:
        return [each for block in await self.blocks(choice, *named) for each in block.picked]


@frozen
class Few:
    """Some hashes."""

    all: Sequence[str]

    @property
    def total(self) -> int:
        return len(self.all)

    def hashes(self) -> Iterator[str]:
        return iter(self.all)


def numbers(picked: Sequence[Picked]) -> list[int]:
    return [int(each.hash[:2], 16) for each in picked]


@pytest_twisted.ensureDeferred
async def test_all_there_is_comes_in_blocks_with_how_far_it_is(tmp_path: Path) -> None:
    shelf = await Shelf.make(tmp_path)
    assert await shelf.pick() == []
    await shelf.put(
        *(record(n, place) for n in (0, 16, 32, 48, 64) for place in ("p1:s1", "p2:s3"))
    )
    await shelf.note(16, wanted=3)
    blocks = await shelf.blocks()
    assert [numbers(each.picked) for each in blocks] == [[0, 16], [32, 48], [64]]
    assert [each.passed for each in blocks] == [
        fraction(hash_of(16)),
        fraction(hash_of(48)),
        fraction(hash_of(64)),
    ]
    picked = blocks[0].picked[1]
    assert picked.content == Content(hash_of(16), wanted=3)
    assert [each.place for each in picked.records] == ["p1:s1", "p2:s3"]
    assert picked.counting == picked.records
    assert (picked.size, picked.is_anywhere) == (5, True)
    assert picked.ids == [f"{hash_of(16)}:p1:s1", f"{hash_of(16)}:p2:s3"]
    found = picked.on("p2:s3")
    assert found is not None
    assert found.store == "s3"
    assert picked.on("p1:s2") is None
    assert set(shelf.asked) == {"range"}


@pytest_twisted.ensureDeferred
async def test_no_page_cuts_a_content_in_two_and_pages_are_few(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(picking, "PAGE", 3)
    shelf = await Shelf.make(tmp_path)
    places = ("p1:s1", "p1:s2", "p2:s3")
    await shelf.put(*(record(n, place) for n in range(6) for place in places[: n % 3 + 1]))
    found = await shelf.pick()
    assert numbers(found) == list(range(6))
    assert [len(each.records) for each in found] == [1, 2, 3, 1, 2, 3]
    assert len(shelf.asked) == 12 // 3 + 1


@pytest_twisted.ensureDeferred
async def test_what_one_store_has_is_asked_of_what_it_holds(tmp_path: Path) -> None:
    shelf = await Shelf.make(tmp_path)
    await shelf.put(*(record(n, "p1:s1") for n in range(6)))
    await shelf.put(*(record(n, "p2:s3") for n in range(0, 6, 2)))
    on_s3 = await shelf.pick(Choice(stores=frozenset(["p2:s3"])))
    assert numbers(on_s3) == [0, 2, 4]
    assert all(len(each.records) == 2 for each in on_s3)
    assert shelf.asked == ["held", "under", "held", "under", "held"]


@pytest_twisted.ensureDeferred
async def test_choices_leave_out_what_they_do_not_fit(tmp_path: Path) -> None:
    shelf = await Shelf.make(tmp_path)
    await shelf.put(record(1, "p1:s1"), record(2, "p1:s1"), record(2, "p1:s2"))
    await shelf.put(*(record(3, place) for place in ("p1:s1", "p1:s2", "p2:s3")))
    for choice, expected in (
        (Choice(above=1), [2, 3]),
        (Choice(below=2), [1]),
        (Choice(at=2), [2]),
        (Choice(above=1, below=3), [2]),
        (Choice(prisms=frozenset(["p2"])), [3]),
        (Choice(stores=frozenset(["p1:s2", "p2:s3"])), [2, 3]),
        (Choice(stores=frozenset(["p1:s2"]), prisms=frozenset(["p2"])), [3]),
        (Choice(stores=frozenset(["p1:s2"]), at=2), [2]),
        (Choice(prisms=frozenset(["p9"])), []),
    ):
        assert numbers(await shelf.pick(choice)) == expected, choice
    assert Choice().is_at("p1:s1")
    assert not Choice(stores=frozenset(["p1:s2"])).is_at("p1:s1")


@pytest_twisted.ensureDeferred
async def test_only_clones_on_stores_that_serve_count(tmp_path: Path) -> None:
    shelf = await Shelf.make(tmp_path)
    await shelf.put(record(1, "p1:s1"), record(1, "p2:s3"))
    await shelf.keeping.registry.deactivate("store:p2:s3")
    [found] = await shelf.pick(Choice(at=1))
    assert (len(found.records), len(found.counting)) == (2, 1)


@pytest_twisted.ensureDeferred
async def test_what_is_named_comes_also_where_it_is_nowhere(tmp_path: Path) -> None:
    shelf = await Shelf.make(tmp_path)
    await shelf.put(record(1, "p1:s1"), record(3, "p2:s3"))
    named = [hash_of(n) for n in (3, 2, 1, 1)]
    blocks = await shelf.blocks(None, *named)
    assert [numbers(each.picked) for each in blocks] == [[3, 2], [1]]
    assert [each.passed for each in blocks] == [0.5, 1.0]
    nowhere = blocks[0].picked[1]
    assert (nowhere.records, nowhere.size, nowhere.is_anywhere) == ([], 0, False)
    assert numbers(await shelf.pick(Choice(stores=frozenset(["p1:s1"])), *named)) == [1]


@pytest_twisted.ensureDeferred
async def test_what_was_removed_is_none(tmp_path: Path) -> None:
    shelf = await Shelf.make(tmp_path)
    await shelf.put(record(1, "p1:s1"), record(1, "p1:s2", created=NOW + 2), record(2, "p1:s1"))
    await shelf.note(1, removed=NOW + 1)
    await shelf.note(2, removed=NOW + 1)
    [found] = await shelf.pick()
    assert [each.store for each in found.records] == ["s2"]
    assert await shelf.pick(Choice(stores=frozenset(["p1:s1"]))) == []
    [named] = await shelf.pick(None, hash_of(2))
    assert not named.records


@pytest_twisted.ensureDeferred
async def test_a_record_that_cannot_be_understood_is_said(tmp_path: Path) -> None:
    shelf = await Shelf.make(tmp_path)
    await shelf.put(record(1, "p1:s1"))
    await shelf.keeping.inventory.put(f"{hash_of(1)}:p1:s2", {"hash": 5})
    await shelf.keeping.inventory.put("strange:p1:s2", {})
    whole, strange = await shelf.pick()
    assert [each.store for each in whole.records] == ["s1"]
    assert whole.damaged == f"{hash_of(1)}:p1:s2"
    assert whole.places == ["p1:s1", "p1:s2"]
    assert (strange.damaged, strange.is_anywhere) == ("strange:p1:s2", True)
    assert fraction("strange") is None


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    shelf = await Shelf.make(tmp_path)
    await shelf.put(record(1, "p1:s1"))
    inventory: Any = shelf.keeping.inventory
    real, away = inventory.range, [1, 2]

    async def sometimes(*args: Any, **more: Any) -> Any:
        if away:
            away.pop()
            raise Unavailable("away")
        return await real(*args, **more)

    inventory.range = sometimes
    picking = Deferred.fromCoroutine(shelf.pick())
    for _ in range(2):
        assert not picking.called
        shelf.keeping.clock.advance(PAUSE)
    assert numbers(await picking) == [1]
