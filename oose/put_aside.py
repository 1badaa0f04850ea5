"""Files in a folder of quarantine, each with a note beside it that says why: blocking calls."""

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from oose.address import parse_content_name
from oose.disk import READING, WHY
from oose.errors import BadInput

AT_ONCE = 500  # entries in one slice of a round
MOST = 2048  # bytes of a note


@frozen
class PutAside:
    """A file: its name in quarantine, since when it is there (ms), and what its note says."""

    name: str
    hash: str
    ext: str
    size: int
    since: int
    why: Mapping[str, Any] = field(factory=dict)


@frozen
class Page:
    """Some files in the order of their names; `after` is where to go on, None at the end."""

    files: Sequence[PutAside]
    after: str | None


@define
class Round:
    """One time through the folder: what came `before` (ms) goes. Counts files, and bytes left."""

    before: int
    gone: int = field(default=0, init=False)
    files: int = field(default=0, init=False)
    bytes: int = field(default=0, init=False)

    def go_on(self, folder: Path, entries: Iterable["os.DirEntry[str]"]) -> bool:
        """Take a slice of what is there; whether there may be more."""
        seen = 0
        for entry in islice(entries, AT_ONCE):
            seen += 1
            file = look_at(folder, entry.name)
            if file is not None and file.since >= self.before:
                self.files += 1
                self.bytes += file.size
            elif file is not None:
                remove(folder, file.name)
                self.gone += 1
            elif is_note(entry.name):
                self._look_at_note(Path(entry.path))
        return seen == AT_ONCE

    def _look_at_note(self, note: Path) -> None:
        """One that a crash has left without its file goes as well, and half of one."""
        is_left = note.name.startswith(".") or not note.with_name(note.name[: -len(WHY)]).exists()
        with suppress(FileNotFoundError):
            if is_left and in_ms(note.lstat().st_mtime_ns) < self.before:
                note.unlink()


def page(folder: Path, after: str, limit: int) -> Page:
    """The files behind the name `after`, with their notes. Only so many are held in memory."""
    with os.scandir(folder) as entries:
        behind = (each.name for each in entries if each.name > after and named(each.name))
        names = nsmallest(limit + 1, behind)
    found = [look_at(folder, name) for name in names[:limit]]
    files = [with_note(folder, each) for each in found if each is not None]
    return Page(files, names[limit - 1] if len(names) > limit else None)


def find(folder: Path, content_hash: str) -> Sequence[PutAside]:
    """The files of a content, the newest first."""
    with os.scandir(folder) as entries:
        names = [each.name for each in entries if each.name.startswith(f"{content_hash}.")]
    found = [each for name in names if (each := look_at(folder, name)) is not None]
    return sorted(found, key=lambda each: each.since, reverse=True)


def remove(folder: Path, name: str) -> None:
    """Delete a file, then its note."""
    (folder / name).unlink(missing_ok=True)
    (folder / (name + WHY)).unlink(missing_ok=True)


def look_at(folder: Path, name: str) -> PutAside | None:
    """The file of that name, without its note; None where there is no such file of ours."""
    known = named(name)
    if known is None:
        return None
    with suppress(FileNotFoundError):
        status = (folder / name).lstat()
        if stat.S_ISREG(status.st_mode):
            return PutAside(name, *known, status.st_size, since(folder, name, status))
    return None


def since(folder: Path, name: str, status: os.stat_result) -> int:
    """When it came: its note was written then, and its own name changed."""
    with suppress(FileNotFoundError):
        return in_ms((folder / (name + WHY)).lstat().st_mtime_ns)
    return in_ms(status.st_ctime_ns)


def with_note(folder: Path, file: PutAside) -> PutAside:
    """The same with what its note says, if that can be read."""
    with suppress(OSError, ValueError):
        descriptor = os.open(folder / (file.name + WHY), READING)
        try:
            note = json.loads(os.read(descriptor, MOST))
        finally:
            os.close(descriptor)
        if isinstance(note, dict):
            return evolve(file, why=note)
    return file


def named(name: str) -> tuple[str, str] | None:
    """Hash and extension of `<hash>.<ext>` or `<hash>.<which>.<ext>`; None for any other name."""
    if is_note(name) or not 1 <= name.count(".") <= 2:
        return None
    try:
        return parse_content_name(name.partition(".")[0] + "." + name.rpartition(".")[2])
    except BadInput:
        return None


def is_note(name: str) -> bool:
    """Whether it is a note beside a file, whole or as a crash has left it."""
    base, found, _ = name.removeprefix(".").partition(WHY)
    return bool(found) and base.count(".") in {1, 2} and named(base) is not None


def in_ms(nanoseconds: int) -> int:
    """Milliseconds."""
    return nanoseconds // 1_000_000
