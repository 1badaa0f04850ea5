"""One SQLite file, its reads and writes gathered into batches.

Writes that arrive while a transaction is being made durable wait, and then share the next one:
what would cost a sync of the disk each costs one together. Each has its own savepoint, so one that
fails undoes only itself, and none is answered before all of the transaction is durable.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from oose.batches import Batches, Job
from oose.embedded.history import History
from oose.embedded.schema import upgrade
from oose.errors import Unavailable
from oose.metadata.documents import DATABASES, Database
from oose.pool import Pool

T = TypeVar("T")
Call = Callable[[sqlite3.Connection], T]
FILE_NAME = "oose.sqlite"  # below the configuration's `root`
BUSY = 5.0  # seconds to wait for the `oose user` command, which opens the same file


class EmbeddedDatabase:
    """The file at `path`; `writer` has one thread, `readers` any number.

    With a `clock` whoever asks for changes can wait for them.
    """

    def __init__(
        self, path: Path, *, writer: Pool, readers: Pool, clock: IReactorTime | None = None
    ) -> None:
        self.path = path
        self._writer_pool = writer
        self._writes = Batches(writer, self._write_batch, _explained)
        self._reads = Batches(readers, self._read_batch, _explained)
        self._writer: sqlite3.Connection | None = None
        self._writing = Lock()  # of who writes, in whichever thread
        self._reader: sqlite3.Connection | None = None
        self._is_open = False
        self._histories = {name: History(clock) for name in DATABASES}

    async def open(self) -> None:
        """Make the file where there is none, bring an older one up to date; `Unavailable`."""
        await self._writer_pool.run(self._open)
        self._is_open = True

    async def close(self) -> None:
        """Let go of the file, when what was asked for before is done."""
        self._is_open = False
        for history in self._histories.values():
            history.wake()
        await self._reads.settled()
        await self._writes.settled()
        await self._writer_pool.run(self._close)

    async def write(self, call: Call[T], *, then: Callable[[T], None] | None = None) -> T:
        """Run `call` within a transaction; its result once that is durable.

        `then` is told of the result too, also when whoever called has left.
        """
        self._check_open()
        result: T = await self._writes.run(call, then=then)
        return result

    def write_here(self, call: Call[T]) -> T:
        """Run `call` in this thread, of a pool: each of its statements is durable when it returns.

        It waits for others who write.
        """
        with self._writing:
            if self._writer is None:
                raise closed()
            try:
                return call(self._writer)
            except sqlite3.Error as error:
                raise _explained(error) from error

    async def read(self, call: Call[T]) -> T:
        """Run `call`, which only reads."""
        self._check_open()
        result: T = await self._reads.run(call)
        return result

    async def version(self) -> int:
        """Another number whenever somebody else has changed the file: another process.

        https://www.sqlite.org/pragma.html#pragma_data_version: what this connection writes does not
        count, and all that is written here is written by it.
        """
        self._check_open()
        row = await self._writer_pool.run(self.write_here, _data_version)
        return int(row[0])

    def history(self, name: Database) -> History:
        """What was written to a database of documents since this was opened."""
        self._check_open()
        return self._histories[name]

    def _check_open(self) -> None:
        if not self._is_open:
            raise closed()

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
        with self._writing:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None

    def _write_batch(self, jobs: Sequence[Job[Call[Any], Any]]) -> None:
        with self._writing:
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

    def _read_batch(self, jobs: Sequence[Job[Call[Any], Any]]) -> None:
        connection = self._reader
        assert connection is not None
        for job in jobs:
            _do(job, connection)


def _data_version(connection: sqlite3.Connection) -> Any:
    return connection.execute("PRAGMA data_version").fetchone()


def closed() -> Unavailable:
    """It is not open, or not any more."""
    return Unavailable("The database is closed")


def _do(job: Job[Call[Any], Any], connection: sqlite3.Connection) -> None:
    try:
        job.result = job.work(connection)
    except Exception as error:
        job.failure = Failure(_explained(error))


def _explained(error: Exception) -> Exception:
    """An error of the database as one that a client can be told; others as they are."""
    if not isinstance(error, sqlite3.Error):
        return error
    explained = Unavailable(f"The database failed: {error}", retry_after=5)
    explained.__cause__ = error
    return explained
