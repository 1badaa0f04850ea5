"""Disks for the tests of sweeps: trees of files of any kind, and what a lister makes of them."""

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field
from hypothesis import strategies as st

from oose.address import HASH_TYPES, old_relative_path, relative_path
from oose.sweeping.layout import REST, SLICES, Seen
from oose.sweeping.listing import Lister

HASHES = [
    hashlib.new(kind, f"{kind} {number}".encode()).hexdigest()
    for kind in HASH_TYPES
    for number in range(4)
]


@define
class Listed:
    """All that a lister has told."""

    files: dict[str, list[Seen]] = field(factory=dict)
    strangers: list[str] = field(factory=list)
    problems: dict[str, str] = field(factory=dict)

    def seen(self) -> list[Seen]:
        return sorted(each for some in self.files.values() for each in some)


def list_all(lister: Lister, parts: Sequence[str] = (*SLICES, REST)) -> Listed:
    listed = Listed()
    for part in parts:
        files: list[Seen] = []
        while True:
            page = lister.read(part)
            files += page.files
            listed.strangers += page.strangers
            if page.problem is not None:
                listed.problems[part] = page.problem
            if page.is_last:
                break
        if files:
            listed.files[part] = sorted(files)
    listed.strangers.sort()
    return listed


def expected(content: Path) -> tuple[list[Seen], list[str]]:
    """What there is, told by other means."""
    files, strangers = [], []
    by_place = {}
    for content_hash in HASHES:
        for ext in EXTENSIONS:
            for form in (relative_path, old_relative_path):
                by_place[form(content_hash, ext)] = (content_hash, ext)
    for place in content.rglob("*"):
        status = place.lstat()
        path = str(place.relative_to(content))
        if path in by_place and stat.S_ISREG(status.st_mode):
            when = max(0, status.st_mtime_ns // 1_000_000)
            files.append(Seen(*by_place[path], path, status.st_size, when))
        elif not stat.S_ISDIR(status.st_mode):
            strangers.append(path)
    return sorted(files), sorted(strangers)


EXTENSIONS = ["mp4", "txt", "tar-gz_1"]
EXTS = st.sampled_from(EXTENSIONS)
PLACES = st.builds(
    lambda form, content_hash, ext: form(content_hash, ext),
    st.sampled_from([relative_path, old_relative_path]),
    st.sampled_from(HASHES),
    EXTS,
)
NAMES = (
    st.binary(min_size=1, max_size=12).map(os.fsdecode)
    | st.sampled_from(["00", "0a", "ff", "FF", "f 1 2 00", "a\nb", "\udcff", "find: '00'"])
).filter(lambda name: "/" not in name and "\0" not in name and name not in {".", ".."})
NEARLY = st.builds(lambda place, tail: place + tail, PLACES, st.sampled_from(["X", "\n", ".tmp"]))
WITHIN = st.builds(lambda place, name: f"{place.rpartition('/')[0]}/{name}", PLACES, NAMES)
FOREIGN = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["file", "file", "file", "empty", "link", "fifo", "folder"])
TIMES = st.integers(-(10**12), 4 * 10**18)  # ns
Entry = tuple[str, str, int, int]
ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.tuples(PLACES | NEARLY | WITHIN | FOREIGN, KINDS, st.integers(1, 5000), TIMES), max_size=25
)


def make(content: Path, entries: Sequence[Entry]) -> None:
    """Make what can be made of `entries`; where two are in each other's way the first is there."""
    for path, kind, size, when in entries:
        place = content / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == "link":
                place.symlink_to("..")
            elif kind == "fifo":
                os.mkfifo(place)
            elif kind == "folder":
                place.mkdir()
            else:
                with place.open("xb") as file:
                    file.write(b"x" * (0 if kind == "empty" else size))
                os.utime(place, ns=(when, when))
        except (FileExistsError, NotADirectoryError):
            continue
