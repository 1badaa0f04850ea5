"""A store's disk as the rest of the program sees it: every call runs in the disk's own pool."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from attrs import frozen
from twisted.internet.defer import DeferredLock
from twisted.python.failure import Failure

from oose.batches import Batches, Job
from oose.disk import Disk, Found, Intent, NotOurs, Space
from oose.durable import sync_folder
from oose.errors import NotFound, Unavailable
from oose.incoming import Incoming, explained, unavailable
from oose.log import part
from oose.pool import Pool
from oose.shield import shield

P = ParamSpec("P")
T = TypeVar("T")
W = TypeVar("W")
R = TypeVar("R")
SMALL = 64 * 1024  # bytes that are read where the file is opened, for one hop to a thread

_log = part("store")


@frozen
class OpenFile:
    """A file open for reading; whoever holds it closes it. A small one comes `whole`."""

    descriptor: int
    size: int
    whole: bytes | None
    pool: Pool

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


class Volume:
    """The disk of one store, `usable` or not.

    `space` is what `refresh` last saw; `writing` counts the files being received.
    """

    def __init__(self, disk: Disk, pool: Pool) -> None:
        self.disk = disk
        self.pool = pool
        self.usable = False
        self.space = Space(0, 0)
        self.writing = 0
        self.identity: str | None = None
        self.commits: Batches[Commit, str] = Batches(pool, commit_together)
        self.confirms: Batches[Reception, None] = Batches(pool, confirm_together)

    def describe(self) -> Mapping[str, int | bool]:
        """For `/stats`: bytes of the disk, as last looked at, and the files being received."""
        return {
            "usable": self.usable,
            "capacity": self.space.capacity,
            "free": self.space.free,
            "receiving": self.writing,
        }

    async def enroll(self, known: str | None, *, may_create: bool) -> Sequence[Intent]:
        """Take the disk into use; what a crash left in `incoming`, nothing when it is not ours."""
        try:
            identity = await self.pool.run(self.disk.enroll, known, may_create=may_create)
            # Before the disk is usable: an upload that begins now is not left behind.
            left = await self.pool.run(lambda: list(self.disk.left_behind()))
        except NotOurs as error:
            _log.error("{why}: the store {store} is unavailable", why=error, store=self.disk.name)
            return ()
        except OSError as error:
            why = unavailable(self.disk.name, error).message
            _log.error("{why}: the store {store} is unavailable", why=why, store=self.disk.name)
            return ()
        self.identity = identity
        await self.refresh()
        return left

    async def refresh(self) -> bool:
        """Look whether the disk is there and how much room it has; whether it is usable."""
        try:
            await self.pool.run(self.disk.check)
            self.space = await self.pool.run(self.disk.space)
        except (Unavailable, OSError) as error:
            if self.usable:
                _log.error("{why}", why=error)
            self.usable = False
            return False
        if not self.usable:
            _log.info("The disk of the store {store} is in use", store=self.disk.name)
        self.usable = True
        return True

    async def settle(self, intent: Intent, *, recorded: bool) -> None:
        """Clear up one thing that a crash left behind, now or at the next start: `Disk.settle`."""
        try:
            await self.pool.run(self.disk.settle, intent, recorded=recorded)
        except OSError as error:
            _log.error("{why}", why=unavailable(self.disk.name, error).message)

    def receive(self) -> "Reception":
        """Begin to receive a file; the disk is not touched before there is something to write."""
        return Reception(self)

    async def find(self, content_hash: str) -> Found | None:
        """See `Disk.find`; `Unavailable` when the disk is not there."""
        await self.pool.run(self.disk.check)
        return await self.pool.run(self.disk.find, content_hash)

    async def look_at(self, path: str) -> Found | None:
        """See `Disk.look_at`."""
        return await self.pool.run(self.disk.look_at, path)

    async def open(self, path: str) -> OpenFile:
        """Open a file for reading; `NotFound` or `Unavailable`."""
        return await self.pool.run(self._open, path)

    def _open(self, path: str) -> OpenFile:
        try:
            descriptor, size = self.disk.open(path)
        except NotFound:
            self.disk.check()  # a disk that is not mounted has no files either
            raise
        try:
            whole = os.pread(descriptor, size, 0) if size <= SMALL else None
        except OSError as error:
            os.close(descriptor)
            raise unavailable(self.disk.name, error) from error
        return OpenFile(descriptor, size, whole, self.pool)

    async def remove(self, path: str) -> bool:
        """See `Disk.remove`."""
        return await self.pool.run(self.disk.remove, path)

    async def set_aside(self, path: str, content_hash: str, why: str) -> None:
        """See `Disk.set_aside`."""
        await self.pool.run(self.disk.set_aside, path, content_hash, why)


class Reception:
    """One file on its way onto a volume: `write`, `write`, `commit`, `confirm`; or `withdraw`.

    Calls run one after the other, each to its end even where its caller is cancelled, so that
    nothing is written behind the back of a `withdraw`.
    """

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._incoming: Incoming | None = None
        self._turn = DeferredLock()
        self._over = False
        volume.writing += 1

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append; `DiskFull` or `Unavailable`."""
        await shield(self._in_turn(self._write, chunks))

    async def seal(self) -> None:
        """The file has ended: make its bytes durable and hold no descriptor until `commit`."""
        await shield(self._in_turn(self._seal))

    async def commit(self, chunks: Sequence[bytes], content_hash: str, ext: str) -> str:
        """Append the last of it, make the file durable and visible; its relative path."""
        return await shield(self._commit(chunks, content_hash, ext))

    async def confirm(self) -> None:
        """The record is written: what is left in `incoming` goes."""
        await shield(self._confirm())

    async def withdraw(self) -> None:
        """Leave nothing of it behind, visible or not."""
        if self._over:
            return
        await shield(self._in_turn(self.end, Incoming.withdraw))

    async def _commit(self, chunks: Sequence[bytes], content_hash: str, ext: str) -> str:
        await self._turn.acquire()
        try:
            if self._incoming is not None:  # a large file: nobody has to wait for its bytes
                await self._volume.pool.run(self._write_last, chunks)
                chunks = ()
            return await self._volume.commits.run(Commit(self, chunks, content_hash, ext))
        finally:
            self._turn.release()

    async def _confirm(self) -> None:
        async with self._turn:
            await self._volume.confirms.run(self)

    async def _in_turn(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._turn.acquire()
        try:
            return await self._volume.pool.run(call, *args, **kwargs)
        finally:
            self._turn.release()

    # In the pool.

    def _write(self, chunks: Sequence[bytes]) -> None:
        if self._over:
            raise Unavailable("The upload was given up")
        if self._incoming is None:
            self._incoming = self._volume.disk.create()
        self._incoming.write(chunks)

    def _seal(self) -> None:
        if self._incoming is not None and not self._over:
            self._incoming.seal()

    def _write_last(self, chunks: Sequence[bytes]) -> None:
        if chunks:
            self._write(chunks)
        self._seal()

    def begun(self, chunks: Sequence[bytes]) -> Incoming:
        """The file with the last of its bytes in it."""
        if chunks or self._incoming is None:
            self._write(chunks)
        assert self._incoming is not None
        return self._incoming

    def end(self, how: Callable[[Incoming], None]) -> None:
        """Confirm or withdraw, whichever comes first."""
        if self._over:
            return
        self._over = True
        self._volume.writing -= 1
        if self._incoming is not None:
            how(self._incoming)


@frozen
class Commit:
    """A file to be made durable and visible, with the last of its bytes."""

    reception: Reception
    chunks: Sequence[bytes]
    content_hash: str
    ext: str


def commit_together(jobs: Sequence[Job[Commit, str]]) -> None:
    """Make many files durable and visible: in steps, so that the disk syncs for all at once.

    A file that fails leaves the others; a folder that cannot be synced fails them all.
    """
    folders: dict[Path, str] = {}

    def write(job: Job[Commit, str]) -> None:
        job.work.reception.begun(job.work.chunks)

    def seal(job: Job[Commit, str]) -> None:
        job.work.reception.begun(()).seal()

    def publish(job: Job[Commit, str]) -> None:
        incoming = job.work.reception.begun(())
        job.result, unsynced = incoming.publish(job.work.content_hash, job.work.ext)
        folders.update(dict.fromkeys(unsynced, incoming.store))

    for step in (write, seal, publish):
        each_for_itself(step, jobs)
    for folder, store in folders.items():
        with explained(store):
            sync_folder(folder)


def confirm_together(jobs: Sequence[Job[Reception, None]]) -> None:
    """Confirm many files."""
    each_for_itself(lambda job: job.work.end(Incoming.confirm), jobs)


def each_for_itself(step: Callable[[Job[W, R]], None], jobs: Sequence[Job[W, R]]) -> None:
    """Do `step` for every job that has not failed yet."""
    for job in jobs:
        if job.failure is None:
            try:
                step(job)
            except Exception:
                job.failure = Failure()
