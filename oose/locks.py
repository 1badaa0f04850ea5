"""Which process uses a folder: one at a time. A lock ends with its process, however that ends."""

import fcntl
import os
from pathlib import Path

from attrs import define

MODE = 0o644  # whoever is refused may read who holds it


class InUse(Exception):
    """Another process uses the folder; the message names it."""


@define
class Lock:
    """A file that is locked until `release`."""

    _descriptor: int

    def sign(self) -> None:
        """Write this process's number into it; once more after a fork, which keeps the lock."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


def lock(path: Path) -> Lock:
    """Take the file `path`, made where it is missing, for the folder it lies in; `InUse`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
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
    lock = Lock(descriptor)
    lock.sign()
    return lock
