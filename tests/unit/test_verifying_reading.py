import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oose.disk import Disk
from oose.errors import NotFound, Unavailable
from oose.verifying import reading as module
from oose.verifying.reading import CHANGES, Reading, at_hand, is_still, read_some
from tests.unit.faults import before, descriptors, fail

ALL = 1 << 40
KINDS = ("sha1", "sha256")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "s1", "s1", 0)
    disk.enroll(None, may_create=True)
    return disk


def put(disk: Disk, data: bytes, name: str = "file") -> Path:
    path = disk.content / name
    path.write_bytes(data)
    return path


def hashes(data: bytes) -> dict[str, str]:
    return {kind: hashlib.new(kind, data).hexdigest() for kind in KINDS}


@pytest.mark.parametrize("piece", [1, 7, 1000, ALL])
@pytest.mark.parametrize("size", [0, 1, 1000, 1001])
def test_a_file_is_hashed_in_pieces_of_any_size(disk: Disk, size: int, piece: int) -> None:
    data = os.urandom(size)
    put(disk, data)
    reading = Reading("file", KINDS)
    counts = []
    while not reading.over:
        counts.append(read_some(disk, [reading], piece))
    assert sum(counts) == reading.size == size
    assert max(counts) <= piece
    assert reading.digests == hashes(data)
    assert descriptors(str(disk.content)) == 0


def test_what_is_larger_than_the_buffer_is_read_in_chunks(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)
    monkeypatch.setattr(module, "SMALL", 2000)
    data = os.urandom(12_345)
    put(disk, data)
    reading = Reading("file", KINDS, afresh=True)
    assert read_some(disk, [reading], ALL) == 12_345
    assert reading.digests == hashes(data)


def test_several_are_read_one_after_the_other_up_to_so_many_bytes(disk: Disk) -> None:
    for name in "abc":
        put(disk, name.encode() * 100, name)
    readings = [Reading(name, KINDS) for name in "abc"]
    assert read_some(disk, readings, 150) == 150
    assert [each.size for each in readings] == [100, 50, 0]
    assert [each.over for each in readings] == [True, False, False]
    assert read_some(disk, readings, 1000) == 150
    assert [each.digests for each in readings] == [hashes(each.encode() * 100) for each in "abc"]


def test_one_that_is_not_there_leaves_the_others(disk: Disk) -> None:
    put(disk, b"b", "b")
    gone, there = Reading("a", KINDS), Reading("b", KINDS)
    assert read_some(disk, [gone, there], ALL) == 1
    assert isinstance(gone.error, NotFound)
    assert (gone.over, gone.unreadable) == (True, None)
    assert there.digests == hashes(b"b")


@pytest.mark.parametrize("call", ["open", "pread"])
def test_bytes_that_are_lost_are_told_from_other_errors(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    put(disk, b"a")
    for code, words in ((errno.EIO, "Input/output error"), (errno.EACCES, None)):
        reading = Reading("file", KINDS)
        with monkeypatch.context() as faulty:
            fail(faulty, "preadv", code, on="content")
            fail(faulty, call, code, on="content")
            read_some(disk, [reading], ALL)
        assert isinstance(reading.error, Unavailable)
        assert reading.over
        assert reading.unreadable == words
        assert descriptors(str(disk.content)) == 0


def test_a_good_reading_has_no_error(disk: Disk) -> None:
    put(disk, b"a")
    reading = Reading("file", KINDS)
    read_some(disk, [reading], ALL)
    assert (reading.error, reading.unreadable) == (None, None)


# Files that change


def replace(path: Path, data: bytes) -> Callable[[], None]:
    def do() -> None:
        path.with_name("new").write_bytes(data)
        path.with_name("new").replace(path)

    return do


def test_a_file_that_is_replaced_between_two_pieces_is_read_anew(disk: Disk) -> None:
    path = put(disk, b"old" * 100)
    reading = Reading("file", KINDS)
    read_some(disk, [reading], 200)
    replace(path, b"new" * 100)()
    read_some(disk, [reading], ALL)
    assert reading.digests == hashes(b"new" * 100)


@pytest.mark.parametrize("data", [b"x" * 10, b"x" * 1000, b"x" * 2000, b""])
def test_a_file_that_is_written_to_while_it_is_read_is_read_anew(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    path = put(disk, b"y" * 1000)
    reading = Reading("file", KINDS, afresh=True)
    monkeypatch.setattr(module, "at_hand", lambda *_: 0)
    before(monkeypatch, "pread", lambda: path.write_bytes(data))
    read_some(disk, [reading], ALL)
    assert reading.digests == hashes(data)


def test_a_file_that_changes_all_the_time_cannot_be_told(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(disk, b"x")
    real, count = os.preadv, 0

    def writing(*args: Any) -> int:
        nonlocal count
        count += 1
        path.write_bytes(b"x" * (count + 1))
        return real(*args)

    monkeypatch.setattr(os, "preadv", writing)
    reading = Reading("file", KINDS, afresh=True)
    read_some(disk, [reading], ALL)
    assert isinstance(reading.error, Unavailable)
    assert "busy" in reading.error.message
    assert reading.unreadable is None
    assert reading._changes == CHANGES + 1


def test_what_was_read_is_told_from_what_came_in_its_place(disk: Disk) -> None:
    path = put(disk, b"old")
    reading = Reading("file", KINDS)
    assert is_still(disk, reading)  # it was not even opened
    read_some(disk, [reading], ALL)
    assert is_still(disk, reading)
    replace(path, b"old")()
    assert not is_still(disk, reading)
    path.unlink()
    assert not is_still(disk, reading)


def test_a_disk_that_cannot_tell_is_not_there(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    put(disk, b"x")
    reading = Reading("file", KINDS)
    read_some(disk, [reading], ALL)
    fail(monkeypatch, "stat", errno.EIO, on="content")
    with pytest.raises(Unavailable, match="Input/output error"):
        is_still(disk, reading)


# The page cache


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges that are taken out of the page cache."""
    ranges: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "forget", lambda _, start, end: ranges.append((start, end)))
    return ranges


@pytest.mark.parametrize("small", [10, 100])
def test_what_was_in_the_cache_stays_there(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, forgotten: list[tuple[int, int]], small: int
) -> None:
    data = os.urandom(100)
    put(disk, data)
    monkeypatch.setattr(module, "SMALL", small)
    monkeypatch.setattr(module, "at_hand", lambda *_: 1)
    reading = Reading("file", KINDS)
    read_some(disk, [reading], 60)
    read_some(disk, [reading], 60)
    assert forgotten == []
    assert reading.digests == hashes(data)


@pytest.mark.parametrize(("small", "asked"), [(10, [0, 80]), (100, [0, 60])])
def test_what_was_not_does_not_stay(
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    forgotten: list[tuple[int, int]],
    small: int,
    asked: list[int],
) -> None:
    put(disk, b"x" * 100)
    offsets: list[int] = []

    def at_hand(_: int, buffer: memoryview, offset: int) -> int:
        offsets.append(offset)
        return 0

    monkeypatch.setattr(module, "SMALL", small)
    monkeypatch.setattr(module, "at_hand", at_hand)
    reading = Reading("file", KINDS)
    read_some(disk, [reading], 60)
    read_some(disk, [reading], 60)
    assert forgotten == [(0, 60), (60, 100)]
    assert offsets == asked  # what follows large pieces may have been read ahead
    assert reading.digests == hashes(b"x" * 100)


def test_a_small_file_in_the_cache_is_read_at_once(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, forgotten: list[tuple[int, int]]
) -> None:
    put(disk, b"x" * 100)
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, offset, _: os.readv(fd, buffers))
    fail(monkeypatch, "pread", errno.EIO, on="content")
    reading = Reading("file", KINDS)
    assert read_some(disk, [reading], ALL) == 100
    assert (reading.digests, forgotten) == (hashes(b"x" * 100), [])


def test_in_doubt_it_is_read_from_the_disk(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, forgotten: list[tuple[int, int]]
) -> None:
    put(disk, b"x" * 100)
    read_some(disk, [Reading("file", KINDS, afresh=True)], ALL)
    assert forgotten[0] == (0, 100)


def test_the_kernel_is_asked_what_is_in_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert at_hand(descriptor, memoryview(bytearray(10)), 50) in range(11)
        module.forget(descriptor, 0, 100)
        assert os.pread(descriptor, 100, 0) == b"x" * 100
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EOPNOTSUPP])
def test_what_the_kernel_cannot_tell_counts_as_not_there(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    put(disk, b"x")
    fail(monkeypatch, "preadv", code, on="content", times=1)
    reading = Reading("file", KINDS)
    read_some(disk, [reading], ALL)
    assert reading.digests == hashes(b"x")
