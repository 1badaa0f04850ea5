"""One file on its way onto a store's disk: blocking calls, run in the disk's pool."""

import errno
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from attrs import define, field

from oose.address import relative_path
from oose.durable import FILE_MODE, make_folders, publish, sync_folder, unpublish, write_all
from oose.errors import DiskFull, OoseError, Unavailable

FULL = {errno.ENOSPC, errno.EDQUOT}


@define(eq=False)
class Incoming:
    """A file being received: written, then committed under its hash, then confirmed."""

    store: str
    content: Path
    min_free: int
    path: Path
    _descriptor: int = field(alias="descriptor")
    _final: Path | None = field(default=None, init=False)

    @classmethod
    def create(cls, store: str, content: Path, incoming: Path, min_free: int) -> Self:
        """Begin to receive a file of the store `store` in the folder `incoming`."""
        path = incoming / secrets.token_hex(12)
        with explained(store):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            begun = cls(store, content, min_free, path, descriptor)
            try:
                os.fchmod(descriptor, FILE_MODE)
            except OSError:
                begun.withdraw()
                raise
        return begun

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append; `DiskFull` when the disk's `min_free` would be touched."""
        size = sum(map(len, chunks))
        with explained(self.store):
            status = os.fstatvfs(self._descriptor)
            if status.f_bavail * status.f_frsize - size < self.min_free:
                raise DiskFull(f"The store {self.store!r} is full")
            write_all(self._descriptor, chunks, size)

    def seal(self) -> None:
        """The file has ended: make its bytes durable and let go of its descriptor."""
        if self._descriptor < 0:
            return
        with explained(self.store):
            os.fdatasync(self._descriptor)
            self._close()

    def commit(self, content_hash: str, ext: str) -> str:
        """Make the file durable and visible at its place; its path below `content`."""
        place, folders = self.publish(content_hash, ext)
        with explained(self.store):
            for folder in folders:
                sync_folder(folder)
        return place

    def publish(self, content_hash: str, ext: str) -> tuple[str, Sequence[Path]]:
        """The same, but for syncing the folders that are returned beside the path.

        A file that is there without a record is replaced: these bytes were hashed just now.
        """
        place = relative_path(content_hash, ext)
        final = self.content / place
        self.seal()
        with explained(self.store):
            # The name says what a crash from here on has to be undone: see `Disk.settle`.
            self.path = self.path.rename(self.path.with_name(f"{self.path.name}.{final.name}"))
            folders = make_folders(final.parent, self.content)
            self._final = final
            publish(self.path, final)
        return place, [*folders, final.parent]

    def confirm(self) -> None:
        """The record is written: forget how to undo it."""
        with explained(self.store):
            self.path.unlink()

    def withdraw(self) -> None:
        """Leave nothing behind, whatever was done so far; also where the disk is failing."""
        if self._descriptor >= 0:
            with suppress(OSError):
                self._close()
        with suppress(OSError):
            if self._final is not None:
                unpublish(self._final, self.path)
            self.path.unlink()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1  # also where closing fails
        os.close(descriptor)


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
