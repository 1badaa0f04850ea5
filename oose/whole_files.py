"""Small files that came whole before any of their bytes was written: kept with one sync for many.

A sync of the whole file system costs little more than that of one small file when there is nothing
else to write, and a small file by itself needs three: its bytes, its name, its folder's name.
"""

import os
from collections.abc import Sequence

from attrs import frozen

from oose.disk import READING, Disk
from oose.durable import sync_file_system
from oose.errors import OoseError
from oose.incoming import Incoming, explained, free_bytes


@frozen
class WholeFile:
    """A file's bytes, its hash and its extension; it came at `created` (ms).

    Without `over` nothing is replaced that lies at its place.
    """

    chunks: Sequence[bytes]
    content_hash: str
    ext: str
    over: bool = True
    created: int | None = None

    @property
    def size(self) -> int:
        """How many bytes."""
        return sum(map(len, self.chunks))


def keep_together(disk: Disk, files: Sequence[WholeFile]) -> Sequence[Incoming | OoseError]:
    """Make many files durable and visible on `disk`; each, or what went wrong with it.

    What keeps none of them is raised.
    """
    disk.check()
    with explained(disk.name):
        root = os.open(disk.root, READING)  # before the writes: an error of theirs is told of here
    kept: list[Incoming | OoseError] = []
    try:
        with explained(disk.name):
            free = free_bytes(root)
        for file in files:
            try:
                kept.append(_keep(disk, file, free))
                free -= file.size
            except OoseError as error:
                kept.append(error)
        with explained(disk.name):
            sync_file_system(root)
    except OoseError:
        for each in kept:
            if isinstance(each, Incoming):
                each.withdraw()
        raise
    finally:
        os.close(root)
    return kept


def _keep(disk: Disk, file: WholeFile, free: int) -> Incoming:
    incoming = disk.begin(file.content_hash, file.ext)
    try:
        incoming.write(file.chunks, free)
        incoming.date(file.created)
        incoming.publish(over=file.over)
    except OoseError:
        incoming.withdraw()
        raise
    return incoming
