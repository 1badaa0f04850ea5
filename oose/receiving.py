"""Files on their way onto one store's disk, each a `Reception`."""

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.python.failure import Failure

from oose.background import in_background
from oose.batches import Batches, Job
from oose.disk import Disk
from oose.durable import SYNCS_FILE_SYSTEMS
from oose.errors import OoseError, Unavailable
from oose.folders import Folders
from oose.incoming import Incoming, unavailable
from oose.log import part
from oose.passage import Passage
from oose.pool import Pool
from oose.shield import shield
from oose.whole_files import WholeFile, keep_together

P = ParamSpec("P")
T = TypeVar("T")
LANES = 2  # batches at once: one waits for the disk while another makes its files

_log = part("store")


class Receiving:
    """What the receptions of one disk share: `count` is how many there are."""

    def __init__(self, disk: Disk, pool: Pool) -> None:
        self.disk = disk
        self.pool = pool
        self.count = 0
        self.passage = Passage()
        self.unsynced = 0  # those that have written bytes which are not durable yet
        self.folders = Folders(disk.content, pool, self._explained)
        self.wholes: Batches[WholeFile, Incoming] = Batches(pool, self._keep_together, lanes=LANES)
        self.confirms: Batches[Incoming, None] = Batches(pool, confirm_all)

    def may_sync_all(self) -> bool:
        """Whether one sync of the whole file system is cheap: no large file has to go with it."""
        return SYNCS_FILE_SYSTEMS and not self.unsynced

    async def settled(self) -> None:
        """Wait until nothing is left in `incoming` of what was confirmed."""
        await self.confirms.settled()

    def _keep_together(self, jobs: Sequence[Job[WholeFile, Incoming]]) -> None:
        kept = keep_together(self.disk, [job.work for job in jobs])
        for job, each in zip(jobs, kept, strict=True):
            if isinstance(each, Incoming):
                job.result = each
            else:
                job.failure = Failure(each)

    def _explained(self, error: Exception) -> Exception:
        return unavailable(self.disk.name, error) if isinstance(error, OSError) else error


class Reception:
    """One file on its way onto a volume: `write`, `write`, `commit`, `confirm`; or `withdraw`.

    Calls run one after the other, each to its end even where its caller is cancelled, so that
    nothing is written behind the back of a `withdraw`.
    """

    def __init__(self, shared: Receiving) -> None:
        self._shared = shared
        self._incoming: Incoming | None = None
        self._coming: str | None = None  # the hash, once it may become visible
        self._turn = DeferredLock()
        self._is_whole = True  # nothing was written before the commit
        self._over = False
        shared.count += 1

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append; `DiskFull` or `Unavailable`."""
        if self._is_whole and not self._over:
            self._is_whole = False
            self._shared.unsynced += 1
        await shield(self._in_turn(self._write, chunks))

    async def seal(self) -> None:
        """The file has ended: make its bytes durable and hold no descriptor until `commit`."""
        await shield(self._in_turn(self._seal))

    async def commit(
        self, chunks: Sequence[bytes], content_hash: str, ext: str, created: int | None = None
    ) -> str:
        """Append the last of it, make the file durable and visible; its relative path.

        It will say that it came at `created` (ms).
        """
        return await shield(self._commit(chunks, content_hash, ext, created))

    async def confirm(self) -> None:
        """The record is written: what is left in `incoming` goes, with nobody waiting for it."""
        assert self._incoming is not None
        self._end()
        self._came()
        in_background(self._clear(self._incoming))

    async def withdraw(self) -> None:
        """Leave nothing of it behind, visible or not."""
        if self._over:
            return
        if self._incoming is None and not self._turn.locked:  # nothing was begun
            self._end()
            self._came()
            return
        await shield(self._withdraw())

    async def _commit(
        self, chunks: Sequence[bytes], content_hash: str, ext: str, created: int | None
    ) -> str:
        async with self._turn:
            self._check_not_over()
            await self._shared.passage.come(content_hash)
            self._coming = content_hash
            if self._is_whole and self._shared.may_sync_all():
                whole = WholeFile(chunks, content_hash, ext, created=created)
                self._incoming = await self._shared.wholes.run(whole)
            else:
                await self._shared.pool.run(self._write_last, chunks, content_hash, ext, created)
                assert self._incoming is not None
                await self._shared.folders.make_durable(self._incoming.final)
            _log.debug(
                "{path} is on {store}", path=self._incoming.place, store=self._shared.disk.name
            )
            return self._incoming.place

    async def _withdraw(self) -> None:
        async with self._turn:
            if self._over:  # somebody else was faster
                return
            self._end()
            try:
                if self._incoming is not None:
                    await self._shared.pool.run(self._incoming.withdraw)
                    path, store = self._incoming.path.name, self._shared.disk.name
                    _log.debug("{path} is withdrawn from {store}", path=path, store=store)
            finally:
                self._came()

    def _came(self) -> None:
        if self._coming is not None:
            self._shared.passage.came(self._coming)
            self._coming = None

    async def _clear(self, incoming: Incoming) -> None:
        try:
            await self._shared.confirms.run(incoming)
        except OoseError as error:
            _log.warn("{why}; the next start clears {path}", why=error, path=str(incoming.path))

    async def _in_turn(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._turn:
            return await self._shared.pool.run(call, *args, **kwargs)

    def _end(self) -> None:
        self._over = True
        self._shared.count -= 1
        if not self._is_whole:
            self._shared.unsynced -= 1

    def _check_not_over(self) -> None:
        if self._over:
            raise Unavailable("The upload was given up")

    # In the pool.

    def _write(self, chunks: Sequence[bytes]) -> None:
        self._check_not_over()
        if self._incoming is None:
            self._incoming = self._shared.disk.create()
        self._incoming.write(chunks)

    def _seal(self) -> None:
        if self._incoming is not None and not self._over:
            self._incoming.seal()

    def _write_last(
        self, chunks: Sequence[bytes], content_hash: str, ext: str, created: int | None
    ) -> None:
        if chunks or self._incoming is None:
            self._write(chunks)
        assert self._incoming is not None
        self._incoming.commit(content_hash, ext, created)


def confirm_all(jobs: Sequence[Job[Incoming, None]]) -> None:
    """Confirm many files; what fails is cleared up at the next start."""
    for job in jobs:
        try:
            job.work.confirm()
        except OoseError:
            job.failure = Failure()
