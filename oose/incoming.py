"""One file on its way onto a store's disk: blocking calls, run in the disk's pool."""

import errno
import itertools
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from attrs import define, field

from oose.address import relative_path
from oose.durable import FILE_MODE, make_folders, publish, unpublish, write_all
from oose.errors import DiskFull, OoseError, Unavailable

FULL = {errno.ENOSPC, errno.EDQUOT}
_PROCESS = secrets.token_hex(8)
_names: Iterator[str] = (f"{_PROCESS}{number:08x}" for number in itertools.count())


class AlreadyThere(Unavailable):
    """Another file is at its place."""


@define(eq=False)
class Incoming:
    """A file being received: written, then committed under its hash, then confirmed.

    Its paths are texts: to make a `Path` of each took a good part of the time of a small file.
    """

    store: str
    content: Path
    min_free: int
    _file: str = field(alias="file")  # where it is meanwhile
    _descriptor: int = field(alias="descriptor")
    place: str = ""
    _is_visible: bool = field(default=False, init=False)

    @classmethod
    def create(
        cls, store: str, content: Path, incoming: Path, min_free: int, place: str = ""
    ) -> Self:
        """Begin to receive a file of the store `store` in the folder `incoming`.

        `place` is its path below `content` where that is known before its bytes.
        """
        name = next(_names)
        file = f"{incoming}/{name}.{base_name(place)}" if place else f"{incoming}/{name}"
        with explained(store):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            return cls(store, content, min_free, file, descriptor, place)

    @property
    def path(self) -> Path:
        """Where it is while it is received, and until it is confirmed."""
        return Path(self._file)

    @property
    def final(self) -> Path:
        """Where it becomes visible."""
        return self.content / self.place

    def write(self, chunks: Sequence[bytes], free: int | None = None) -> None:
        """Append; `DiskFull` when the disk's `min_free` would be touched.

        `free` is how many bytes may still be written, where that is known already.
        """
        size = sum(map(len, chunks))
        with explained(self.store):
            if free is None:
                free = free_bytes(self._descriptor)
            if free - size < self.min_free:
                raise DiskFull(f"The store {self.store!r} is full")
            write_all(self._descriptor, chunks, size)

    def seal(self) -> None:
        """The file has ended: make its bytes durable and let go of its descriptor."""
        if self._descriptor < 0:
            return
        with explained(self.store):
            os.fdatasync(self._descriptor)
            self._close()

    def date(self, created: int | None) -> None:
        """Have the file say when it came (ms), as its record does: records may be lost."""
        if created is not None:
            with explained(self.store):
                file = self._descriptor if self._descriptor >= 0 else self.path
                os.utime(file, ns=(created * 1_000_000,) * 2)

    def commit(self, content_hash: str, ext: str, created: int | None = None) -> None:
        """Make the bytes durable and the file, which came at `created`, visible at its place.

        Its name is durable after `Folders.make_durable`.
        """
        self.place = relative_path(content_hash, ext)
        self.date(created)
        self.seal()
        with explained(self.store):
            # The name says what a crash from here on has to be undone: see `Disk.settle`.
            intent = f"{self._file}.{base_name(self.place)}"
            os.rename(self._file, intent)  # noqa: PTH104
            self._file = intent
        self.publish()

    def publish(self, *, over: bool = True) -> None:
        """Make the file visible at its place, its bytes durable or not.

        A file that is there without a record is replaced, as these bytes were hashed just now; or
        it is `AlreadyThere`, unless it may be put `over` it.
        """
        with explained(self.store):
            if self._descriptor >= 0:
                self._close()
            self._is_visible = True
            final = f"{self.content}/{self.place}"
            try:
                try:
                    publish(self._file, final, over=over)
                except FileNotFoundError:  # its folder is not there yet
                    make_folders(self.final.parent, self.content)
                    publish(self._file, final, over=over)
            except FileExistsError:
                raise AlreadyThere(f"{self.place} is on the store {self.store!r}") from None

    def confirm(self) -> None:
        """The record is written: forget how to undo it."""
        with explained(self.store):
            os.unlink(self._file)  # noqa: PTH108

    def withdraw(self) -> None:
        """Leave nothing behind, whatever was done so far; also where the disk is failing."""
        if self._descriptor >= 0:
            with suppress(OSError):
                self._close()
        with suppress(OSError):
            if self._is_visible:
                unpublish(self.final, self.path)
            self.path.unlink()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1  # also where closing fails
        os.close(descriptor)


def free_bytes(descriptor: int) -> int:
    """Bytes that a user without privileges may still write to an open file's file system."""
    status = os.fstatvfs(descriptor)
    return status.f_bavail * status.f_frsize


def base_name(place: str) -> str:
    """The last part of a path below `content`."""
    return place.rpartition("/")[2]


class explained:  # noqa: N801 # reads as a statement
    """Turns an operating system's error into one that a client can be told."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError):
            raise unavailable(self._name, error) from error


def unavailable(name: str, error: OSError) -> OoseError:
    """What a failed call on the disk of the store `name` means for a client."""
    if error.errno in FULL:
        return DiskFull(f"The store {name!r} is full")
    why = os.strerror(error.errno or errno.EIO)
    return Unavailable(f"The disk of the store {name!r} failed: {why}")
