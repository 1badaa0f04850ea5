"""Which process uses a folder: one at a time. A lock ends with its process, however that ends."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from attrs import define

MODE = 0o644  # whoever is refused may read who holds it


class InUse(Exception):
    """Another process uses the folder; the message names it."""


@define
class Lock:
    """The file `path`, locked until `release`."""

    path: Path
    _descriptor: int

    def sign(self) -> None:
        """Write this process's number into it; once more after a fork, which keeps the lock.

        A disk that is full or read-only goes without. Nothing is held open for writing, or the
        disk could not be mounted read-only.
        """
        with suppress(OSError):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW)
            try:
                os.write(descriptor, b"%d\n" % os.getpid())
            finally:
                os.close(descriptor)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


def lock(path: Path) -> Lock:
    """Take the file `path`, made where it is missing, for the folder it lies in; `InUse`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        who = f"process {holder}" if holder else "another process"
        raise InUse(f"{path.parent} is in use by {who}: only one may write there") from None
    except OSError:
        os.close(descriptor)
        raise
    lock = Lock(path, descriptor)
    lock.sign()
    return lock
