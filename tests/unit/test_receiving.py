"""Files on their way onto a disk, in pieces or whole."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from oose import durable, receiving, whole_files
from oose.address import relative_path
from oose.disk import IDENTITY, Disk
from oose.errors import DiskFull, OoseError, Unavailable
from oose.pool import Inline, Threads
from oose.volume import Volume
from tests.real import reactor
from tests.unit.by_hand import ByHand
from tests.unit.faults import descriptors, fail
from tests.unit.logged import logged

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
PLACE = relative_path(HASH, "mp4")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "disk1", "disk1", 0)
    disk.enroll(None, may_create=True)
    return disk


@pytest.fixture
def volume(disk: Disk) -> Iterator[Volume]:
    pool = Threads("disk1", 2, reactor)
    pool.start()
    yield Volume(disk, pool)
    pool.stop()


def left_in_incoming(volume: Volume) -> int:
    return len(list(volume.disk.incoming.iterdir()))


@pytest_twisted.ensureDeferred
async def test_a_file_is_received_in_pieces(volume: Volume) -> None:
    reception = volume.receive()
    assert volume.describe()["receiving"] == 1
    assert left_in_incoming(volume) == 0  # not before there is something to write
    await reception.write([DATA[:2], DATA[2:4]])
    assert await reception.commit([DATA[4:]], HASH, "mp4") == PLACE
    await reception.confirm()
    assert (volume.disk.content / PLACE).read_bytes() == DATA
    assert volume.describe()["receiving"] == 0
    await volume.settled()
    assert left_in_incoming(volume) == 0


@pytest_twisted.ensureDeferred
async def test_a_sealed_file_waits_without_a_descriptor(volume: Volume) -> None:
    reception = volume.receive()
    await reception.seal()  # nothing yet
    await reception.write([DATA])
    await reception.seal()
    assert descriptors(str(volume.disk.root)) == 0
    assert await reception.commit([], HASH, "mp4") == PLACE
    await reception.confirm()


@pytest.mark.parametrize("how", ["whole", "in pieces", "sealed"])
@pytest_twisted.ensureDeferred
async def test_a_file_says_when_it_came(volume: Volume, how: str) -> None:
    came = 1_234_567_890_123  # ms
    reception = volume.receive()
    if how != "whole":
        await reception.write([DATA])
    if how == "sealed":
        await reception.seal()
    await reception.commit([DATA] if how == "whole" else [], HASH, "mp4", came)
    await reception.confirm()
    found = await volume.find(HASH)
    assert found is not None
    assert found.modified == came


@pytest_twisted.ensureDeferred
async def test_an_empty_file_is_received(volume: Volume) -> None:
    nothing = hashlib.md5(b"").hexdigest()
    reception = volume.receive()
    place = await reception.commit([], nothing, "bin")
    await reception.confirm()
    assert (volume.disk.content / place).read_bytes() == b""


@pytest.mark.parametrize("steps", ["", "w", "ws", "wc"])
@pytest_twisted.ensureDeferred
async def test_nothing_is_left_of_what_is_withdrawn(volume: Volume, steps: str) -> None:
    reception = volume.receive()
    if "w" in steps:
        await reception.write([DATA])
    if "s" in steps:
        await reception.seal()
    if "c" in steps:
        await reception.commit([], HASH, "mp4")
    await reception.withdraw()
    await reception.withdraw()
    assert volume.writing == 0
    assert left_in_incoming(volume) == 0
    assert await volume.find(HASH) is None
    assert descriptors(str(volume.disk.root)) == 0


@pytest_twisted.ensureDeferred
async def test_what_was_withdrawn_cannot_go_on(volume: Volume) -> None:
    for begun in (False, True):
        reception = volume.receive()
        if begun:
            await reception.write([DATA])
        await reception.withdraw()
        await reception.seal()
        with pytest.raises(Unavailable, match="given up"):
            await reception.write([DATA])
        with pytest.raises(OoseError):
            await reception.commit([], HASH, "mp4")
    assert left_in_incoming(volume) == 0
    assert await volume.find(HASH) is None


@pytest_twisted.ensureDeferred
async def test_a_confirmed_file_is_not_withdrawn(volume: Volume) -> None:
    reception = volume.receive()
    await reception.commit([DATA], HASH, "mp4")
    await reception.confirm()
    await reception.withdraw()
    assert await volume.find(HASH) is not None
    assert volume.writing == 0


@pytest_twisted.ensureDeferred
async def test_a_full_disk_refuses_and_can_be_cleaned_up(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    reception = volume.receive()
    await reception.write([DATA])
    fail(monkeypatch, "writev", errno.ENOSPC)
    with pytest.raises(DiskFull):
        await reception.write([DATA])
    await reception.withdraw()
    assert left_in_incoming(volume) == 0


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_gone_receives_nothing(volume: Volume) -> None:
    reception = volume.receive()
    (volume.disk.root / IDENTITY).unlink()
    with pytest.raises(Unavailable):
        await reception.write([DATA])
    await reception.withdraw()
    assert left_in_incoming(volume) == 0
    assert volume.writing == 0


@pytest_twisted.ensureDeferred
async def test_a_withdrawal_waits_for_the_write_that_its_caller_no_longer_awaits(
    disk: Disk,
) -> None:
    pool = ByHand()
    volume = Volume(disk, pool)
    reception = volume.receive()
    writing = Deferred.fromCoroutine(reception.write([DATA]))
    writing.cancel()
    with pytest.raises(CancelledError):
        await writing
    withdrawing = Deferred.fromCoroutine(reception.withdraw())
    assert len(pool.waiting) == 1  # its turn comes when the write has ended
    there: list[int] = []
    pool.waiting.pop(0).callback(None)
    there.append(left_in_incoming(volume))
    pool.do_all()
    await withdrawing
    assert [*there, left_in_incoming(volume)] == [1, 0]


@pytest_twisted.ensureDeferred
async def test_a_withdrawal_has_nothing_to_do_where_the_write_before_it_could_not_begin(
    disk: Disk,
) -> None:
    pool = ByHand()
    volume = Volume(disk, pool)
    (disk.root / IDENTITY).unlink()
    reception = volume.receive()
    writing = Deferred.fromCoroutine(reception.write([DATA]))
    withdrawing = Deferred.fromCoroutine(reception.withdraw())
    pool.do_all()
    with pytest.raises(Unavailable, match="not there"):
        await writing
    await withdrawing
    assert volume.writing == 0


@pytest_twisted.ensureDeferred
async def test_a_cancelled_commit_is_carried_out_and_then_withdrawn(disk: Disk) -> None:
    pool = ByHand()
    volume = Volume(disk, pool)
    reception = volume.receive()
    committing = Deferred.fromCoroutine(reception.commit([DATA], HASH, "mp4"))
    committing.cancel()
    with pytest.raises(CancelledError):
        await committing
    withdrawing = Deferred.fromCoroutine(reception.withdraw())
    pool.waiting.pop(0).callback(None)
    assert disk.find(HASH) is not None
    pool.do_all()
    await withdrawing
    assert disk.find(HASH) is None
    assert left_in_incoming(volume) == 0


# Whole files


@pytest_twisted.ensureDeferred
async def test_whole_files_that_come_together_are_synced_together(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = durable.sync_file_system

    def sync(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(whole_files, "sync_file_system", sync)
    pool = ByHand()
    volume = Volume(disk, pool)
    contents = [b"%d" % number for number in range(receiving.LANES + 5)]
    hashes = [hashlib.sha1(data).hexdigest() for data in contents]
    commits = [
        Deferred.fromCoroutine(volume.receive().commit([data], content_hash, "txt"))
        for data, content_hash in zip(contents, hashes, strict=True)
    ]
    pool.do_all()
    assert [await commit for commit in commits] == [relative_path(each, "txt") for each in hashes]
    assert [(disk.content / relative_path(each, "txt")).read_bytes() for each in hashes] == contents
    assert len(synced) == receiving.LANES + 1
    assert descriptors(str(disk.root)) == 0


@pytest_twisted.ensureDeferred
async def test_one_whole_file_that_fails_leaves_the_others(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ByHand()
    volume = Volume(disk, pool)
    monkeypatch.setattr(whole_files, "free_bytes", lambda _: 2)
    sizes = [1, 1, 1, 2, 1]  # bytes; the first goes alone with the second, each in a lane
    receptions = [volume.receive() for _ in sizes]
    commits = [
        Deferred.fromCoroutine(
            reception.commit([b"x" * size], hashlib.sha1(b"%d" % number).hexdigest(), "txt")
        )
        for number, (size, reception) in enumerate(zip(sizes, receptions, strict=True))
    ]
    pool.do_all()
    outcomes = []
    for commit in commits:
        try:
            outcomes.append(bool(await commit))
        except DiskFull:
            outcomes.append(False)
    assert outcomes == [True, True, True, False, True]
    assert left_in_incoming(volume) == 4
    for reception in receptions:
        withdrawn = Deferred.fromCoroutine(reception.withdraw())
        pool.do_all()
        await withdrawn
    assert left_in_incoming(volume) == 0


@pytest_twisted.ensureDeferred
async def test_a_sync_that_fails_keeps_none_of_them(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(whole_files, "sync_file_system", failing)
    reception = volume.receive()
    with pytest.raises(Unavailable, match="Input/output error"):
        await reception.commit([DATA], HASH, "mp4")
    assert left_in_incoming(volume) == 0
    assert await volume.find(HASH) is None
    await reception.withdraw()
    assert volume.writing == 0


@pytest.mark.parametrize("call", ["fstatvfs", "writev", "link"])
@pytest_twisted.ensureDeferred
async def test_nothing_is_left_of_a_whole_file_that_fails(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    fail(monkeypatch, call, errno.EIO)
    with pytest.raises(Unavailable, match="Input/output error"):
        await volume.receive().commit([DATA], HASH, "mp4")
    assert left_in_incoming(volume) == 0
    assert descriptors(str(volume.disk.root)) == 0


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_gone_takes_no_whole_file(volume: Volume) -> None:
    (volume.disk.root / IDENTITY).unlink()
    with pytest.raises(Unavailable, match="not there"):
        await volume.receive().commit([DATA], HASH, "mp4")
    assert left_in_incoming(volume) == 0


@pytest.mark.parametrize("reason", ["a large file is written", "an old kernel"])
@pytest_twisted.ensureDeferred
async def test_a_whole_file_is_synced_by_itself_where_a_sync_of_all_would_take_long_or_lie(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(whole_files, "sync_file_system", None)  # not to be called
    if reason == "an old kernel":
        monkeypatch.setattr(receiving, "SYNCS_FILE_SYSTEMS", False)
    else:
        await volume.receive().write([b"much"])
    assert await volume.receive().commit([DATA], HASH, "mp4") == PLACE
    assert (volume.disk.content / PLACE).read_bytes() == DATA


@pytest_twisted.ensureDeferred
async def test_files_sync_together_again_once_the_large_one_is_over(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = volume.receive()
    await large.write([b"much"])
    await large.withdraw()
    with pytest.raises(Unavailable, match="given up"):
        await large.write([b"more"])
    monkeypatch.setattr(os, "fdatasync", None)  # not to be called
    assert await volume.receive().commit([DATA], HASH, "mp4") == PLACE


@pytest_twisted.ensureDeferred
async def test_a_folder_that_cannot_be_synced_fails_the_file_and_nothing_is_left(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    reception = volume.receive()
    await reception.write([DATA])
    with monkeypatch.context() as faulty:
        fail(faulty, "fsync", errno.EIO)
        with pytest.raises(Unavailable, match="Input/output error"):
            await reception.commit([], HASH, "mp4")
    await reception.withdraw()
    assert left_in_incoming(volume) == 0
    assert await volume.find(HASH) is None


# Afterwards


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_confirmed_is_left_to_the_next_start(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(disk, Inline())
    reception = volume.receive()
    await reception.commit([DATA], HASH, "mp4")
    fail(monkeypatch, "unlink", errno.EIO)
    with logged("warn") as warnings:
        await reception.confirm()
        await volume.settled()
    assert "the next start clears" in warnings[0]
    assert (disk.content / PLACE).read_bytes() == DATA


@pytest_twisted.ensureDeferred
async def test_two_who_withdraw_the_same_file_do_it_once(volume: Volume) -> None:
    reception = volume.receive()
    writing = Deferred.fromCoroutine(reception.write([DATA]))
    both = [Deferred.fromCoroutine(reception.withdraw()) for _ in range(2)]
    for each in (writing, *both):
        await each
    assert volume.writing == 0
    assert left_in_incoming(volume) == 0
