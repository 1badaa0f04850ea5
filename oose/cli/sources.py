"""What to upload: the files that paths on a command line mean."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

STDIN = "-"


@frozen
class Source:
    """One thing to upload; `shown` is what it was called, `problem` why it cannot be read.

    `left_out` says why it is not to be uploaded at all.
    """

    shown: str
    path: Path | None  # None is stdin
    problem: str | None = None
    left_out: str | None = None

    def open(self) -> BinaryIO:
        """Open it to read; `OSError`."""
        if self.problem is not None:
            raise OSError(0, self.problem)
        if self.path is None:
            return sys.stdin.buffer
        return self.path.open("rb")


def sources(paths: Sequence[str]) -> Iterator[Source]:
    """Every file that is meant. `-` is stdin, and nothing else is: not even `./-`."""
    for each in paths:
        if each == STDIN:
            yield Source("stdin", None)
        elif os.path.isdir(each):  # noqa: PTH112 # unlike `Path`, never raises
            yield from walk(each)
        else:
            yield Source(each, Path(each))


def walk(folder: str) -> Iterator[Source]:
    """All files below a folder, by name, those of a folder before those of its folders.

    Links to folders and out of the folder are not followed; pipes and devices are passed over.
    These and what cannot be read are among them, so that nothing is left out in silence.
    """
    inside = os.path.realpath(folder)
    problems: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=problems.append):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            yield Source(str(path), path, left_out=why_not(path, inside))
        for path in (Path(root, name) for name in folders):
            if path.is_symlink():
                yield Source(str(path), path, left_out="a link to a folder, which is not followed")
        for error in problems:
            yield unreadable(error)
        problems.clear()
    for error in problems:
        yield unreadable(error)


def why_not(path: Path, inside: str) -> str | None:
    """Why something in the folder `inside` is no file of it; None also where opening will tell."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "neither a file nor a folder"
    except OSError:
        return None
    if not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(inside):
        return None
    return "a link out of the folder, which is not followed"


def unreadable(error: OSError) -> Source:
    """A folder that cannot be listed."""
    return Source(str(error.filename), None, error.strerror)


def size_of(file: BinaryIO) -> int | None:
    """The bytes left in an open file; None for what has no size before its end."""
    try:
        found = os.fstat(file.fileno())
        return found.st_size - file.tell() if stat.S_ISREG(found.st_mode) else None
    except OSError:  # not a file of the system's at all
        return None
