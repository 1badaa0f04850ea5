"""Files in quarantine, each with a note beside it."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from oose import put_aside
from oose.put_aside import AT_ONCE, Page, PutAside, Round, find, page, remove

HASH = "a" * 40
OTHER = "b" * 64


def put(folder: Path, name: str, since: int | None = 5000, note: str | None = '{"at": 1}') -> Path:
    """A file and its note, there `since` (ms)."""
    path = folder / name
    path.write_bytes(b"film")
    if note is not None:
        beside = folder / f"{name}.why.json"
        beside.write_text(note)
        if since is not None:
            os.utime(beside, ns=(0, since * 1_000_000))
    os.utime(path, (0, 0))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def go_through(folder: Path, before: int) -> Round:
    this = Round(before)
    with os.scandir(folder) as entries:
        while this.go_on(folder, entries):
            pass
    return this


# What is there


def test_files_are_listed_with_what_their_notes_say(tmp_path: Path) -> None:
    put(tmp_path, f"{HASH}.mp4")
    put(tmp_path, f"{HASH}.0123abcd.mp4", since=6000, note='{"found": "x"}')
    put(tmp_path, f"{OTHER}.bin")
    assert page(tmp_path, "", 10) == Page(
        [
            PutAside(f"{HASH}.0123abcd.mp4", HASH, "mp4", 4, 6000, {"found": "x"}),
            PutAside(f"{HASH}.mp4", HASH, "mp4", 4, 5000, {"at": 1}),
            PutAside(f"{OTHER}.bin", OTHER, "bin", 4, 5000, {"at": 1}),
        ],
        None,
    )


def test_they_come_in_pages(tmp_path: Path) -> None:
    hashes = [f"{number:040x}" for number in range(7)]
    for content_hash in reversed(hashes):
        put(tmp_path, f"{content_hash}.mp4")
    pages: list[Page] = []
    after: str | None = ""
    while after is not None:
        pages.append(page(tmp_path, after, 3))
        after = pages[-1].after
    assert [[each.hash for each in one.files] for one in pages] == [
        hashes[:3],
        hashes[3:6],
        hashes[6:],
    ]


def test_those_of_a_content_are_found_the_newest_first(tmp_path: Path) -> None:
    put(tmp_path, f"{HASH}.mp4", since=1000)
    put(tmp_path, f"{HASH}.0123abcd.mp4", since=2000)
    put(tmp_path, f"{OTHER}.mp4")
    assert [each.since for each in find(tmp_path, HASH)] == [2000, 1000]
    assert find(tmp_path, "c" * 40) == []


@pytest.mark.parametrize(
    "note", [None, "", "nonsense", "[]", "{" + '"x": "' + "y" * 5000 + '"}', "\udcff"]
)
def test_a_file_whose_note_says_nothing_is_listed_too(tmp_path: Path, note: str | None) -> None:
    path = put(tmp_path, f"{HASH}.mp4", note="" if note is None else None)
    if note:
        beside = tmp_path / f"{path.name}.why.json"
        beside.write_bytes(note.encode("utf-8", "surrogateescape"))
    [file] = page(tmp_path, "", 10).files
    assert (file.name, file.why) == (path.name, {})


def test_a_note_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"secret": 1}')
    put(tmp_path, f"{HASH}.mp4", note=None)
    (tmp_path / f"{HASH}.mp4.why.json").symlink_to(tmp_path / "secret")
    assert page(tmp_path, "", 10).files[0].why == {}


def test_without_a_note_a_file_came_when_its_name_changed_last(tmp_path: Path) -> None:
    path = put(tmp_path, f"{HASH}.mp4", note=None)
    [file] = page(tmp_path, "", 10).files
    assert file.since == path.stat().st_ctime_ns // 1_000_000


FOREIGN = ("README", "readme.txt", "a.b.c.d", f"{HASH}", f"{HASH}.x.y.mp4", "notes.why.json")


def test_what_others_have_put_there_is_not_touched(tmp_path: Path) -> None:
    for name in FOREIGN:
        put(tmp_path, name, note=None)
    (tmp_path / f"{HASH}.mp4").mkdir()
    os.mkfifo(tmp_path / f"{OTHER}.mp4")
    before = names(tmp_path)
    this = go_through(tmp_path, 2**60)
    assert (this.gone, this.files, names(tmp_path)) == (0, 0, before)
    assert page(tmp_path, "", 10) == Page([], None)
    assert stat.S_ISFIFO((tmp_path / f"{OTHER}.mp4").lstat().st_mode)


# What goes


def test_a_file_goes_with_its_note_when_its_time_is_over(tmp_path: Path) -> None:
    put(tmp_path, f"{HASH}.mp4", since=4999)
    put(tmp_path, f"{HASH}.0123abcd.mp4", since=5000)
    put(tmp_path, f"{OTHER}.mp4", note=None)
    this = go_through(tmp_path, 5000)
    assert (this.gone, this.files, this.bytes) == (1, 2, 8)
    assert names(tmp_path) == [
        f"{HASH}.0123abcd.mp4",
        f"{HASH}.0123abcd.mp4.why.json",
        f"{OTHER}.mp4",
    ]


def test_how_old_the_content_is_does_not_matter(tmp_path: Path) -> None:
    path = put(tmp_path, f"{HASH}.mp4", since=None)
    os.utime(path, (0, 0))
    assert go_through(tmp_path, 5000).gone == 0


def test_what_a_crash_has_left_of_a_note_goes_too(tmp_path: Path) -> None:
    put(tmp_path, f"{HASH}.mp4", since=6000)
    for name in (f"{OTHER}.mp4.why.json", f".{HASH}.mp4.why.json.0123abcd"):
        for which, when in (("", 4999), ("new", 5000)):
            path = tmp_path / name.replace(".mp4", f".{which}.mp4" if which else ".mp4")
            path.write_text("{")
            os.utime(path, ns=(0, when * 1_000_000))
    go_through(tmp_path, 5000)
    assert names(tmp_path) == [
        f".{HASH}.new.mp4.why.json.0123abcd",
        f"{HASH}.mp4",
        f"{HASH}.mp4.why.json",
        f"{OTHER}.new.mp4.why.json",
    ]


def test_many_are_gone_through_some_at_a_time(tmp_path: Path) -> None:
    count = AT_ONCE + 1
    for number in range(count):
        put(tmp_path, f"{number:040x}.mp4", note=None)
    this = Round(2**60)
    with os.scandir(tmp_path) as entries:
        assert this.go_on(tmp_path, entries)
        assert this.gone == AT_ONCE
        assert not this.go_on(tmp_path, entries)
    assert (this.gone, names(tmp_path)) == (count, [])


def test_what_is_gone_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, f"{HASH}.mp4")
    (tmp_path / f"{OTHER}.mp4.why.json").write_text("{}")
    with os.scandir(tmp_path) as entries:
        listed: Sequence[os.DirEntry[str]] = list(entries)
    remove(tmp_path, path.name)
    (tmp_path / f"{OTHER}.mp4.why.json").unlink()
    this = Round(2**60)
    assert not this.go_on(tmp_path, listed)
    assert (this.gone, this.files) == (0, 0)
    remove(tmp_path, path.name)
    monkeypatch.setattr(put_aside, "named", lambda name: (HASH, "mp4"))
    assert put_aside.look_at(tmp_path, "gone") is None
