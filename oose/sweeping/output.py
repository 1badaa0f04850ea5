"""What a `find` writes, read piece by piece while it runs: files, and complaints.

For each folder that it begins with, `find` writes a record that begins with a slash; for each file
its kind, size, time and path. What it cannot read it says on stderr before it goes on, so whoever
has read the record of the next folder has all that is said of the last.
"""

import os
import re
import select
import subprocess
from typing import IO

from oose.sweeping.layout import Page

WHAT = (
    "-ignore_readdir_race",
    *("-type", "d", "-path", "??", "-printf", r"/%p\0"),
    *("-o", "!", "-type", "d", "-printf", r"%y %s %T@ %p\0"),
)
"""The expression that `find` is given, behind the folders to begin with."""
ENOUGH = 500  # files for one call, or a few more
PIECE = 16 * 1024  # bytes that are read at once
PATIENCE = 500  # ms that one call waits for something to come
FINE = (0, 1)  # how it exits; with 1 it has complained
ANYWHERE = ""
_WHERE = re.compile(r"find: '([0-9a-f]{2})['/]")
_VANISHED = ": No such file or directory"


class Output:
    """The files of one `find`, folder by folder. Calls block, for a moment."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.stdout, self._stderr = number(process.stdout), number(process.stderr)
        self._open = {self.stdout, self._stderr}
        self._text = ""  # whole records
        self._begun = b""  # of the next
        self._said = b""  # of a complaint
        self._complaints: dict[str, str] = {}  # by folder
        self._has_complained = False

    def read(self, part: str) -> Page:
        """More of the files below the folder `part`; folders are asked for in order."""
        page = Page()
        while not page.is_last and len(page) < ENOUGH:
            self._take(part, page)
            if self._text or self.stdout not in self._open:
                page.is_last = True
            elif not self._fill(PATIENCE, self._open):
                break
        if page.is_last:
            page.problem = self._problem(part)
        return page

    @property
    def has_failed(self) -> bool:
        """Whether it has ended as it should not have."""
        return self._failure() is not None

    def _take(self, part: str, page: Page) -> None:
        """What is there of the folder's files; what is left then is of the next."""
        text = self._text.removeprefix(f"/{part}\0")
        if text and text[0] != "/":
            files, more, text = text.partition("\0/")
            text = more[1:] + text
            for record in files.split("\0"):
                if record:
                    add(page, record)
        self._text = text

    def _problem(self, part: str) -> str | None:
        """What is known against the folder's files being all there are."""
        patience = 0 if self.stdout in self._open else None  # till the end where that has come
        while self._stderr in self._open and self._fill(patience, {self._stderr}):
            pass
        complaint = self._complaints.get(part) or self._complaints.get(ANYWHERE)
        return complaint or self._failure()

    def _failure(self) -> str | None:
        if self._open:
            return None
        status = self._process.wait()
        if status not in FINE or (status and not self._has_complained):
            return f"find ended with status {status}"
        return None

    def _fill(self, patience: int | None, pipes: set[int]) -> bool:
        """Read what comes through `pipes` within `patience` (ms); whether something did."""
        waiting = select.poll()
        for pipe in pipes:
            waiting.register(pipe, select.POLLIN)
        ready = waiting.poll(patience)
        for pipe, _ in ready:
            data = os.read(pipe, PIECE)
            if not data:
                self._open.discard(pipe)
            elif pipe == self.stdout:
                whole, end, self._begun = (self._begun + data).rpartition(b"\0")
                self._text += (whole + end).decode("utf-8", "surrogateescape")
            else:
                *lines, self._said = (self._said + data).split(b"\n")
                for line in lines:
                    self._hear(line.decode("utf-8", "backslashreplace"))
        return bool(ready)

    def _hear(self, line: str) -> None:
        self._has_complained = True
        if not line.endswith(_VANISHED):  # which is as if it had never been there
            where = _WHERE.match(line)
            self._complaints.setdefault(where[1] if where else ANYWHERE, line)


def add(page: Page, record: str) -> None:
    """Put what a record tells of into a page."""
    kind, size, when, path = record.split(" ", 3)
    if kind == "f":
        page.add(path, int(size), int(when[:-7].replace(".", "")))  # of ten digits of a second
    elif kind == "l":
        page.add_link(path)
    else:
        page.strangers.append(path)


def number(pipe: IO[bytes] | None) -> int:
    """The descriptor of a pipe that was asked for."""
    assert pipe is not None
    return pipe.fileno()
