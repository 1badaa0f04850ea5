"""What a crash leaves on a store's disk, and how it is cleared."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oose.address import relative_path
from oose.disk import Disk, Intent
from oose.incoming import Incoming

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
PLACE = relative_path(HASH, "mp4")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "disk1", "disk1", 0)
    disk.enroll(None, may_create=True)
    return disk


def begun(disk: Disk) -> Incoming:
    incoming = disk.create()
    incoming.write([DATA])
    incoming.seal()  # a crash closes what is open
    return incoming


def restarted(disk: Disk) -> Disk:
    after = Disk(disk.root, disk.name, disk.min_free)
    after.enroll(None, may_create=False)
    return after


def settle_all(disk: Disk, *, recorded: bool) -> list[Intent]:
    left = list(disk.left_behind())
    for intent in left:
        disk.settle(intent, recorded=recorded)
    assert list(disk.incoming.iterdir()) == []
    return left


def test_a_crash_while_receiving_leaves_nothing_visible(disk: Disk) -> None:
    incoming = begun(disk)
    after = restarted(disk)
    assert settle_all(after, recorded=False) == [Intent(incoming.path, None, None)]
    assert after.find(HASH) is None


def test_a_crash_between_name_and_record_is_undone(disk: Disk) -> None:
    incoming = begun(disk)
    incoming.commit(HASH, "mp4")
    after = restarted(disk)
    assert settle_all(after, recorded=False) == [Intent(incoming.path, HASH, "mp4")]
    assert after.find(HASH) is None


def test_a_crash_between_record_and_confirmation_keeps_the_file(disk: Disk) -> None:
    begun(disk).commit(HASH, "mp4")
    after = restarted(disk)
    settle_all(after, recorded=True)
    assert (after.content / PLACE).read_bytes() == DATA


@pytest.mark.parametrize("recorded", [True, False])
def test_a_crash_before_the_name_leaves_nothing_visible(disk: Disk, recorded: bool) -> None:
    incoming = begun(disk)
    incoming.path.rename(incoming.path.with_name(f"{incoming.path.name}.{HASH}.mp4"))
    after = restarted(disk)
    settle_all(after, recorded=recorded)
    assert after.find(HASH) is None


def test_clearing_takes_no_file_that_was_there_before(disk: Disk) -> None:
    """A crash just before an unrecorded upload would have replaced it."""
    first = begun(disk)
    first.commit(HASH, "mp4")
    first.confirm()
    second = begun(disk)
    second.path.rename(second.path.with_name(f"{second.path.name}.{HASH}.mp4"))
    after = restarted(disk)
    settle_all(after, recorded=False)
    assert (after.content / PLACE).read_bytes() == DATA


def test_a_crash_while_replacing_leaves_no_second_name(disk: Disk) -> None:
    first = begun(disk)
    first.commit(HASH, "mp4")
    first.confirm()
    second = begun(disk)
    intent = second.path.rename(second.path.with_name(f"{second.path.name}.{HASH}.mp4"))
    intent.with_name("0123456789abcdef01234567").hardlink_to(intent)
    after = restarted(disk)
    assert len(settle_all(after, recorded=True)) == 2
    assert (after.content / PLACE).read_bytes() == DATA


def test_clearing_that_was_cut_short_can_be_repeated(disk: Disk) -> None:
    begun(disk).commit(HASH, "mp4")
    after = restarted(disk)
    (intent,) = after.left_behind()
    (after.content / PLACE).unlink()  # as far as the first time came
    after.settle(intent, recorded=False)
    assert list(after.incoming.iterdir()) == []


@pytest.mark.parametrize("name", [".DS_Store", "x.", "x.txt", f"x.{HASH}", f"x.{HASH}.!"])
def test_a_strange_file_in_incoming_is_cleared_too(disk: Disk, name: str) -> None:
    (disk.incoming / name).touch()
    assert [intent.hash for intent in settle_all(disk, recorded=False)] == [None]


def test_a_folder_in_incoming_is_left_alone(disk: Disk) -> None:
    (disk.incoming / "lost+found").mkdir()
    assert list(disk.left_behind()) == []


def test_a_link_in_incoming_goes_and_what_it_leads_to_stays(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    (disk.incoming / "x").symlink_to(tmp_path / "precious")
    settle_all(disk, recorded=False)
    assert (tmp_path / "precious").exists()


STEPS = ("begin", "commit", "record", "confirm")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4))
def test_after_a_crash_anywhere_a_file_is_there_exactly_when_it_is_recorded(
    disk: Disk, ends: list[str]
) -> None:
    """Several uploads, each of its own content, cut short after one of the steps."""
    recorded: set[str] = set()
    for number, end in enumerate(ends):
        incoming = disk.create()
        data = str(number).encode()
        content_hash = hashlib.sha256(data).hexdigest()
        incoming.write([data])
        incoming.seal()
        steps = STEPS[: STEPS.index(end) + 1]
        if "commit" in steps:
            incoming.commit(content_hash, "bin")
        if "record" in steps:
            recorded.add(content_hash)
        if "confirm" in steps:
            incoming.confirm()
    after = restarted(disk)
    for intent in after.left_behind():
        after.settle(intent, recorded=intent.hash in recorded)
    assert list(after.incoming.iterdir()) == []
    there = {path.stem for path in after.content.rglob("*.bin")}
    assert there == recorded
    for path in after.content.rglob("*.bin"):
        path.unlink()  # for the next example
