"""A store's disk: whose it is, and what is on it."""

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oose.address import HASH_TYPES, old_relative_path, relative_path
from oose.disk import OPEN, Disk, Found, Space
from oose.errors import NotFound, Unavailable
from tests.unit.faults import descriptors, fail

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
PLACE = relative_path(HASH, "mp4")
OLD_PLACE = old_relative_path(HASH, "mp4")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "disk1", "disk1", 0)
    disk.enroll(None, may_create=True)
    return disk


def put(disk: Disk, place: str, data: bytes = DATA) -> None:
    path = disk.content / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# Find


@pytest.mark.parametrize("place", [PLACE, OLD_PLACE])
def test_files_of_both_layouts_are_found(disk: Disk, place: str) -> None:
    put(disk, place)
    assert disk.find(HASH) == Found(place, "mp4", len(DATA))
    assert disk.look_at(place) == Found(place, "mp4", len(DATA))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(HASH_TYPES)),
    st.binary(max_size=8),
    st.from_regex(r"[a-z0-9][a-z0-9_-]{0,15}", fullmatch=True),
    st.booleans(),
)
def test_what_lies_at_its_place_is_found_by_its_hash(
    disk: Disk, kind: str, data: bytes, ext: str, old: bool
) -> None:
    content_hash = hashlib.new(kind, data).hexdigest()
    place = (old_relative_path if old else relative_path)(content_hash, ext)
    put(disk, place, data)
    try:
        assert disk.find(content_hash) == Found(place, ext, len(data))
    finally:
        assert disk.remove(place)
    assert disk.find(content_hash) is None


def test_what_is_not_there_is_not_found(disk: Disk) -> None:
    assert disk.find(HASH) is None
    put(disk, relative_path(HASH[:-1] + "0", "mp4"))
    assert disk.find(HASH) is None
    assert disk.look_at(PLACE) is None


def test_today_s_layout_is_looked_at_first(disk: Disk) -> None:
    put(disk, OLD_PLACE)
    put(disk, PLACE)
    assert disk.find(HASH) == Found(PLACE, "mp4", len(DATA))


@pytest.mark.parametrize("name", [f"{HASH}.", f"{HASH}.MP4", f"{HASH}.a.b", f"{HASH}x.mp4", HASH])
def test_a_file_whose_name_is_not_of_content_is_not_found(disk: Disk, name: str) -> None:
    put(disk, str(Path(PLACE).with_name(name)))
    assert disk.find(HASH) is None


@pytest.mark.parametrize("path", ["../oose-store.json", "/etc/passwd", "", ".", PLACE + "/x.mp4"])
def test_a_path_that_is_not_of_content_leads_nowhere(disk: Disk, path: str) -> None:
    put(disk, PLACE)
    assert disk.look_at(path) is None


@pytest.mark.parametrize("place", [PLACE, OLD_PLACE])
def test_a_file_in_place_of_a_folder_hides_nothing_else(disk: Disk, place: str) -> None:
    put(disk, place.partition("/")[0])
    assert disk.find(HASH) is None
    assert disk.look_at(place) is None
    with pytest.raises(NotFound):
        disk.open(place)


@pytest.mark.parametrize("call", ["listdir", "stat"])
def test_a_disk_that_cannot_be_searched_is_no_disk_without_the_file(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    put(disk, PLACE)
    fail(monkeypatch, call, errno.EIO, on="content")
    with pytest.raises(Unavailable, match="'disk1' failed: Input/output error"):
        disk.find(HASH)


# What is no plain file


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def make_link_to_content(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(DATA)
    path.symlink_to(other)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


KINDS = [make_link, make_link_to_content, make_folder, make_pipe]


@pytest.mark.parametrize("make", KINDS)
def test_only_plain_files_are_content(disk: Disk, make: Callable[[Path], None]) -> None:
    path = disk.content / PLACE
    path.parent.mkdir(parents=True)
    make(path)
    assert disk.find(HASH) is None
    assert disk.look_at(PLACE) is None
    with pytest.raises(NotFound, match="not on this store"):
        disk.open(PLACE)
    assert descriptors(str(disk.root)) == 0


def test_a_socket_is_not_opened(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    put(disk, PLACE)
    fail(monkeypatch, "open", errno.ENXIO, on="content")
    with pytest.raises(NotFound):
        disk.open(PLACE)


# Open


def test_a_file_is_opened_with_its_size(disk: Disk) -> None:
    put(disk, PLACE)
    descriptor, size = disk.open(PLACE)
    try:
        assert size == len(DATA)
        assert os.read(descriptor, 100) == DATA
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_an_open_file_is_read_to_its_end_although_it_is_removed(disk: Disk) -> None:
    put(disk, PLACE)
    descriptor, size = disk.open(PLACE)
    try:
        disk.remove(PLACE)
        assert os.read(descriptor, size) == DATA
    finally:
        os.close(descriptor)


def test_a_file_that_is_not_there_cannot_be_opened(disk: Disk) -> None:
    with pytest.raises(NotFound):
        disk.open(PLACE)


@pytest.mark.parametrize("call", ["open", "fstat"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE])
def test_a_file_that_cannot_be_opened_is_not_said_to_be_missing(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    put(disk, PLACE)
    with monkeypatch.context() as faulty:
        fail(faulty, call, code, on="content")
        with pytest.raises(Unavailable, match=os.strerror(code)):
            disk.open(PLACE)
    assert descriptors(str(disk.root)) == 0


# Remove and set aside


def test_a_removed_file_is_gone(disk: Disk) -> None:
    put(disk, PLACE)
    assert disk.remove(PLACE)
    assert not disk.remove(PLACE)
    assert disk.find(HASH) is None


def test_a_file_that_cannot_be_removed_is_told(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    put(disk, PLACE)
    fail(monkeypatch, "unlink", errno.EROFS, on="content")
    with pytest.raises(Unavailable, match="Read-only"):
        disk.remove(PLACE)


def quarantined(disk: Disk) -> Sequence[str]:
    return sorted(path.name for path in disk.quarantine.iterdir())


@pytest.mark.parametrize("place", [PLACE, OLD_PLACE])
def test_a_bad_file_goes_to_quarantine_with_why_beside_it(disk: Disk, place: str) -> None:
    put(disk, place, b"rotten")
    disk.set_aside(place, HASH, '{"found": "x"}')
    assert disk.find(HASH) is None
    assert quarantined(disk) == [f"{HASH}.mp4", f"{HASH}.mp4.why.json"]
    assert (disk.quarantine / f"{HASH}.mp4").read_bytes() == b"rotten"
    assert (disk.quarantine / f"{HASH}.mp4.why.json").read_text() == '{"found": "x"}'


def test_what_is_in_quarantine_already_stays_there_too(disk: Disk) -> None:
    for data in (b"rotten", b"rotten too"):
        put(disk, PLACE, data)
        disk.set_aside(PLACE, HASH, data.decode())
    files = [path for path in disk.quarantine.iterdir() if path.suffix == ".mp4"]
    assert sorted(path.read_bytes() for path in files) == [b"rotten", b"rotten too"]
    for path in files:
        assert path.with_name(path.name + ".why.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("call", "code"), [("fsync", errno.EIO), ("rename", errno.EROFS)])
def test_a_file_that_cannot_be_set_aside_stays_where_it_is(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    put(disk, PLACE, b"rotten")
    fail(monkeypatch, call, code, on="disk1")
    with pytest.raises(Exception, match="disk1"):
        disk.set_aside(PLACE, HASH, "{}")
    assert (disk.content / PLACE).read_bytes() == b"rotten"


def test_on_a_full_disk_a_file_is_set_aside_without_a_note(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(disk, PLACE, b"rotten")
    fail(monkeypatch, "fsync", errno.ENOSPC, on="disk1", times=1)
    assert disk.set_aside(PLACE, HASH, "{}")
    assert [path.name for path in disk.quarantine.iterdir()] == [f"{HASH}.mp4"]
    assert not (disk.content / PLACE).exists()


def test_what_is_gone_already_is_not_set_aside(disk: Disk) -> None:
    assert not disk.set_aside(PLACE, HASH, "{}")
    assert list(disk.quarantine.iterdir()) == []


def test_a_file_that_is_found_says_when_it_was_written(disk: Disk) -> None:
    put(disk, PLACE, b"film")
    os.utime(disk.content / PLACE, ns=(0, 1_700_000_000_123_999_999))
    found = disk.find(HASH)
    assert found is not None
    assert found.modified == 1_700_000_000_123


# Room


def test_nginx_is_told_whether_it_may_send_without_asking(disk: Disk) -> None:
    disk.open_to_nginx()
    assert (disk.root / OPEN).is_file()
    disk.open_to_nginx()
    disk.close_to_nginx()
    assert not (disk.root / OPEN).exists()
    disk.close_to_nginx()


def test_a_disk_that_nobody_uses_is_not_open_to_nginx(disk: Disk) -> None:
    disk.hold()
    disk.open_to_nginx()
    disk.release()
    assert not (disk.root / OPEN).exists()


def test_where_nothing_can_be_written_nginx_has_to_ask(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "open", errno.EROFS, on=OPEN)
    disk.open_to_nginx()
    assert not (disk.root / OPEN).exists()


def test_room_is_what_a_user_without_privileges_may_still_write(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.statvfs(disk.root)
    values = [*status]
    values[1:5] = [4096, 1000, 500, 450]  # f_frsize, f_blocks, f_bfree, f_bavail
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(values))
    assert disk.space() == Space(4096 * 1000, 4096 * 450)
