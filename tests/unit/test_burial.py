"""Clones of removed content, taken off a store's disk when they are from before."""

import errno
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose.address import old_relative_path, relative_path
from oose.burial import Coming
from oose.errors import Conflict, NotFound, Unavailable
from oose.holdings import Holdings
from tests.unit.faults import fail
from tests.unit.keeping import NOW, Keeping

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
REMOVED = NOW + 1000


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    yield keeping
    await keeping.database.close()


@pytest_twisted.async_yield_fixture
async def store(keeping: Keeping) -> AsyncIterator[Holdings]:
    yield await keeping.start()


def write(store: Holdings, place: str, modified: int) -> Path:
    """A file without a record."""
    path = store.volume.disk.content / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(DATA)
    os.utime(path, ns=(0, modified * 1_000_000))
    return path


def quarantine(store: Holdings) -> list[str]:
    return sorted(path.name for path in store.volume.disk.quarantine.iterdir())


@pytest_twisted.ensureDeferred
async def test_a_clone_from_before_is_deleted_with_its_record(
    keeping: Keeping, store: Holdings
) -> None:
    record = await keeping.put(store, DATA)
    assert await store.own_record(HASH) == record
    await store.remove(HASH, before=REMOVED)
    assert await store.own_record(HASH) is None
    assert await store.volume.find(HASH) is None
    assert quarantine(store) == []
    with pytest.raises(NotFound):
        await store.remove(HASH, before=REMOVED)


@pytest_twisted.ensureDeferred
async def test_or_it_goes_to_quarantine_with_a_note(keeping: Keeping, store: Holdings) -> None:
    record = await keeping.put(store, DATA)
    assert await store.burial.set_aside(HASH, REMOVED) == 1
    assert await store.record(HASH) is None
    kept = store.volume.disk.quarantine / f"{HASH}.mp4"
    assert kept.read_bytes() == DATA
    assert json.loads(kept.with_name(kept.name + ".why.json").read_text()) == {
        "hash": HASH,
        "removed": REMOVED,
        "size": len(DATA),
        "path": record.relative_path,
        "at": NOW,
    }
    assert await store.burial.set_aside(HASH, REMOVED) == 0


@pytest_twisted.ensureDeferred
async def test_all_its_files_go_in_whatever_layout(keeping: Keeping, store: Holdings) -> None:
    await keeping.put(store, DATA)
    write(store, old_relative_path(HASH, "avi"), NOW)
    await store.remove(HASH, before=REMOVED)
    assert await store.volume.find(HASH) is None


@pytest_twisted.ensureDeferred
async def test_a_clone_that_has_come_since_stays(keeping: Keeping, store: Holdings) -> None:
    record = await keeping.put(store, DATA)
    with pytest.raises(Conflict, match="since it was removed"):
        await store.remove(HASH, before=NOW)
    with pytest.raises(Conflict):
        await store.burial.set_aside(HASH, NOW)
    assert await store.record(HASH) == record
    assert store.burial.clearance.left == set()


@pytest.mark.parametrize(("modified", "goes"), [(REMOVED - 1, True), (REMOVED, False)])
@pytest_twisted.ensureDeferred
async def test_without_a_record_the_file_says_how_old_it_is(
    store: Holdings, modified: int, goes: bool
) -> None:
    path = write(store, relative_path(HASH, "mp4"), modified)
    if goes:
        await store.remove(HASH, before=REMOVED)
    else:
        with pytest.raises(Conflict):
            await store.remove(HASH, before=REMOVED)
    assert path.exists() is not goes


@pytest_twisted.ensureDeferred
async def test_a_record_without_a_file_goes_too(keeping: Keeping, store: Holdings) -> None:
    record = await keeping.put(store, DATA)
    (store.volume.disk.content / record.relative_path).unlink()
    with pytest.raises(NotFound):
        await store.remove(HASH, before=REMOVED)
    assert await store.record(HASH) is None


@pytest_twisted.ensureDeferred
async def test_what_is_just_being_uploaded_stays(keeping: Keeping, store: Holdings) -> None:
    """Whatever its file says: the prism that sends it is about to write its record."""
    reception = store.receive()
    place = await reception.commit([DATA], HASH, "mp4")
    os.utime(store.volume.disk.content / place, (0, 0))
    with pytest.raises(Coming, match="being uploaded to p1:s1"):
        await store.remove(HASH, before=REMOVED)
    assert store.burial.clearance.left == {HASH}
    record = await keeping.put(store, DATA)
    document = await keeping.inventory.get(record.id)
    assert document is not None
    new = evolve(record, created=REMOVED + 1)
    await keeping.inventory.put(record.id, new.to_body(), document.rev)
    with pytest.raises(Conflict):  # it is written, although it has not heard of it
        await store.remove(HASH, before=REMOVED)
    await reception.confirm()
    with pytest.raises(Conflict):
        await store.remove(HASH, before=REMOVED)
    assert await store.volume.find(HASH) is not None


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_taken_is_looked_at_again(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await keeping.put(store, DATA)
    with monkeypatch.context() as faulty:
        fail(faulty, "unlink", errno.EROFS, on="content")
        with pytest.raises(Unavailable, match="Read-only"):
            await store.remove(HASH, before=REMOVED)
    assert store.burial.clearance.left == {HASH}
    assert await store.record(HASH) == record  # which says how old it is


@pytest_twisted.ensureDeferred
async def test_a_crash_between_file_and_record_is_made_good_the_second_time(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await keeping.put(store, DATA)

    async def crash(*args: Any) -> Any:
        raise Unavailable("away")

    with monkeypatch.context() as crashing:
        crashing.setattr(keeping.inventory, "delete", crash)
        with pytest.raises(Unavailable):
            await store.burial.set_aside(HASH, REMOVED)
    assert await store.record(HASH) == record
    assert await store.volume.find(HASH) is None
    assert await store.burial.set_aside(HASH, REMOVED) == 0
    assert await store.record(HASH) is None
    assert len(quarantine(store)) == 2


# What a disk may send that may have removed content on it


@pytest_twisted.ensureDeferred
async def test_until_a_disk_is_looked_through_the_inventory_has_to_answer(
    keeping: Keeping, store: Holdings
) -> None:
    record = await keeping.put(store, DATA)
    store.burial.clearance.take_back()
    assert await store.own_record(HASH) == record
    assert await store.own_record("0" * 40) is None
    keeping.existence.forget(HASH)
    await keeping.database.close()
    with pytest.raises(Unavailable):
        await store.own_record(HASH)
