"""One SQLite file, its reads and writes gathered into batches.

Writes that arrive while a transaction is being made durable wait, and then share the next one:
what would cost a sync of the disk each costs one together. Each has its own savepoint, so one that
fails undoes only itself, and none is answered before all of the transaction is durable.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

from oose.background import in_background
from oose.embedded.schema import upgrade
from oose.errors import Unavailable
from oose.pool import Pool

T = TypeVar("T")
Call = Callable[[sqlite3.Connection], T]
FILE_NAME = "oose.sqlite"  # below the configuration's `root`
BUSY = 5.0  # seconds to wait for the `oose user` command, which opens the same file


@define(eq=False)
class _Job(Generic[T]):
    call: Call[T]
    answer: Deferred[T] = field(factory=Deferred)
    result: T | None = None
    failure: Failure | None = None

    def tell(self) -> None:
        if self.answer.called:  # its caller was cancelled
            return
        if self.failure is not None:
            self.answer.errback(self.failure)
        else:
            self.answer.callback(self.result)  # type: ignore[arg-type]


class _Batcher:
    """Hands everything that waits to one call in a pool, one call at a time."""

    def __init__(self, pool: Pool, work: Callable[[Sequence[_Job[Any]]], None]) -> None:
        self._pool = pool
        self._work = work
        self._waiting: list[_Job[Any]] = []
        self._turn = DeferredLock()
        self.is_open = False

    async def run(self, call: Call[T]) -> T:
        if not self.is_open:
            raise Unavailable("The database is closed")
        job: _Job[T] = _Job(call)
        self._waiting.append(job)
        if not self._turn.locked:
            in_background(self._run_all())
        return await job.answer

    async def end(self) -> None:
        self.is_open = False
        async with self._turn:  # when what was asked for before is done
            pass

    async def _run_all(self) -> None:
        async with self._turn:
            while self._waiting:
                jobs, self._waiting = self._waiting, []
                try:
                    await self._pool.run(self._work, jobs)
                except Exception as error:
                    failure = Failure(_explained(error))
                    for job in jobs:
                        job.failure = failure
                for job in jobs:
                    job.tell()


class EmbeddedDatabase:
    """The file at `path`; `writer` has one thread, `readers` any number."""

    def __init__(self, path: Path, *, writer: Pool, readers: Pool) -> None:
        self.path = path
        self._writer_pool = writer
        self._writes = _Batcher(writer, self._write_batch)
        self._reads = _Batcher(readers, self._read_batch)
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Make the file where there is none, bring an older one up to date; `Unavailable`."""
        await self._writer_pool.run(self._open)
        self._writes.is_open = self._reads.is_open = True

    async def close(self) -> None:
        """Let go of the file, when what was asked for before is done."""
        await self._reads.end()
        await self._writes.end()
        await self._writer_pool.run(self._close)

    async def write(self, call: Call[T]) -> T:
        """Run `call` within a transaction; its result once that is durable."""
        return await self._writes.run(call)

    async def read(self, call: Call[T]) -> T:
        """Run `call`, which only reads."""
        return await self._reads.run(call)

    # In the pools.

    def _open(self) -> None:
        try:
            self.path.touch(mode=0o600)
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode = WAL")
            upgrade(self._writer, self.path)
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only = ON")
        except Exception as error:
            self._close()
            if isinstance(error, sqlite3.Error | OSError):
                raise Unavailable(f"{self.path} cannot be used as a database: {error}") from error
            raise

    def _connect(self) -> sqlite3.Connection:
        # One thread at a time uses a connection: each batcher waits for its last call.
        connection = sqlite3.connect(
            self.path, timeout=BUSY, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = FULL")  # what was answered survives a power cut
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _close(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def _write_batch(self, jobs: Sequence[_Job[Any]]) -> None:
        connection = self._writer
        assert connection is not None
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                connection.execute("SAVEPOINT job")
                _do(job, connection)
                if job.failure is not None:
                    connection.execute("ROLLBACK TO job")
                connection.execute("RELEASE job")
            connection.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _read_batch(self, jobs: Sequence[_Job[Any]]) -> None:
        connection = self._reader
        assert connection is not None
        for job in jobs:
            _do(job, connection)


def _do(job: _Job[Any], connection: sqlite3.Connection) -> None:
    try:
        job.result = job.call(connection)
    except Exception as error:
        job.failure = Failure(_explained(error))


def _explained(error: Exception) -> Exception:
    """An error of the database as one that a client can be told; others as they are."""
    if not isinstance(error, sqlite3.Error):
        return error
    explained = Unavailable(f"The database failed: {error}", retry_after=5)
    explained.__cause__ = error
    return explained
