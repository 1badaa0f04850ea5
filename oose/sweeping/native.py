"""Listing files with the system's own calls, in short steps."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from oose.sweeping.layout import REST, SLICES, Page

STEP = 500  # entries that one call looks at
_GONE = (FileNotFoundError, NotADirectoryError)  # while it was listed
_SLICES = frozenset(SLICES)


class NativeLister:
    """Lists what is below `content`. Meets `oose.sweeping.listing.Lister`."""

    driver = "native"

    def __init__(self, content: Path) -> None:
        self._content = str(content)
        self._part: str | None = None
        self._folders: list[str] = []
        self._entries: Iterator[tuple[str, os.DirEntry[str]]] = iter(())

    def read(self, part: str) -> Page:
        """See `Lister.read`."""
        page = Page()
        try:
            self._read(part, page)
        except _GONE:
            pass
        except OSError as error:
            page.problem = f"{error.filename}: {error.strerror}"
        return page

    def interrupt(self) -> None:
        """See `Lister.interrupt`: no call takes long."""

    def close(self) -> None:
        """See `Lister.close`."""
        self._part, self._folders, self._entries = None, [], iter(())

    def _read(self, part: str, page: Page) -> None:
        if part != self._part:
            self._begin(part, page)
        for _ in range(STEP):
            found = next(self._entries, None)
            if found is not None:
                self._look(*found, page)
            elif self._folders:
                self._entries = self._inside(self._folders.pop())
            else:
                page.is_last = True
                return

    def _begin(self, part: str, page: Page) -> None:
        self.close()
        self._part = part
        if part != REST:
            mode = os.lstat(f"{self._content}/{part}").st_mode  # names of any bytes
            if not stat.S_ISDIR(mode):
                page.strangers.append(part)
                return
        self._folders.append(part)

    def _inside(self, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        with os.scandir(f"{self._content}/{folder}") as entries:
            for entry in entries:
                if folder != REST:
                    yield f"{folder}/{entry.name}", entry
                elif entry.name not in _SLICES:
                    yield entry.name, entry

    def _look(self, path: str, entry: os.DirEntry[str], page: Page) -> None:
        if entry.is_dir(follow_symlinks=False):
            self._folders.append(path)
            return
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            page.add(path, status.st_size, status.st_mtime_ns // 1_000_000)
        else:
            page.strangers.append(path)
