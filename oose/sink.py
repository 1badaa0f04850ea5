"""Bytes on their way in: hashed once, written to every chosen store, as they arrive.

`feed` takes bytes on the reactor; batches of them go to threads, hashing beside writing. The
source is told to pause when more waits than `HIGH`, and to go on below `LOW`, so that
memory does not depend on the size of a file.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from attrs import frozen
from twisted.internet.defer import DeferredLock
from twisted.python.failure import Failure

from oose.background import in_background
from oose.errors import OoseError, Unavailable
from oose.log import part
from oose.placement import Candidate
from oose.pool import Pool
from oose.together import together

BATCH = 1024 * 1024
HIGH = 3 * 1024 * 1024
LOW = 1024 * 1024
LATEST = 10.0  # seconds after which a slow source's bytes go on, however few
AT_ONCE = 16 * 1024  # so little is hashed faster than handed to a thread
BITE = 2047  # hashlib lets go of the interpreter for more (its HASHLIB_GIL_MINSIZE)

_log = part("upload")


class Reception(Protocol):
    """One copy on its way onto one store; see `oose.volume.Reception`."""

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append."""
        ...

    async def seal(self) -> None:
        """The file has ended: make its bytes durable and hold no descriptor until `commit`."""
        ...

    async def commit(
        self, chunks: Sequence[bytes], content_hash: str, ext: str, created: int | None = None
    ) -> str:
        """Append the last of it, make the file durable and visible; its relative path.

        `created` (ms) is when it came.
        """
        ...

    async def confirm(self) -> None:
        """The record is written."""
        ...

    async def withdraw(self) -> None:
        """Leave nothing behind."""
        ...


@frozen
class Copy:
    """A reception and the place `<prism>:<store>` it is for, as it was when that was `chosen`."""

    place: str
    reception: Reception
    chosen: Candidate | None = None


@frozen
class Received:
    """All bytes have arrived: how many, and their digests in hex by hash type."""

    size: int
    digests: dict[str, str]


class Sink:
    """Takes one file. `feed`, then `finish`, then `commit` on the copies that are wanted.

    A store that fails on the way is left out, and is among `dropped` from then on; when none is
    left the next `feed` or `finish` raises what the last one raised. `now` is any clock's seconds.
    """

    def __init__(
        self,
        copies: Sequence[Copy],
        hash_types: Sequence[str],
        hashing: Pool,
        now: Callable[[], float],
    ) -> None:
        self.copies = list(copies)
        self.dropped: dict[str, OoseError] = {}
        self.size = 0
        self._digests = {name: hashlib.new(name) for name in dict.fromkeys(hash_types)}
        self._hashing = hashing
        self._now = now
        self._written: float | None = None  # when
        self._queue: list[bytes] = []
        self._queued = 0  # bytes, those in the threads' hands included
        self._rest: Sequence[bytes] = ()  # the end of the file, hashed but not written
        self._turn = DeferredLock()
        self._error: OoseError | None = None
        self._pause: Callable[[], None] = _nothing
        self._resume: Callable[[], None] = _nothing
        self._paused = False
        self._over = False

    def on_pressure(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """What to call to stop the source, and to let it go on."""
        self._pause, self._resume = pause, resume

    def feed(self, chunk: bytes) -> None:
        """Take more of the file."""
        if self._error is not None:
            raise self._error
        self.size += len(chunk)
        self._queue.append(chunk)
        self._queued += len(chunk)
        if self._queued >= HIGH:
            self._paused = True
            self._pause()
        if self._turn.locked:
            return
        is_late = self._written is not None and self._now() - self._written >= LATEST
        if self._queued >= BATCH or is_late:
            least = 1 if is_late else BATCH
            in_background(self._in_turn(lambda: self._drain(least)))

    async def seal(self) -> None:
        """The file has ended: hold none of it in memory, and no descriptor, until `finish`.

        What goes wrong meanwhile is raised by `finish`.
        """
        await self._in_turn(self._seal)

    async def finish(self) -> Received:
        """The file has ended: its size and digests. Its last bytes may still be in memory."""
        if self._turn.locked or self._queued > AT_ONCE:
            await self._in_turn(self._hash_rest)
        else:
            self._rest, self._queue = self._queue, []
            self._hash(in_bites(self._rest))
        if self._error is not None:
            raise self._error
        digests = {name: digest.hexdigest() for name, digest in self._digests.items()}
        return Received(self.size, digests)

    @property
    def whole(self) -> Sequence[bytes] | None:
        """All of the file, after `finish`, where it is in memory, for other copies too."""
        return self._rest if sum(map(len, self._rest)) == self.size else None

    async def commit(
        self, copy: Copy, content_hash: str, ext: str, created: int | None = None
    ) -> str:
        """Make one copy durable and visible, after `finish`; its relative path on the store.

        `created` (ms) is when it came.
        """
        return await copy.reception.commit(self._rest, content_hash, ext, created)

    async def abandon(self) -> None:
        """Withdraw every copy that was not confirmed."""
        self._over = True
        self._queue.clear()
        await together(copy.reception.withdraw() for copy in self.copies)

    # One at a time.

    async def _in_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        await self._turn.acquire()
        try:
            await work()
        except Exception:  # nothing may get lost between feeding and finishing
            _log.failure("Receiving a file failed", Failure())
            self._error = Unavailable("The file could not be received; the log says why")
        finally:
            self._turn.release()

    async def _drain(self, least: int) -> None:
        while not self._over and self._queue and sum(map(len, self._queue)) >= least:
            batch, self._queue = self._queue, []
            await self._take(batch)
            self._queued -= sum(map(len, batch))
            if self._paused and self._queued <= LOW:
                self._go_on()

    async def _seal(self) -> None:
        await self._drain(1)
        for copy in list(self.copies):
            await self._attempt(copy, copy.reception.seal())

    async def _hash_rest(self) -> None:
        self._rest, self._queue = self._queue, []
        if sum(map(len, self._rest)) <= AT_ONCE:
            self._hash(in_bites(self._rest))
        else:
            await self._hashing.run(self._hash, self._rest)

    def _go_on(self) -> None:
        self._paused = False
        self._resume()

    async def _take(self, batch: Sequence[bytes]) -> None:
        written = (self._attempt(copy, copy.reception.write(batch)) for copy in self.copies)
        await together([self._hashing.run(self._hash, batch), *written])
        self._written = self._now()

    def _hash(self, batch: Sequence[bytes]) -> None:
        for digest in self._digests.values():
            for chunk in batch:
                digest.update(chunk)

    async def _attempt(self, copy: Copy, step: Awaitable[None]) -> None:
        try:
            await step
        except OoseError as error:
            _log.warn("{place} dropped out: {error}", place=copy.place, error=error)
            self.copies.remove(copy)
            self.dropped[copy.place] = error
            await copy.reception.withdraw()
            if not self.copies:
                self._error = error
                self._go_on()


def in_bites(chunks: Sequence[bytes]) -> Sequence[bytes]:
    """The same bytes in pieces so small that Python hashes each without letting other threads in.

    To get its lock back from them would cost more than the hashing itself.
    """
    return [chunk[at : at + BITE] for chunk in chunks for at in range(0, len(chunk), BITE)]


def _nothing() -> None:
    """No source to pause."""
