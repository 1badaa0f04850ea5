"""A store's disk as the rest of the program sees it: every call runs in the disk's own pool."""

import os
from collections.abc import Mapping, Sequence

from attrs import frozen

from oose.disk import Disk, Found, Intent, NotOurs, Space
from oose.errors import NotFound, Unavailable
from oose.incoming import unavailable
from oose.log import part
from oose.passage import Passage
from oose.pool import Pool
from oose.receiving import Receiving, Reception

AT_ONCE = 100  # files that are looked for before others have their turn
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

    `space` is what `refresh` last saw.
    """

    def __init__(self, disk: Disk, pool: Pool) -> None:
        self.disk = disk
        self.pool = pool
        self.usable = False
        self.space = Space(0, 0)
        self.identity: str | None = None
        self.visits = 0  # how often the disk has come
        self._receiving = Receiving(disk, pool)

    @property
    def writing(self) -> int:
        """How many files are being received."""
        return self._receiving.count

    @property
    def passage(self) -> Passage:
        """Which content is coming, and which is going."""
        return self._receiving.passage

    def may_sync_all(self) -> bool:
        """Whether one sync of the whole file system is cheap: see `oose.whole_files`."""
        return self._receiving.may_sync_all()

    async def settled(self) -> None:
        """Wait until nothing is left in `incoming` of what was confirmed."""
        await self._receiving.settled()

    def describe(self) -> Mapping[str, int | bool]:
        """For `/stats`: bytes of the disk, as last looked at, and the files being received."""
        return {
            "usable": self.usable,
            "capacity": self.space.capacity,
            "free": self.space.free,
            "receiving": self.writing,
        }

    async def enroll(self, known: str | None, *, may_create: bool) -> Sequence[Intent]:
        """Take the disk into use; what a crash left in `incoming`, nothing when it is not ours.

        `InUse` when another process has it.
        """
        try:
            identity = await self.pool.run(self._enroll, known, may_create=may_create)
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

    def _enroll(self, known: str | None, *, may_create: bool) -> str:
        identity = self.disk.enroll(known, may_create=may_create)
        self.disk.hold()  # at once: where it has gone, the lock would lie on the disk below
        return identity

    def release(self) -> None:
        """See `Disk.release`."""
        self.disk.release()

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
            place = str(self.disk.content)
            _log.info("{store} keeps its content in {place}", store=self.disk.name, place=place)
            self.visits += 1
            await self.let_nginx_send(allowed=False)  # before, it was for who had it then
        self.usable = True
        return True

    async def let_nginx_send(self, *, allowed: bool) -> None:
        """Say on the disk whether nginx may send static content without asking."""
        await self.pool.run(self.disk.open_to_nginx if allowed else self.disk.close_to_nginx)

    async def settle(self, intent: Intent, *, recorded: bool) -> None:
        """Clear up one thing that a crash left behind, now or at the next start: `Disk.settle`."""
        try:
            await self.pool.run(self.disk.settle, intent, recorded=recorded)
        except OSError as error:
            _log.error("{why}", why=unavailable(self.disk.name, error).message)

    def receive(self) -> Reception:
        """Begin to receive a file; the disk is not touched before there is something to write."""
        return Reception(self._receiving)

    async def find(self, content_hash: str) -> Found | None:
        """See `Disk.find`; `Unavailable` when the disk is not there."""
        await self.pool.run(self.disk.check)
        return await self.pool.run(self.disk.find, content_hash)

    async def find_all(self, content_hash: str) -> Sequence[Found]:
        """See `Disk.find_all`; `Unavailable` when the disk is not there."""
        return await self.pool.run(self._find_all, content_hash)

    def _find_all(self, content_hash: str) -> Sequence[Found]:
        self.disk.check()
        return list(self.disk.find_all(content_hash))

    async def find_each(self, hashes: Sequence[str]) -> Mapping[str, Found]:
        """The same of several, those that are there; some at a time."""
        found: dict[str, Found] = {}
        for start in range(0, len(hashes), AT_ONCE):
            found |= await self.pool.run(self._find_each, hashes[start : start + AT_ONCE])
        return found

    def _find_each(self, hashes: Sequence[str]) -> Mapping[str, Found]:
        self.disk.check()
        each_found = ((each, self.disk.find(each)) for each in hashes)
        return {each: found for each, found in each_found if found is not None}

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

    async def set_aside(self, path: str, content_hash: str, why: str) -> bool:
        """See `Disk.set_aside`."""
        return await self.pool.run(self.disk.set_aside, path, content_hash, why)
