"""Both drivers list the same, whatever lies there; what cannot be read is known."""

import errno
import fcntl
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.address import old_relative_path, parse_relative_path, relative_path
from oose.errors import NotFound, Unavailable
from oose.sweeping import output
from oose.sweeping.layout import REST, SLICES, Page, parse
from oose.sweeping.listing import Lister, choose
from oose.sweeping.native import NativeLister
from oose.sweeping.unix import UnixLister
from tests.unit.faults import before, fail
from tests.unit.sweeping import ENTRIES, HASHES, NEARLY, PLACES, Entry, expected, list_all, make

FIND = shutil.which("find") or ""
A, B = HASHES[0], HASHES[1]
WHEN = "1700000000.1234567890"


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


def put(content: Path, path: str, data: bytes = b"data") -> None:
    (content / path).parent.mkdir(parents=True, exist_ok=True)
    (content / path).write_bytes(data)


def script(folder: Path, text: str) -> str:
    """A program in the place of `find`."""
    path = folder / "find"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


# Paths.


@given(PLACES | NEARLY | st.text())
def test_paths_are_told_as_everywhere_else(path: str) -> None:
    try:
        known = parse_relative_path(path)
    except NotFound:
        assert parse(path) is None
    else:
        assert parse(path) == known


@given(st.text(alphabet="0123456789abcdef", max_size=130), st.text("a1-_.Z", max_size=18))
def test_so_are_those_of_any_length(digits: str, ext: str) -> None:
    for form in (relative_path, old_relative_path):
        path = form(digits, ext)
        try:
            known = parse_relative_path(path)
        except NotFound:
            assert parse(path) is None
        else:
            assert parse(path) == known


# Whatever lies there.


@given(ENTRIES)
def test_both_drivers_list_what_there_is(entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), entries)
        files, strangers, links = expected(Path(folder))
        for driver in ("unix", "native"):
            lister = choose(driver, Path(folder))
            assert lister.driver == driver
            listed = list_all(lister)
            lister.close()
            assert listed.seen() == files
            assert (listed.strangers, listed.links) == (strangers, links)
            assert listed.problems == {}
            for part, some in listed.files.items():
                assert {each.path[:2] for each in some} == {part}


@pytest.mark.parametrize("driver", ["unix", "native"])
def test_a_listing_begins_with_any_slice(driver: str, content: Path) -> None:
    for content_hash in HASHES:
        put(content, relative_path(content_hash, "mp4"))
    last = max(HASHES)
    lister = choose(driver, content)
    listed = list_all(lister, [last[:2]])
    assert [each.hash for each in listed.seen()] == [last]
    lister.close()


@pytest.mark.parametrize("driver", ["unix", "native"])
def test_a_slice_of_many_files_comes_in_pieces(driver: str, content: Path) -> None:
    paths = [relative_path(f"0a0b{number:036x}", "mp4") for number in range(1200)]
    for path in paths:
        put(content, path, b"")
    lister = choose(driver, content)
    pages: list[Page] = []
    for part in SLICES[:11]:
        while True:
            pages.append(lister.read(part))
            if pages[-1].is_last:
                break
    assert [each.path for page in pages for each in page.files] != []
    assert sorted(each.path for page in pages for each in page.files) == paths
    assert max(map(len, pages)) < 1000
    lister.close()


@pytest.mark.parametrize("driver", ["unix", "native"])
def test_where_there_is_nothing_nothing_is_listed(driver: str, content: Path) -> None:
    lister = choose(driver, content)
    put(content, "elsewhere", b"")
    listed = list_all(lister)
    assert (listed.seen(), listed.strangers, listed.problems) == ([], ["elsewhere"], {})
    lister.close()


# Which driver.


def test_without_a_find_that_is_understood_the_system_is_asked_itself(
    content: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose("auto", content).driver == "unix"
    other = script(tmp_path, "echo 'unrecognized: -printf' >&2; exit 1")
    for found in (None, other, str(tmp_path / "nowhere")):
        monkeypatch.setattr(shutil, "which", lambda name, found=found: found)
        assert choose("auto", content).driver == "native"
        with pytest.raises(Unavailable, match="GNU find"):
            choose("unix", content)


# What cannot be read.


def as_nobody(folder: Path) -> str:
    """The real `find`, run by who may not read everything."""
    if os.geteuid() != 0:
        return FIND
    return script(folder, 'exec setpriv --reuid=65534 --clear-groups find "$@"')


def test_what_find_may_not_read_is_known_of_its_slice_only(content: Path, tmp_path: Path) -> None:
    paths = [relative_path(each, "mp4") for each in HASHES]
    for path in paths:
        put(content, path)
    for parent in (content, *content.parents[:-1]):
        if parent.stat().st_uid == os.geteuid():
            parent.chmod(parent.stat().st_mode | 0o055)
    bad = content / Path(paths[0]).parent
    bad.chmod(0)
    try:
        lister = UnixLister(content, as_nobody(tmp_path))
        listed = list_all(lister)
        lister.close()
    finally:
        bad.chmod(0o755)
    assert listed.problems == {paths[0][:2]: f"find: '{Path(paths[0]).parent}': Permission denied"}
    assert {each.path for each in listed.seen()} == set(paths[1:])


def fake(content: Path, tmp_path: Path, text: str) -> UnixLister:
    for part in ("00", "01", "02", "03"):
        (content / part).mkdir()
    return UnixLister(content, script(tmp_path, text))


def test_a_complaint_is_about_the_slice_that_it_names(content: Path, tmp_path: Path) -> None:
    text = r"""
    printf '/00\0'
    echo "find: '00/3f': Input/output error" >&2
    printf '/01\0/02\0'
    echo "find: '02': Permission denied" >&2
    printf '/03\0'
    exit 1
    """
    listed = list_all(fake(content, tmp_path, text))
    assert listed.problems == {
        "00": "find: '00/3f': Input/output error",
        "02": "find: '02': Permission denied",
    }


def test_a_complaint_about_nothing_in_particular_is_about_all_from_there(
    content: Path, tmp_path: Path
) -> None:
    text = r"printf '/00\0/01\0'; echo 'find: out of memory' >&2; printf '/02\0/03\0'; exit 1"
    listed = list_all(fake(content, tmp_path, text))
    assert listed.problems["02"] == listed.problems["ff"] == "find: out of memory"


def test_what_has_vanished_was_never_there(content: Path, tmp_path: Path) -> None:
    text = rf"""
    printf '/00\0'
    echo "find: '01': No such file or directory" >&2
    printf '/02\0f 3 {WHEN} 02/a\0/03\0'
    exit 1
    """
    listed = list_all(fake(content, tmp_path, text))
    assert (listed.problems, listed.strangers) == ({}, ["02/a"])


@pytest.mark.parametrize("ending", ["exit 1", "exit 3", "kill -9 $$"])
def test_where_find_dies_another_goes_on_with_the_next_slice(
    ending: str, content: Path, tmp_path: Path
) -> None:
    good = relative_path("03" + "a" * 38, "mp4")
    text = rf"""
    case "$1" in
    00) printf '/00\0/01\0'; {ending};;
    02) printf '/02\0/03\0f 3 {WHEN} {good}\0';;
    esac
    """
    (content / "04").touch()
    listed = list_all(fake(content, tmp_path, text))
    status = {"exit 1": 1, "exit 3": 3, "kill -9 $$": -9}[ending]
    assert listed.problems == {"01": f"find ended with status {status}"}
    assert [each.path for each in listed.seen()] == [good]
    assert listed.seen()[0].created == 1_700_000_000_123


def test_many_complaints_do_not_hold_it_up(content: Path, tmp_path: Path) -> None:
    text = r"""
    printf '/00\0'
    i=0; while [ $i -lt 4000 ]; do echo "find: '00/$i': Input/output error" >&2; i=$((i+1)); done
    printf '/01\0'
    exit 1
    """
    listed = list_all(fake(content, tmp_path, text))
    assert listed.problems == {"00": "find: '00/0': Input/output error"}


def test_a_find_that_closes_its_mouth_early_is_heard_out(content: Path, tmp_path: Path) -> None:
    good = relative_path("01" + "a" * 38, "mp4")
    text = rf"exec 2>&-; printf '/00\0/01\0f 3 {WHEN} {good}\0'"
    assert [each.path for each in list_all(fake(content, tmp_path, text)).seen()] == [good]


def test_one_call_does_not_wait_for_a_slow_disk(
    content: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PATIENCE", 0)
    go = tmp_path / "go"
    os.mkfifo(go)
    lister = fake(content, tmp_path, rf"printf '/00\0'; read x < {go}; printf '/01\0'")
    page = lister.read("00")
    while page.files or page.strangers:
        page = lister.read("00")
    assert not page.is_last
    go.write_text("go\n")
    while not page.is_last:
        page = lister.read("00")
    assert page.problem is None
    assert list_all(lister, SLICES[1:]).problems == {}


def test_what_is_not_there_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        UnixLister(tmp_path / "nowhere", FIND).read("00")


@pytest.mark.parametrize(("call", "part"), [("scandir", "00"), ("lstat", "00"), ("scandir", REST)])
def test_what_the_system_does_not_read_is_known(
    call: str, part: str, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(content, "00/3f/a")
    put(content, "01/3f/a")
    fail(monkeypatch, call, errno.EIO, on=f"{content}/{part}", times=1)
    listed = list_all(NativeLister(content), [part, "01"])
    assert list(listed.problems) == [part]
    assert "Input/output error" in listed.problems[part]
    assert listed.strangers == ["01/3f/a"]


def test_folders_that_vanish_while_they_are_listed_are_none(
    content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(content, "00/3f/a")
    put(content, "00/4f/a")
    put(content, "01/4f/a")
    lister = NativeLister(content)
    before(monkeypatch, "scandir", lambda: shutil.rmtree(content / "00"))
    listed = list_all(lister)
    assert (listed.strangers, listed.problems) == (["01/4f/a"], {})


def test_files_that_vanish_while_they_are_listed_are_none(content: Path) -> None:
    put(content, "00/a")

    class Entry:
        name = "a"

        def is_dir(self, *, follow_symlinks: bool) -> bool:
            (content / "00" / "a").unlink()
            return False

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            return (content / "00" / "a").stat(follow_symlinks=follow_symlinks)

    lister = NativeLister(content)
    lister._begin("00", Page())
    lister._entries = iter([("00/a", Entry())])  # type: ignore[list-item] # as if it were one
    listed = list_all(lister, ["00"])
    assert (listed.strangers, listed.problems) == ([], {})


# The end.


def test_a_listing_that_is_given_up_leaves_no_process(content: Path, tmp_path: Path) -> None:
    put(content, "00/a")
    pid = tmp_path / "pid"
    lister = fake_that_never_ends(content, tmp_path, pid)
    lister.read("00")
    process = int(pid.read_text())
    lister.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    page = lister.read("01")
    assert page.is_last
    assert page.problem is not None
    lister.close()


def fake_that_never_ends(content: Path, tmp_path: Path, pid: Path) -> UnixLister:
    text = rf"echo $$ > {pid}; printf '/00\0f 1 {WHEN} 00/a\0/01\0'; exec tail -f /dev/null"
    return UnixLister(content, script(tmp_path, text))


def test_a_call_under_way_comes_to_its_end_then(content: Path, tmp_path: Path) -> None:
    put(content, "00/a")
    pid = tmp_path / "pid"
    lister = fake_that_never_ends(content, tmp_path, pid)
    lister.read("00")
    pages: list[Page] = []
    is_waiting = threading.Event()

    def wait() -> None:
        is_waiting.set()
        while not pages or not pages[-1].is_last:
            pages.append(lister.read("01"))

    thread = threading.Thread(target=wait)
    thread.start()
    is_waiting.wait()
    lister.interrupt()
    lister.close()
    thread.join()
    assert pages[-1].problem is not None


def test_a_process_that_is_just_being_started_is_ended_too(
    content: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(content, "00/a")
    lister = UnixLister(content, script(tmp_path, "exec tail -f /dev/null"))
    start = subprocess.Popen

    def interrupted(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        lister.interrupt()
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    assert lister.read("00").problem is not None
    lister.close()


def test_a_process_that_a_hanging_disk_holds_is_left_to_die(
    content: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(content, "00/a")
    lister = fake_that_never_ends(content, tmp_path, tmp_path / "pid")
    lister.read("00")
    process = lister._process
    assert process is not None
    real = process.wait

    def wait(seconds: float | None = None) -> int:
        raise subprocess.TimeoutExpired("find", seconds or 0)

    monkeypatch.setattr(process, "wait", wait)
    lister.close()
    assert real() == -9


def test_a_pipe_may_stay_as_it_is(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    put(content, relative_path(A, "mp4"))
    lister: Lister = UnixLister(content, FIND)
    assert [each.hash for each in list_all(lister).seen()] == [A]
    lister.close()
