"""Small files that came whole before any of their bytes was written: kept with one sync for many.

A sync of the whole file system costs little more than that of one small file when there is nothing
else to write, and a small file by itself needs three: its bytes, its name, its folder's name.
"""

import os
from collections.abc import Sequence

from attrs import frozen
from twisted.python.failure import Failure

from oose.batches import Job
from oose.disk import READING, Disk
from oose.durable import sync_file_system
from oose.errors import OoseError
from oose.incoming import Incoming, explained, free_bytes


@frozen
class WholeFile:
    """A file's bytes, its hash and its extension."""

    chunks: Sequence[bytes]
    content_hash: str
    ext: str

    @property
    def size(self) -> int:
        """How many bytes."""
        return sum(map(len, self.chunks))


def keep_together(disk: Disk, jobs: Sequence[Job[WholeFile, Incoming]]) -> None:
    """Make many files durable and visible on `disk`; one that fails leaves the others."""
    disk.check()
    with explained(disk.name):
        root = os.open(disk.root, READING)  # before the writes: an error of theirs is told of here
    try:
        with explained(disk.name):
            free = free_bytes(root)
        for job in jobs:
            try:
                job.result = _keep(disk, job.work, free)
                free -= job.work.size
            except OoseError:
                job.failure = Failure()
        with explained(disk.name):
            sync_file_system(root)
    except OoseError:
        for job in jobs:
            if job.result is not None:
                job.result.withdraw()
        raise
    finally:
        os.close(root)


def _keep(disk: Disk, whole: WholeFile, free: int) -> Incoming:
    incoming = disk.begin(whole.content_hash, whole.ext)
    try:
        incoming.write(whole.chunks, free)
        incoming.publish()
    except OoseError:
        incoming.withdraw()
        raise
    return incoming
