"""Whose disk is it? A root that is not this store's is never written."""

import errno
import json
import os
from pathlib import Path

import pytest

from oose.disk import IDENTITY, Disk, NotOurs
from oose.errors import Unavailable
from oose.locks import InUse, Lock
from tests.unit.faults import before, fail

FOLDERS = ["content", "incoming", "quarantine"]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "disk1", "disk1", 0)


def again(disk: Disk) -> Disk:
    """The same disk for another process."""
    return Disk(disk.root, disk.name, disk.min_free)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def identity_file(disk: Disk, store: str = "disk1", identity: str = "a1b2") -> None:
    disk.root.mkdir(exist_ok=True)
    (disk.root / IDENTITY).write_text(json.dumps({"store": store, "id": identity}))


# At start


@pytest.mark.parametrize("there", [(), ("lost+found",)])
def test_an_empty_root_becomes_the_stores_disk(disk: Disk, there: tuple[str, ...]) -> None:
    for name in there:
        (disk.root / name).mkdir(parents=True)
    identity = disk.enroll(None, may_create=True)
    assert len(identity) == 32
    assert json.loads((disk.root / IDENTITY).read_text()) == {"store": "disk1", "id": identity}
    assert names(disk.root) == sorted([*FOLDERS, IDENTITY, *there])
    disk.check()


def test_no_two_disks_have_the_same_identity(tmp_path: Path) -> None:
    disks = [Disk(tmp_path / name, "disk1", 0) for name in ("a", "b")]
    assert len({disk.enroll(None, may_create=True) for disk in disks}) == 2


@pytest.mark.parametrize("known", [None, "the same"])
def test_a_disk_keeps_its_identity(disk: Disk, known: str | None) -> None:
    identity = disk.enroll(None, may_create=True)
    assert again(disk).enroll(identity if known else None, may_create=False) == identity


@pytest.mark.parametrize(("known", "may_create"), [("a1b2", True), (None, False), ("a1b2", False)])
@pytest.mark.parametrize("mount_point", [True, False])
def test_a_disk_that_is_not_mounted_is_not_written(
    disk: Disk, known: str | None, may_create: bool, mount_point: bool
) -> None:
    if mount_point:
        disk.root.mkdir()
    with pytest.raises(NotOurs, match="not mounted"):
        disk.enroll(known, may_create=may_create)
    assert disk.root.exists() is mount_point
    assert not mount_point or names(disk.root) == []


def test_a_folder_with_something_else_in_it_is_not_written(disk: Disk) -> None:
    disk.root.mkdir()
    (disk.root / "holiday.jpg").touch()
    with pytest.raises(NotOurs, match="not empty"):
        disk.enroll(None, may_create=True)
    assert names(disk.root) == ["holiday.jpg"]


def test_the_disk_of_another_store_is_not_written(disk: Disk) -> None:
    identity_file(disk, store="disk2")
    with pytest.raises(NotOurs, match="of the store 'disk2', not of 'disk1'"):
        disk.enroll(None, may_create=True)
    assert names(disk.root) == [IDENTITY]


def test_a_disk_with_another_identity_is_not_written(disk: Disk) -> None:
    identity_file(disk, identity="ffff")
    with pytest.raises(NotOurs, match="another store that was also 'disk1'"):
        disk.enroll("a1b2", may_create=False)
    assert names(disk.root) == [IDENTITY]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"null", b"{}", b'{"id": "x"}', b"\xff"])
def test_an_identity_that_cannot_be_read_is_nobodys(disk: Disk, text: bytes) -> None:
    disk.root.mkdir()
    (disk.root / IDENTITY).write_bytes(text)
    with pytest.raises(NotOurs, match="cannot be read"):
        disk.enroll(None, may_create=True)
    assert (disk.root / IDENTITY).read_bytes() == text
    assert names(disk.root) == [IDENTITY]


def test_a_disk_that_cannot_be_read_is_not_made_anew(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.root.mkdir()
    (disk.root / IDENTITY).mkdir()  # to read it is an error of the system
    with pytest.raises(IsADirectoryError):
        disk.enroll(None, may_create=True)
    assert names(disk.root) == [IDENTITY]


def test_a_root_that_another_process_makes_meanwhile_is_taken(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(monkeypatch, "mkdir", disk.root.mkdir)
    assert disk.enroll(None, may_create=True)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_first_start_that_fails_can_be_repeated(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with monkeypatch.context() as faulty:
        fail(faulty, "fsync", code, on=IDENTITY)
        with pytest.raises(OSError, match=os.strerror(code)):
            disk.enroll(None, may_create=True)
    assert names(disk.root) == []
    assert disk.enroll(None, may_create=True)


def test_a_first_start_that_is_cut_short_by_a_crash_can_be_repeated(disk: Disk) -> None:
    disk.root.mkdir()
    (disk.root / f".{IDENTITY}.01234567").write_text('{"sto')
    assert disk.enroll(None, may_create=True)
    assert names(disk.root) == sorted([*FOLDERS, IDENTITY])


def test_nothing_is_cleared_from_a_folder_that_is_not_ours(disk: Disk) -> None:
    disk.root.mkdir()
    for name in (f".{IDENTITY}.01234567", "holiday.jpg"):
        (disk.root / name).touch()
    with pytest.raises(NotOurs):
        disk.enroll(None, may_create=True)
    assert names(disk.root) == [f".{IDENTITY}.01234567", "holiday.jpg"]


# Later


def test_a_disk_that_was_never_enrolled_takes_nothing(disk: Disk) -> None:
    identity_file(disk)
    with pytest.raises(Unavailable, match="is not there"):
        disk.check()
    with pytest.raises(Unavailable):
        disk.create()
    assert names(disk.root) == [IDENTITY]


def test_a_disk_that_is_gone_takes_nothing(disk: Disk) -> None:
    disk.enroll(None, may_create=True)
    disk.root.rename(disk.root.with_name("elsewhere"))
    disk.root.mkdir()  # the mount point
    (disk.root / "incoming").mkdir()
    with pytest.raises(Unavailable, match="nothing is written to its place"):
        disk.create()
    assert names(disk.root / "incoming") == []


def test_a_disk_that_comes_back_is_taken_into_use_again(disk: Disk) -> None:
    disk.enroll(None, may_create=True)
    away = disk.root.with_name("elsewhere")
    disk.root.rename(away)
    with pytest.raises(Unavailable):
        disk.check()
    away.rename(disk.root)
    disk.check()
    disk.create().withdraw()


def test_the_same_identity_in_another_file_is_the_same_disk(disk: Disk) -> None:
    """A disk that was copied to a bigger one, or mounted again."""
    disk.enroll(None, may_create=True)
    path = disk.root / IDENTITY
    text = path.read_text()
    path.unlink()
    path.with_name("new").write_text(text)
    path.with_name("new").rename(path)
    disk.check()
    disk.check()


@pytest.mark.parametrize("store", ["disk1", "disk2"])
def test_another_disk_in_its_place_takes_nothing(disk: Disk, store: str) -> None:
    disk.enroll(None, may_create=True)
    (disk.root / IDENTITY).unlink()
    identity_file(disk, store=store, identity="0" * 64)
    with pytest.raises(Unavailable):
        disk.check()


def test_a_disk_whose_identity_cannot_be_read_takes_nothing(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.enroll(None, may_create=True)
    fail(monkeypatch, "stat", errno.EIO, on=IDENTITY)
    with pytest.raises(Unavailable):
        disk.check()


def test_a_disk_is_held_by_one_process_until_that_lets_go(disk: Disk) -> None:
    disk.enroll(None, may_create=True)
    other = again(disk)
    disk.hold()
    disk.hold()
    with pytest.raises(InUse):
        other.hold()
    other.release()
    disk.release()
    other.hold()
    other.release()


def test_a_disk_that_is_read_only_can_be_shared(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> Lock:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("oose.disk.lock", refuse)
    code = errno.EROFS
    disk.hold()
    code = errno.EIO
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        disk.hold()


# The folder `content`


def test_a_disk_without_its_content_is_away_until_that_is_back(disk: Disk) -> None:
    disk.enroll(None, may_create=True)
    elsewhere = disk.content.rename(disk.root / "elsewhere")
    with pytest.raises(Unavailable, match="is not there"):
        disk.check()
    disk.content.mkdir()
    for _ in range(2):
        with pytest.raises(Unavailable, match="content is not the folder that it was"):
            disk.check()
    disk.content.rmdir()
    elsewhere.rename(disk.content)
    disk.check()


def test_a_whole_disk_that_comes_anew_has_another_content(disk: Disk) -> None:
    identity = disk.enroll(None, may_create=True)
    disk.root.rename(disk.root.with_name("old"))
    identity_file(disk, identity=identity)
    with pytest.raises(Unavailable):
        disk.check()
    disk.content.mkdir()
    disk.check()
    disk.check()


def test_a_known_disk_without_its_content_is_not_taken_into_use(disk: Disk) -> None:
    identity = disk.enroll(None, may_create=True)
    disk.content.rmdir()
    with pytest.raises(NotOurs, match="content is not there"):
        again(disk).enroll(identity, may_create=False)
    assert not disk.content.exists()
    assert again(disk).enroll(None, may_create=True) == identity  # a first start was cut short
