import errno
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose.address import old_relative_path, relative_path
from oose.disk import IDENTITY
from oose.errors import Conflict, NotFound, Unavailable
from oose.holdings import Holdings
from oose.metadata.documents import Stale
from oose.metadata.records import InventoryRecord
from tests.unit.faults import fail
from tests.unit.keeping import NOW, Keeping

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    yield keeping
    await keeping.database.close()


@pytest_twisted.async_yield_fixture
async def store(keeping: Keeping) -> AsyncIterator[Holdings]:
    yield await keeping.start()


@pytest_twisted.async_yield_fixture
async def record(keeping: Keeping, store: Holdings) -> AsyncIterator[InventoryRecord]:
    yield await keeping.put(store, DATA)


def path_of(store: Holdings, record: InventoryRecord) -> Path:
    return store.volume.disk.content / record.relative_path


# For placement and uploads


@pytest_twisted.ensureDeferred
async def test_a_store_is_a_candidate_with_its_room_and_load(store: Holdings) -> None:
    candidate = store.candidate()
    assert candidate is not None
    assert (candidate.name, candidate.machine, candidate.group) == ("p1:s1", "machine1", "main")
    space = store.volume.space
    assert (candidate.free, candidate.capacity) == (space.free, space.capacity)
    assert (candidate.load, candidate.writable) == (0, True)
    reception = store.receive()
    busy = store.candidate()
    assert busy is not None
    assert busy.load == 1
    await reception.withdraw()


@pytest.mark.parametrize("word", ["active", "available", "writable"])
@pytest_twisted.ensureDeferred
async def test_a_store_that_takes_nothing_is_no_candidate(
    keeping: Keeping, store: Holdings, word: str
) -> None:
    await keeping.others_write(
        "UPDATE documents SET body = json_set(body, ?, json('false'))", f"$.{word}"
    )
    await keeping.registry.load()
    assert store.candidate() is None


@pytest_twisted.ensureDeferred
async def test_a_store_without_its_disk_or_a_name_is_no_candidate(
    keeping: Keeping, store: Holdings
) -> None:
    (store.volume.disk.root / IDENTITY).unlink()
    await store.volume.refresh()
    assert store.candidate() is None
    assert keeping.holdings("unknown").candidate() is None


@pytest_twisted.ensureDeferred
async def test_a_store_holds_a_record_whose_file_is_there_at_its_size(
    keeping: Keeping, store: Holdings
) -> None:
    record = await keeping.put(store, DATA)
    assert await store.holds(record)
    assert not await store.holds(evolve(record, size=record.size + 1))
    path_of(store, record).unlink()
    assert not await store.holds(record)


# For readers


@pytest_twisted.ensureDeferred
async def test_a_file_is_opened_where_its_record_says(keeping: Keeping, store: Holdings) -> None:
    record = await keeping.put(store, DATA)
    file = await store.open(record)
    assert (file.size, file.whole) == (len(DATA), DATA)
    file.close()


@pytest_twisted.ensureDeferred
async def test_a_file_in_another_layout_than_its_record_says_is_opened_too(
    keeping: Keeping, store: Holdings
) -> None:
    old = await keeping.put(store, DATA, place=old_relative_path(HASH, "mp4"))
    file = await store.open(evolve(old, relative_path=f"{HASH[:2]}/{HASH[2:4]}/{HASH}.mp4"))
    assert file.whole == DATA
    file.close()


@pytest_twisted.ensureDeferred
async def test_of_several_files_the_recorded_one_is_found(
    keeping: Keeping, store: Holdings
) -> None:
    record = await keeping.put(store, DATA, ext="txt")
    for ext in ("bin", "zip"):
        (store.volume.disk.content / relative_path(record.hash, ext)).write_bytes(b"other")
    assert (await store.found(record.hash)).relative_path == record.relative_path
    (store.volume.disk.content / record.relative_path).unlink()
    assert (await store.found(record.hash)).ext == "bin"
    document = await keeping.inventory.get(record.id)
    assert document is not None
    await keeping.inventory.delete(record.id, document.rev)
    assert (await store.found(record.hash)).ext == "bin"


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_gone_cannot_be_opened(keeping: Keeping, store: Holdings) -> None:
    record = await keeping.put(store, DATA)
    path_of(store, record).unlink()
    with pytest.raises(NotFound, match=f"{HASH} was not found on this store"):
        await store.open(record)


@pytest_twisted.ensureDeferred
async def test_a_stores_own_record_is_told_from_others(keeping: Keeping, store: Holdings) -> None:
    other = await keeping.start("s2")
    assert await store.record(HASH) is None
    theirs = await keeping.put(other, DATA)
    assert await store.record(HASH) is None
    assert await store.own_record(HASH) is None
    keeping.existence.forget(HASH)
    ours = await keeping.put(store, DATA)
    assert await store.record(HASH) == ours
    assert await store.own_record(HASH) == ours
    assert await other.own_record(HASH) == theirs


@pytest_twisted.ensureDeferred
async def test_while_the_inventory_is_away_the_disks_word_is_enough(
    keeping: Keeping, store: Holdings
) -> None:
    record = await keeping.put(store, DATA)
    keeping.existence.forget(HASH)
    await keeping.database.close()
    own = await store.own_record(HASH)
    assert own is not None
    same = ("hash", "place", "relative_path", "size", "mime_type", "mime_extension")
    assert [getattr(own, name) for name in same] == [getattr(record, name) for name in same]
    with pytest.raises(Unavailable):
        await store.own_record("0" * 40)


# Removal


@pytest_twisted.ensureDeferred
async def test_a_removed_clone_is_gone_from_disk_inventory_and_cache(
    keeping: Keeping, store: Holdings
) -> None:
    record = await keeping.put(store, DATA)
    assert await store.own_record(HASH) == record
    await store.remove(HASH)
    assert await store.own_record(HASH) is None
    assert await store.record(HASH) is None
    assert not path_of(store, record).exists()
    with pytest.raises(NotFound):
        await store.remove(HASH)


@pytest_twisted.ensureDeferred
async def test_nothing_is_listed_whose_file_is_gone(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record goes first: what is left when the disk fails then is a file without one."""
    await keeping.put(store, DATA)
    fail(monkeypatch, "unlink", errno.EROFS, on="content")
    with pytest.raises(Unavailable, match="Read-only"):
        await store.remove(HASH)
    assert await store.record(HASH) is None
    assert await store.volume.find(HASH) is not None


@pytest_twisted.ensureDeferred
async def test_removing_what_is_gone_already_forgets_its_record(
    keeping: Keeping, store: Holdings
) -> None:
    record = await keeping.put(store, DATA)
    path_of(store, record).unlink()
    with pytest.raises(NotFound):
        await store.remove(HASH)
    assert await store.record(HASH) is None


@pytest_twisted.ensureDeferred
async def test_a_clone_is_removed_only_before_the_time_that_is_said(
    keeping: Keeping, store: Holdings
) -> None:
    record = await keeping.put(store, DATA)
    for before in (None, NOW + 1):
        with pytest.raises(Conflict, match="before now; it stays"):
            await store.remove(HASH, before=before, until=keeping.now())
    assert await store.record(HASH) == record
    assert path_of(store, record).exists()
    await store.remove(HASH, until=keeping.now() + 1)
    assert await store.record(HASH) is None
    assert not path_of(store, record).exists()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("is_recorded", [True, False])
async def test_a_clone_stays_where_that_time_is_over_when_its_record_is_read(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch, is_recorded: bool
) -> None:
    record = await keeping.put(store, DATA)
    if not is_recorded:
        await keeping.others_write("DELETE FROM documents WHERE id = ?", record.id)
    get = keeping.inventory.get

    async def slow(document_id: str) -> Any:
        keeping.clock.advance(30)
        return await get(document_id)

    monkeypatch.setattr(keeping.inventory, "get", slow)
    with pytest.raises(Conflict):
        await store.remove(HASH, until=keeping.now() + 30_000)
    assert path_of(store, record).exists()
    assert await store.record(HASH) == (record if is_recorded else None)


# Somebody else writes the record at the same moment


@pytest.fixture
def interrupted(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let another process write the record just before the first write; the writes refused."""
    refused: list[str] = []

    def interrupt(call: str) -> None:
        real = getattr(keeping.inventory, call)

        async def late(document_id: str, *args: Any) -> str | Stale:
            if not refused:
                await keeping.others_write(
                    "UPDATE documents SET rev = '9-x',"
                    " body = json_set(body, '$.mimeType', 'video/ogg') WHERE id = ?",
                    document_id,
                )
            answer: str | Stale = await real(document_id, *args)
            if isinstance(answer, Stale):
                refused.append(call)
            return answer

        monkeypatch.setattr(keeping.inventory, call, late)

    for call in ("put", "delete"):
        interrupt(call)
    return refused


@pytest_twisted.ensureDeferred
async def test_a_removal_removes_also_what_another_wrote_meanwhile(
    record: InventoryRecord, store: Holdings, interrupted: list[str]
) -> None:
    await store.remove(HASH)
    assert interrupted == ["delete"]
    assert await store.record(HASH) is None


@pytest_twisted.ensureDeferred
async def test_what_is_just_coming_is_not_removed(store: Holdings, record: InventoryRecord) -> None:
    await store.volume.passage.come(HASH)
    with pytest.raises(Conflict, match="being uploaded to p1:s1"):
        await store.remove(HASH)
    assert path_of(store, record).read_bytes() == DATA
    assert await store.record(HASH) == record
    store.volume.passage.came(HASH)
    await store.remove(HASH)
    assert await store.record(HASH) is None
