"""Reading files to hash them: blocking calls, some bytes at a time, with nothing open in between.

What viewers read stays in the page cache, and what only this reads does not stay: it would push
out the rest. No Twisted here.
"""

import errno
import hashlib
import os
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from oose.disk import Disk
from oose.errors import OoseError
from oose.incoming import unavailable

CHUNK = 4 * 1024 * 1024  # bytes read at once: the fewer, the less the reactor waits for us
SMALL = 128 * 1024  # bytes that are read as they are where they are in the page cache
CHANGES = 3  # times that a file may change while it is read
UNREADABLE = {  # what the kernel says of bytes that it cannot get back
    errno.EIO,
    errno.EBADMSG,
    errno.EILSEQ,
    errno.ENODATA,
    errno.EREMOTEIO,
    errno.EUCLEAN,
}


@frozen
class Which:
    """Which file it is: another under its name, and the same when written to, are others."""

    device: int
    number: int
    size: int
    modified: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Which":
        """As the system tells it."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@define(eq=False)
class Reading:
    """The file at `path` below `content`, of about `expected` bytes, to be hashed by `kinds`.

    It is `over` when all of it was read, then it has `digests`, or when it has an `error`: that of
    `Disk.open`. `afresh` reads from the disk what is in the page cache too, and makes sure that
    nobody writes to it meanwhile.
    """

    path: str
    kinds: Sequence[str]
    expected: int = 0
    afresh: bool = False
    which: Which | None = field(default=None, init=False)
    error: OoseError | None = field(default=None, init=False)
    over: bool = field(default=False, init=False)
    size: int = field(default=0, init=False)  # bytes read so far
    _hashes: "Sequence[hashlib._Hash]" = field(default=(), init=False)
    _changes: int = field(default=0, init=False)

    @property
    def left(self) -> int:
        """How many bytes are still to be read, as far as is known."""
        return max(0, self.expected - self.size)

    @property
    def digests(self) -> Mapping[str, str]:
        """What the bytes hash to, by kind."""
        return {each.name: each.hexdigest() for each in self._hashes}

    @property
    def unreadable(self) -> str | None:
        """Why the bytes are lost, where the kernel says so."""
        cause = self.error.__cause__ if self.error is not None else None
        if isinstance(cause, OSError) and cause.errno in UNREADABLE:
            return os.strerror(cause.errno or errno.EIO)
        return None

    def go_on(self, disk: Disk, most: int, buffer: memoryview) -> int:
        """Read and hash up to `most` bytes more; how many there were. `buffer` is for our use."""
        try:
            descriptor, status = disk.open_file(self.path)
        except OoseError as error:
            self.fail(error)
            return 0
        try:
            self._see(Which.of(status))
            count = self._hash(descriptor, most, buffer)
            if self.afresh and Which.of(os.fstat(descriptor)) != self.which:
                self._begin_anew()
        except OSError as error:
            failed = unavailable(disk.name, error)
            failed.__cause__ = error
            self.fail(failed)
            return 0
        finally:
            os.close(descriptor)
        return count

    def fail(self, error: OoseError) -> None:
        """It cannot be read."""
        self.error, self.over = error, True

    def _begin_anew(self) -> None:
        """It was written to while it was read."""
        self._changes += 1
        if self._changes > CHANGES:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self.which, self.over = None, False

    def _see(self, which: Which) -> None:
        """Begin, also where another has come in its place."""
        if self.which is not None and which != self.which:
            self._begin_anew()
        if self.which is None:
            self.which, self.size = which, 0
            self._hashes = [hashlib.new(kind, usedforsecurity=False) for kind in self.kinds]

    def _hash(self, descriptor: int, most: int, buffer: memoryview) -> int:
        assert self.which is not None
        start, end = self.size, min(self.size + most, self.which.size)
        if self.afresh:
            forget(descriptor, start, end)
        if end - start <= len(buffer):
            known = at_hand(descriptor, buffer[: end - start], start)
            if known == end - start:
                self._add(buffer[:known])
        else:
            # In the middle: the first bytes may have been read ahead for those before.
            known = at_hand(descriptor, buffer[:1], (start + end) // 2 if start else 0)
            os.posix_fadvise(descriptor, start, 0, os.POSIX_FADV_SEQUENTIAL)
        while self.size < end:
            data = os.pread(descriptor, min(CHUNK, end - self.size), self.size)
            if not data:  # it has become shorter
                self._begin_anew()
                return 0
            self._add(data)
        self.over = end == self.which.size
        if not known:
            forget(descriptor, start, end)
        return end - start

    def _add(self, data: bytes | memoryview) -> None:
        for each in self._hashes:
            each.update(data)
        self.size += len(data)


def read_some(disk: Disk, readings: Sequence[Reading], most: int) -> int:
    """Go on with readings, one after the other, until `most` bytes are read; how many there were.

    One that has an error leaves the others.
    """
    buffer = memoryview(bytearray(SMALL))
    count = 0
    for reading in readings:
        while not reading.over and count < most:
            count += reading.go_on(disk, most - count, buffer)
    return count


def at_hand(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Read what is there without waiting for the disk; how much, 0 where that is not known."""
    try:
        return os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
    except OSError:
        return 0


def forget(descriptor: int, start: int, end: int) -> None:
    """Take these bytes out of the page cache."""
    os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)


def is_still(disk: Disk, reading: Reading) -> bool:
    """Whether what was read is what lies at its place; also where it could not even be opened."""
    if reading.which is None:
        return True
    try:
        status = (disk.content / reading.path).lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unavailable(disk.name, error) from error
    return Which.of(status) == reading.which
