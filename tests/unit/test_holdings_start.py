"""The start of a store: whether the disk is its own, and what a crash left on it."""

import errno
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted

from oose.address import old_relative_path, relative_path
from oose.disk import IDENTITY
from oose.holdings import Holdings
from oose.locks import InUse
from tests.unit.faults import fail
from tests.unit.keeping import Keeping
from tests.unit.logged import logged

DATA = b"a film"
INSERT = "INSERT INTO documents VALUES ('inventory', ?, ?, ?)"
HASH = hashlib.sha1(DATA).hexdigest()


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    yield keeping
    await keeping.database.close()


@pytest_twisted.async_yield_fixture
async def store(keeping: Keeping) -> AsyncIterator[Holdings]:
    yield await keeping.start()


def received(store: Holdings) -> list[Path]:
    return list(store.volume.disk.incoming.iterdir())


def crash_in_an_upload(store: Holdings, *, visible: bool = True) -> None:
    """What a killed process leaves after it has received `DATA`."""
    incoming = store.volume.disk.create()
    incoming.write([DATA])
    incoming.seal()
    if visible:
        incoming.commit(HASH, "mp4")
    store.volume.release()


@pytest_twisted.ensureDeferred
async def test_a_store_starts_on_an_empty_disk(keeping: Keeping) -> None:
    store = keeping.holdings()
    assert (store.place, store.prism, store.store) == ("p1:s1", "p1", "s1")
    await store.enroll()
    assert store.volume.usable


@pytest_twisted.ensureDeferred
async def test_a_disk_that_the_registry_knows_is_not_made_anew(keeping: Keeping) -> None:
    first = await keeping.start()
    root = first.volume.disk.root
    root.rename(keeping.folder / "away")
    again = keeping.holdings()
    await again.enroll()
    assert not again.volume.usable
    assert not root.exists()


@pytest.mark.parametrize("others", [0, 1000, 2500])
@pytest_twisted.ensureDeferred
async def test_a_disk_that_the_inventory_knows_is_not_made_anew(
    keeping: Keeping, others: int
) -> None:
    """An empty folder would look as if all of its content had been lost."""
    rows = [(f"{n:040}:p1:other", "1-x", "{}") for n in range(others)]
    rows.append(("f" * 40 + ":p1:s1", "1-x", "{}"))
    await keeping.database.write(lambda c: c.executemany(INSERT, rows).rowcount)
    store = keeping.holdings()
    await store.enroll()
    assert not store.volume.usable
    assert not store.volume.disk.root.exists()


@pytest.mark.parametrize("others", [1, 999, 1000, 2000])
@pytest_twisted.ensureDeferred
async def test_what_others_hold_does_not_keep_a_new_store_from_starting(
    keeping: Keeping, others: int
) -> None:
    places = ("p1:s11", "p1:xs1", "xp1:s1", "p2:s1")
    rows = [(f"{n:040}:{places[n % 4]}", "1-x", "{}") for n in range(others)]
    await keeping.database.write(lambda c: c.executemany(INSERT, rows).rowcount)
    store = keeping.holdings()
    await store.enroll()
    assert store.volume.usable


@pytest_twisted.ensureDeferred
async def test_after_a_crash_what_was_answered_is_there_and_nothing_else(
    keeping: Keeping, store: Holdings
) -> None:
    """Between the file's name and its record, between record and answer, and in mid-upload."""
    crash_in_an_upload(store)
    crash_in_an_upload(store, visible=False)
    recorded = await keeping.put(store, b"another film")
    incoming = store.volume.disk.create()
    incoming.write([b"another film"])
    incoming.commit(recorded.hash, "mp4")
    with logged("info") as messages:
        again = await keeping.start()
    assert received(again) == []
    assert await again.volume.find(HASH) is None
    assert (again.volume.disk.content / recorded.relative_path).read_bytes() == b"another film"
    assert "3 unfinished uploads cleared from p1:s1" in messages


@pytest_twisted.ensureDeferred
async def test_another_stores_record_is_no_reason_to_keep_what_a_crash_left(
    keeping: Keeping, store: Holdings
) -> None:
    other = await keeping.start("s2")
    await keeping.put(other, DATA)
    crash_in_an_upload(store)
    again = await keeping.start()
    assert await again.volume.find(HASH) is None
    assert await other.volume.find(HASH) is not None


@pytest.mark.parametrize("earlier", ["txt", "old"])
@pytest_twisted.ensureDeferred
async def test_what_a_crash_left_goes_although_the_same_is_recorded_by_another_path(
    earlier: str, keeping: Keeping, store: Holdings
) -> None:
    place = old_relative_path(HASH, "mp4") if earlier == "old" else relative_path(HASH, "txt")
    recorded = await keeping.put(store, DATA, place=place, ext=place.rpartition(".")[2])
    crash_in_an_upload(store)
    again = await keeping.start()
    assert received(again) == []
    content = again.volume.disk.content
    files = [str(path.relative_to(content)) for path in content.rglob("*") if path.is_file()]
    assert files == [recorded.relative_path] == [place]


@pytest_twisted.ensureDeferred
async def test_one_that_cannot_be_cleared_does_not_stop_the_start(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_in_an_upload(store, visible=False)
    with monkeypatch.context() as faulty:
        fail(faulty, "unlink", errno.EIO, on="incoming")
        again = await keeping.start()
    assert again.volume.usable
    again.volume.release()
    await keeping.start()
    assert received(again) == []


@pytest_twisted.ensureDeferred
async def test_a_disk_that_another_process_uses_is_left_alone_until_that_ends(
    keeping: Keeping, store: Holdings
) -> None:
    store.volume.disk.create().write([DATA])  # an upload to the first process
    second = keeping.holdings()
    with pytest.raises(InUse, match=f"process {os.getpid()}"):
        await second.enroll()
    with logged("error") as said:
        await second.look()
    assert "p1:s1 is unavailable" in said[0]
    assert not second.volume.usable
    assert len(received(store)) == 1
    store.volume.release()
    await second.look()
    assert second.volume.usable
    assert received(store) == []


@pytest_twisted.ensureDeferred
async def test_a_disk_that_comes_late_is_cleared_then(keeping: Keeping, store: Holdings) -> None:
    crash_in_an_upload(store)
    root, away = store.volume.disk.root, keeping.folder / "away"
    root.rename(away)
    again = await keeping.start()
    await again.look()
    assert not again.volume.usable
    away.rename(root)
    await again.look()
    assert again.volume.usable
    assert received(again) == []
    assert await again.volume.find(HASH) is None


@pytest_twisted.ensureDeferred
async def test_looking_at_a_disk_in_use_clears_no_upload(store: Holdings) -> None:
    crash_in_an_upload(store)
    await store.look()
    assert len(received(store)) == 1
    (store.volume.disk.root / IDENTITY).unlink()
    await store.look()
    assert not store.volume.usable
