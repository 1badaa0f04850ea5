"""Content that was removed stays away, also from a store that was not there."""

import errno
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.task import Clock

from oose import clearance, tombstones
from oose.address import relative_path
from oose.contents import Content, unburied
from oose.disk import IDENTITY, OPEN
from oose.tombstones import GRACE, is_buried
from tests.unit.faults import fail
from tests.unit.keeping import NOW
from tests.unit.logged import logged
from tests.unit.removing import DATA, HASH, Removing, away


@pytest.mark.parametrize(
    ("removed", "created", "buried"),
    [
        (None, 0, False),
        (1000, 0, True),
        (1000, 999, True),
        (1000, 1000, False),
        (1000, 1001, False),
    ],
)
def test_clones_from_before_the_removal_are_buried(
    removed: int | None, created: int, buried: bool
) -> None:
    content = Content("a" * 40, removed=removed)
    assert is_buried(content, created) is buried
    assert not is_buried(evolve(content, protected=True), created)


@pytest_twisted.async_yield_fixture
async def made(tmp_path: Path) -> AsyncIterator[Removing]:
    made = await Removing.begin(tmp_path, "s1", "s2")
    yield made
    await made.keeping.database.close()


async def removed_while_away(made: Removing, *names: str) -> None:
    """The content, of which these stores have kept a clone."""
    for name in names:
        await made.put(name)
        path = made.stores[f"p1:{name}"].volume.disk.content / relative_path(HASH, "mp4")
        os.utime(path, ns=(0, NOW * 1_000_000))
        made.away.add(f"p1:{name}")
    made.keeping.clock.advance(1)
    await made.removal.remove(HASH)


def let_go(made: Removing, name: str = "s1") -> None:
    """The disk goes, and comes again."""
    made.stores[f"p1:{name}"].burial.clearance.take_back()


# When a disk comes


@pytest_twisted.ensureDeferred
async def test_what_was_removed_meanwhile_goes_to_quarantine(made: Removing) -> None:
    await removed_while_away(made, "s1", "s2")
    kept = await made.put("s1", b"another")
    let_go(made)
    holdings = made.stores["p1:s1"]
    with logged("info") as messages:
        await made.tombstones().look()
    assert messages[-1] == "p1:s1 had 1 file of removed content"
    assert (made.files(), made.aside()) == (["s2"], ["s1"])
    [why] = holdings.volume.disk.quarantine.glob("*.json")
    assert json.loads(why.read_text())["removed"] == NOW + 1000
    assert holdings.burial.clearance.is_given
    assert await holdings.own_record(kept.hash) == kept


@pytest_twisted.ensureDeferred
async def test_nginx_sends_nothing_by_itself_until_that_is_done(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = made.stores["p1:s1"].volume.disk.root / OPEN
    let_go(made)
    await made.tombstones().look()
    assert mark.exists()
    await made.stores["p1:s1"].volume.refresh()
    assert mark.exists()
    let_go(made)
    real, seen = made.documents.range, []

    async def watched(*arguments: Any, **options: Any) -> Any:
        seen.append(mark.exists())
        return await real(*arguments, **options)

    monkeypatch.setattr(made.documents, "range", watched)
    await made.tombstones().look()
    assert seen[0] is False
    assert mark.exists()


@pytest_twisted.ensureDeferred
async def test_so_does_what_a_restored_database_lists_again(made: Removing) -> None:
    await removed_while_away(made, "s1")
    await made.put("s1", created=NOW)
    assert await made.tombstones().honour() == 1
    assert (await made.records(), made.files(), made.aside()) == ([], [], ["s1"])
    await made.put("s1", created=NOW)
    (made.stores["p1:s1"].volume.disk.content / relative_path(HASH, "mp4")).unlink()
    assert await made.tombstones().honour() == 0
    assert await made.records() == []


@pytest_twisted.ensureDeferred
async def test_what_came_since_stays_whatever_a_restored_database_says_of_it(
    made: Removing,
) -> None:
    await removed_while_away(made, "s1")
    await made.put("s1", created=NOW)
    path = made.stores["p1:s1"].volume.disk.content / relative_path(HASH, "mp4")
    os.utime(path, ns=(0, (NOW + 2000) * 1_000_000))
    assert await made.tombstones().honour() == 0
    assert (await made.records(), made.files()) == (["s1"], ["s1"])


@pytest_twisted.ensureDeferred
async def test_what_was_uploaded_again_stays(made: Removing) -> None:
    await removed_while_away(made, "s1")
    await made.put("s1")  # although its tombstone is still there
    assert await made.tombstones().honour() == 0
    assert (await made.records(), made.files()) == (["s1"], ["s1"])


@pytest_twisted.ensureDeferred
async def test_so_does_what_is_uploaded_again_while_it_is_looked_at(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await removed_while_away(made, "s1")
    real = made.keeping.inventory.get_many

    async def late(ids: Any) -> Any:
        await made.contents.change(HASH, unburied)
        return await real(ids)

    monkeypatch.setattr(made.keeping.inventory, "get_many", late)
    assert await made.tombstones().honour() == 0
    assert made.files() == ["s1"]


@pytest_twisted.ensureDeferred
async def test_and_what_the_store_finds_to_be_new(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await removed_while_away(made, "s1")
    real = made.documents.get_many

    async def late(ids: Any) -> Any:
        await made.put("s1")
        return await real(ids)

    monkeypatch.setattr(made.documents, "get_many", late)
    assert await made.tombstones().honour() == 0
    assert made.files() == ["s1"]


@pytest_twisted.ensureDeferred
async def test_what_is_just_coming_is_looked_at_later(made: Removing) -> None:
    await removed_while_away(made, "s1")
    holdings = made.stores["p1:s1"]
    reception = holdings.receive()
    await reception.commit([DATA], HASH, "mp4")
    os.utime(holdings.volume.disk.content / relative_path(HASH, "mp4"), (0, 0))
    let_go(made)
    await made.tombstones().look()
    assert holdings.burial.clearance.is_given
    assert (made.files(), holdings.burial.clearance.left) == (["s1"], {HASH})
    await reception.withdraw()
    made.keeping.clock.advance(GRACE)
    await made.tombstones().look()
    assert (made.files(), holdings.burial.clearance.left) == ([], set())


@pytest_twisted.ensureDeferred
async def test_all_notes_are_looked_through_a_page_at_a_time(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "PAGE", 3)
    hashes = [(await made.put("s1", b"%d" % number)).hash for number in range(10)]
    made.away.add("p1:s1")
    made.keeping.clock.advance(1)
    await made.removal.remove_all(hashes[:8])
    for content_hash in hashes[8:]:
        await made.contents.change(content_hash, lambda known: evolve(known, wanted=1))
    for content_hash in hashes:
        path = made.stores["p1:s1"].volume.disk.content / relative_path(content_hash, "mp4")
        os.utime(path, ns=(0, NOW * 1_000_000))
    assert await made.tombstones().honour() == 8
    assert [made.files(each) for each in hashes] == [[]] * 8 + [["s1"]] * 2


@pytest_twisted.ensureDeferred
async def test_while_a_disk_is_not_there_nothing_is_looked_for(made: Removing) -> None:
    await removed_while_away(made, "s1")
    holdings = made.stores["p1:s1"]
    let_go(made)
    identity = holdings.volume.disk.root / IDENTITY
    identity.rename(identity.with_name("away"))
    await holdings.look()
    await made.tombstones().look()
    assert not holdings.burial.clearance.is_given
    identity.with_name("away").rename(identity)
    await holdings.look()
    await made.tombstones().look()
    assert holdings.burial.clearance.is_given
    assert made.files() == []


@pytest_twisted.ensureDeferred
async def test_what_goes_wrong_is_said_once_and_tried_again(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await removed_while_away(made, "s1")
    let_go(made)
    looking = made.tombstones()
    with monkeypatch.context() as failing, logged("warn") as messages:
        failing.setattr(made.documents, "range", away)
        for _ in range(3):
            await looking.look()
    assert messages == ["p1:s1 may have removed content: The database is away"]
    assert not made.stores["p1:s1"].burial.clearance.is_given
    await looking.look()
    assert made.files() == []
    let_go(made)
    with logged("warn") as messages:
        monkeypatch.setattr(made.documents, "range", away)
        await looking.look()
    assert len(messages) == 1


# What others write


@pytest_twisted.ensureDeferred
async def test_a_store_that_could_not_be_reached_hears_of_it(made: Removing) -> None:
    await removed_while_away(made, "s1")
    looking = made.tombstones()
    await looking.changed([HASH, "0" * 40])
    await looking.look()
    assert made.files() == ["s1"]  # who removes it may be about to
    made.keeping.clock.advance(GRACE / 1000)
    await looking.look()
    assert (made.files(), made.aside()) == ([], ["s1"])
    assert made.stores["p1:s1"].burial.clearance.left == set()


@pytest_twisted.ensureDeferred
async def test_other_notes_are_none_of_its_business(made: Removing) -> None:
    await made.protect()
    await made.tombstones().changed([HASH])
    assert made.stores["p1:s1"].burial.clearance.left == set()


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_looked_at_yet_is_not_forgotten(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await removed_while_away(made, "s1")
    looking = made.tombstones()
    await looking.changed([HASH])
    made.keeping.clock.advance(GRACE)
    with monkeypatch.context() as faulty:
        fail(faulty, "rename", errno.EROFS, on="content")
        await looking.look()
    with monkeypatch.context() as failing:
        failing.setattr(made.keeping.inventory, "get_many", away)
        await looking.look()
    assert made.files() == ["s1"]
    await looking.look()
    assert made.files() == []


@pytest_twisted.ensureDeferred
async def test_where_it_hears_of_too_much_or_misses_some_all_is_looked_through(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearance, "MOST", 0)
    await removed_while_away(made, "s1", "s2")
    await made.tombstones("s1").changed([HASH])
    made.tombstones("s2").missed()
    for name in ("s1", "s2"):
        await made.tombstones(name).look()
    assert made.files() == []


@pytest_twisted.ensureDeferred
async def test_it_looks_again_and_again(made: Removing) -> None:
    await removed_while_away(made, "s1")
    let_go(made)
    clock = Clock()
    loop = made.tombstones().loop(clock, 10.0)
    loop.start()
    clock.advance(10)
    await loop.stop()
    assert made.files() == []


@pytest_twisted.ensureDeferred
async def test_content_that_is_protected_meanwhile_stays(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await removed_while_away(made, "s1")
    real = made.keeping.inventory.get_many

    async def late(ids: Any) -> Any:
        await made.protect()
        return await real(ids)

    monkeypatch.setattr(made.keeping.inventory, "get_many", late)
    assert await made.tombstones().honour() == 0
    assert made.files() == ["s1"]
