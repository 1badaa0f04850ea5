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
        if part != self._part:
            self._begin(part, page)
        for _ in range(STEP):
            try:
                if not self._step(page):
                    page.is_last = True
                    break
            except _GONE:
                continue
            except OSError as error:
                page.problem = page.problem or in_words(error)
        return page

    def interrupt(self) -> None:
        """See `Lister.interrupt`: no call takes long."""

    def close(self) -> None:
        """See `Lister.close`."""
        self._part, self._folders, self._entries = None, [], iter(())

    def _begin(self, part: str, page: Page) -> None:
        self.close()
        self._part = part
        if part == REST:
            self._folders.append(part)
            return
        place = f"{self._content}/{part}"
        try:
            is_folder = stat.S_ISDIR(os.lstat(place).st_mode)
        except FileNotFoundError:
            return
        except OSError as error:
            page.problem = in_words(error)
            return
        if is_folder:
            self._folders.append(part)
        else:
            page.strangers.append(part)

    def _step(self, page: Page) -> bool:
        """Look at one more entry or folder; whether there was one."""
        found = next(self._entries, None)
        if found is not None:
            self._look(*found, page)
        elif self._folders:
            self._entries = self._inside(self._folders.pop())
        else:
            return False
        return True

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
        elif stat.S_ISLNK(status.st_mode):
            page.add_link(path)
        else:
            page.strangers.append(path)


def in_words(error: OSError) -> str:
    """What cannot be read, and why."""
    return f"{error.filename}: {error.strerror}"
