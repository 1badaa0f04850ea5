import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose.address import relative_path
from oose.disk import IDENTITY, Disk, Found
from oose.errors import NotFound, Unavailable
from oose.pool import Inline, Threads
from oose.volume import SMALL, Volume
from tests.real import reactor
from tests.unit.by_hand import ByHand
from tests.unit.faults import descriptors, fail
from tests.unit.logged import logged

P = ParamSpec("P")
T = TypeVar("T")

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
PLACE = relative_path(HASH, "mp4")


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
    with logged("info") as said:
        await volume.enroll(None, may_create=False)
    assert said == [f"disk1 keeps its content in {volume.disk.content}"]
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
async def test_what_lies_below_a_disk_that_goes_while_it_is_taken_into_use_is_not_written_to(
    disk: Disk, tmp_path: Path
) -> None:
    disk.enroll(None, may_create=True)
    pool = ByHand()
    starting = Deferred.fromCoroutine(Volume(disk, pool).enroll(None, may_create=False))
    while not starting.called:
        pool.waiting.pop(0).callback(None)
        if not (tmp_path / "pulled").exists():
            disk.root.rename(tmp_path / "pulled")
            disk.root.mkdir()
    assert await starting == ()
    assert list(disk.root.iterdir()) == []
    disk.release()


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
