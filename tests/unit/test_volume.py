import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from oose.address import relative_path
from oose.disk import IDENTITY, Disk, Found
from oose.errors import DiskFull, NotFound, OoseError, Unavailable
from oose.pool import Inline, Threads
from oose.volume import SMALL, Volume
from tests.real import reactor
from tests.unit.faults import descriptors, fail
from tests.unit.logged import logged

P = ParamSpec("P")
T = TypeVar("T")

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
PLACE = relative_path(HASH, "mp4")


class ByHand:
    """A pool that makes its calls when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        turn: Deferred[None] = Deferred(lambda _: None)  # a call that has begun is not cancelled
        self.waiting.append(turn)
        await turn
        return call(*args, **kwargs)

    def do_all(self) -> None:
        while self.waiting:
            self.waiting.pop(0).callback(None)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "disk1", "disk1", 0)


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads("disk1", 2, reactor)
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture
def errors() -> Iterator[list[str]]:
    with logged("error") as seen:
        yield seen


@pytest.fixture
def volume(disk: Disk, threads: Threads) -> Volume:
    disk.enroll(None, may_create=True)
    return Volume(disk, threads)


def put(disk: Disk, data: bytes = DATA) -> None:
    (disk.content / PLACE).parent.mkdir(parents=True)
    (disk.content / PLACE).write_bytes(data)


def left_in_incoming(volume: Volume) -> int:
    return len(list(volume.disk.incoming.iterdir()))


# Taking the disk into use


@pytest_twisted.ensureDeferred
async def test_a_disk_is_in_use_once_it_is_enrolled(disk: Disk, threads: Threads) -> None:
    volume = Volume(disk, threads)
    assert not volume.usable
    assert await volume.enroll(None, may_create=True) == []
    assert volume.usable
    assert volume.identity is not None
    assert volume.describe() == {
        "usable": True,
        "capacity": volume.space.capacity,
        "free": volume.space.free,
        "receiving": 0,
    }
    assert volume.space.capacity >= volume.space.free > 0


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_not_ours_is_not_in_use(disk: Disk, errors: list[str]) -> None:
    volume = Volume(disk, Inline())
    assert await volume.enroll("a1b2", may_create=False) == ()
    assert not volume.usable
    assert volume.identity is None
    assert "not mounted" in errors[0]


@pytest.mark.parametrize(("call", "on"), [("mkdir", "disk1"), ("listdir", "incoming")])
@pytest_twisted.ensureDeferred
async def test_a_failing_disk_is_not_in_use_and_can_be_enrolled_later(
    disk: Disk, errors: list[str], monkeypatch: pytest.MonkeyPatch, call: str, on: str
) -> None:
    volume = Volume(disk, Inline())
    with monkeypatch.context() as faulty:
        fail(faulty, call, errno.EIO, on=on)
        assert await volume.enroll(None, may_create=True) == ()
    assert not volume.usable
    assert volume.identity is None
    assert "Input/output error" in errors[0]
    await volume.enroll(None, may_create=True)
    assert volume.usable


@pytest_twisted.ensureDeferred
async def test_what_a_crash_left_is_told_and_settled(volume: Volume) -> None:
    incoming = volume.disk.create()
    incoming.write([DATA])
    incoming.commit(HASH, "mp4")
    (intent,) = await volume.enroll(None, may_create=False)
    assert intent.hash == HASH
    await volume.settle(intent, recorded=False)
    assert await volume.find(HASH) is None
    assert left_in_incoming(volume) == 0


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_settled_now_is_left_for_the_next_start(
    volume: Volume, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = volume.disk.create()
    incoming.seal()
    (intent,) = await volume.enroll(None, may_create=False)
    with monkeypatch.context() as faulty:
        fail(faulty, "unlink", errno.EROFS, on="incoming")
        await volume.settle(intent, recorded=False)
    assert errors == ["The disk of the store 'disk1' failed: Read-only file system"]
    assert left_in_incoming(volume) == 1


@pytest_twisted.ensureDeferred
async def test_an_upload_that_begins_when_the_disk_comes_into_use_is_not_left_behind(
    disk: Disk,
) -> None:
    disk.enroll(None, may_create=True)
    pool = ByHand()
    volume = Volume(disk, pool)
    enrolling = Deferred.fromCoroutine(volume.enroll(None, may_create=False))
    while not volume.usable:
        pool.waiting.pop(0).callback(None)
    disk.create()
    pool.do_all()
    assert await enrolling == []


# Is it there?


@pytest_twisted.ensureDeferred
async def test_a_disk_that_goes_and_comes_is_noticed(volume: Volume, errors: list[str]) -> None:
    await volume.enroll(None, may_create=False)
    away = volume.disk.root.with_name("away")
    volume.disk.root.rename(away)
    assert not await volume.refresh()
    assert not await volume.refresh()
    assert not volume.usable
    assert len(errors) == 1  # said once, not at every look
    away.rename(volume.disk.root)
    assert await volume.refresh()
    assert volume.usable
    assert await volume.refresh()
    assert volume.usable


@pytest_twisted.ensureDeferred
async def test_a_disk_that_does_not_tell_its_room_is_not_usable(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    await volume.enroll(None, may_create=False)
    fail(monkeypatch, "statvfs", errno.EIO)
    assert not await volume.refresh()
    assert not volume.usable


# Reading


@pytest_twisted.ensureDeferred
async def test_a_file_is_found_and_removed(volume: Volume) -> None:
    put(volume.disk)
    found = Found(PLACE, "mp4", len(DATA))
    assert await volume.find(HASH) == found
    assert await volume.look_at(PLACE) == found
    assert await volume.remove(PLACE)
    assert await volume.find(HASH) is None


@pytest_twisted.ensureDeferred
async def test_a_file_is_set_aside(volume: Volume) -> None:
    put(volume.disk)
    await volume.set_aside(PLACE, HASH, "{}")
    assert await volume.find(HASH) is None
    assert (volume.disk.quarantine / f"{HASH}.mp4").exists()


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1])
@pytest_twisted.ensureDeferred
async def test_a_small_file_comes_whole(volume: Volume, size: int) -> None:
    data = os.urandom(size)
    put(volume.disk, data)
    file = await volume.open(PLACE)
    assert file.size == size
    assert file.whole == (data if size <= SMALL else None)
    assert os.pread(file.descriptor, size + 1, 0) == data
    file.close()
    assert descriptors(str(volume.disk.root)) == 0


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_not_there_is_not_said_to_lack_a_file(volume: Volume) -> None:
    with pytest.raises(NotFound):
        await volume.open(PLACE)
    (volume.disk.root / IDENTITY).unlink()
    with pytest.raises(Unavailable):
        await volume.open(PLACE)
    with pytest.raises(Unavailable):
        await volume.find(HASH)


@pytest_twisted.ensureDeferred
async def test_a_file_that_cannot_be_read_is_closed_again(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(volume.disk)
    fail(monkeypatch, "pread", errno.EIO)
    with pytest.raises(Unavailable, match="Input/output error"):
        await volume.open(PLACE)
    assert descriptors(str(volume.disk.root)) == 0


# Receiving


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
    disk.enroll(None, may_create=True)
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
async def test_a_cancelled_commit_is_carried_out_and_then_withdrawn(disk: Disk) -> None:
    disk.enroll(None, may_create=True)
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
