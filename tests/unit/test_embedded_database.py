import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from oose.embedded import database as module
from oose.embedded.database import FILE_NAME, Call, EmbeddedDatabase
from oose.errors import NotFound, Unavailable
from oose.pool import Inline, Pool, Threads
from tests.real import reactor
from tests.unit.faults import fail

P = ParamSpec("P")
T = TypeVar("T")


class ByHand:
    """A pool that makes its calls when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        turn: Deferred[None] = Deferred()
        self.waiting.append(turn)
        await turn
        return call(*args, **kwargs)

    def do_next(self) -> None:
        self.waiting.pop(0).callback(None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


@asynccontextmanager
async def opened(path: Path, writer: Pool, readers: Pool) -> AsyncIterator[EmbeddedDatabase]:
    database = EmbeddedDatabase(path, writer=writer, readers=readers)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def inline(path: Path) -> AsyncIterator[EmbeddedDatabase]:
    async with opened(path, Inline(), Inline()) as database:
        yield database


async def by_hand(path: Path) -> tuple[EmbeddedDatabase, ByHand]:
    """An open database that writes, and reads, when the test says so."""
    pool = ByHand()
    database = EmbeddedDatabase(path, writer=pool, readers=pool)
    ready = Deferred.fromCoroutine(database.open())
    pool.do_next()
    await ready
    return database, pool


@pytest.fixture
def pools() -> Iterator[tuple[Threads, Threads]]:
    both = Threads("writer", 1, reactor), Threads("readers", 2, reactor)
    for pool in both:
        pool.start()
    yield both
    for pool in both:
        pool.stop()


def add(number: int) -> Callable[[sqlite3.Connection], int]:
    """A write that keeps `number`."""
    return lambda c: (
        c.execute("INSERT INTO accounts VALUES (?, 'x', 1, ?)", (f"user{number}", number)).rowcount
    )


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT created FROM accounts ORDER BY created")]


def on_disk(path: Path) -> list[int]:
    """What another process sees."""
    connection = sqlite3.connect(path)
    try:
        return numbers(connection)
    finally:
        connection.close()


def begun(database: EmbeddedDatabase, *calls: Call[T]) -> list[Deferred[T]]:
    return [Deferred.fromCoroutine(database.write(call)) for call in calls]


def result(answer: Deferred[T]) -> T:
    value: T = SynchronousTestCase().successResultOf(answer)
    return value


# The file


@pytest_twisted.ensureDeferred
async def test_only_its_owner_can_read_the_file(path: Path) -> None:
    old = os.umask(0)
    try:
        async with inline(path) as database:
            await database.write(add(1))
            modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3  # the file, its log, and what is shared of it


@pytest_twisted.ensureDeferred
async def test_what_was_answered_is_there_after_the_file_is_opened_anew(
    path: Path, pools: tuple[Threads, Threads]
) -> None:
    for number in range(3):
        async with opened(path, *pools) as database:
            await database.write(add(number))
    async with opened(path, *pools) as database:
        assert await database.read(numbers) == [0, 1, 2]


@pytest_twisted.ensureDeferred
async def test_what_was_answered_is_there_although_the_file_was_never_closed(path: Path) -> None:
    """A copy of the files at that moment is what a killed process leaves."""
    async with inline(path) as database:
        await database.write(add(7))
        after = path.parent / "after"
        after.mkdir()
        for each in path.parent.glob(FILE_NAME + "*"):
            (after / each.name).write_bytes(each.read_bytes())
    async with inline(after / FILE_NAME) as database:
        assert await database.read(numbers) == [7]


@pytest_twisted.ensureDeferred
async def test_what_was_answered_survives_a_power_cut(path: Path) -> None:
    """Each commit is synced: SQLite's word for it is 2, FULL."""
    async with inline(path) as database:
        for run in (database.write, database.read):
            assert await run(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (2,)
        assert await database.read(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == (
            "wal",
        )


def test_a_file_that_is_no_database_is_refused_and_not_changed(path: Path) -> None:
    path.write_text("this is no database, but something else" * 200)
    before = path.read_bytes()
    database = EmbeddedDatabase(path, writer=Inline(), readers=Inline())
    failure = SynchronousTestCase().failureResultOf(Deferred.fromCoroutine(database.open()))
    assert "cannot be used as a database" in failure.getErrorMessage()
    assert failure.check(Unavailable)
    assert path.read_bytes() == before


@pytest_twisted.ensureDeferred
async def test_a_folder_that_cannot_be_written_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = EmbeddedDatabase(path, writer=Inline(), readers=Inline())
    with monkeypatch.context() as faulty:
        fail(faulty, "utime", errno.EROFS)
        fail(faulty, "open", errno.EROFS, on=FILE_NAME)
        with pytest.raises(Unavailable, match="Read-only file system"):
            await database.open()
    await database.open()
    await database.close()


@pytest_twisted.ensureDeferred
async def test_a_file_of_a_newer_oose_is_not_held_open(path: Path) -> None:
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 999")
    database = EmbeddedDatabase(path, writer=Inline(), readers=Inline())
    with pytest.raises(Unavailable, match="newer oose"):
        await database.open()
    newer.execute("BEGIN EXCLUSIVE")  # nobody else has it
    newer.close()


# Reading and writing


@pytest_twisted.ensureDeferred
async def test_a_read_sees_what_was_written_before(
    path: Path, pools: tuple[Threads, Threads]
) -> None:
    async with opened(path, *pools) as database:
        for number in range(5):
            assert await database.write(add(number)) == 1
            assert await database.read(numbers) == list(range(number + 1))


@pytest_twisted.ensureDeferred
async def test_a_read_cannot_write(path: Path) -> None:
    async with inline(path) as database:
        with pytest.raises(Unavailable, match="readonly"):
            await database.read(add(1))
        assert await database.read(numbers) == []


@pytest_twisted.ensureDeferred
async def test_many_at_once_are_all_done(path: Path, pools: tuple[Threads, Threads]) -> None:
    async with opened(path, *pools) as database:
        await gatherResults(begun(database, *(add(n) for n in range(300))))
        assert await database.read(numbers) == list(range(300))


@pytest_twisted.ensureDeferred
async def test_writes_that_wait_share_one_transaction(path: Path) -> None:
    database, pool = await by_hand(path)
    transactions: list[str] = []
    (first,) = begun(database, lambda c: c.set_trace_callback(transactions.append))
    rest = begun(database, *(add(n) for n in range(10)))
    pool.do_next()
    result(first)
    pool.do_next()
    assert [result(each) for each in rest] == [1] * 10
    assert transactions.count("COMMIT") == 2
    assert pool.waiting == []


@pytest_twisted.ensureDeferred
async def test_nothing_is_answered_before_it_is_durable(path: Path) -> None:
    seen: list[list[int]] = []
    async with inline(path) as database:
        await database.write(add(1))
        seen.append(on_disk(path))
    assert seen == [[1]]


@pytest_twisted.ensureDeferred
async def test_a_write_that_fails_undoes_itself_and_no_other(path: Path) -> None:
    def fails(connection: sqlite3.Connection) -> None:
        add(98)(connection)
        raise NotFound("There is no such thing")

    def clashes(connection: sqlite3.Connection) -> None:
        add(99)(connection)
        add(1)(connection)

    database, pool = await by_hand(path)
    good, refused, clash, also_good = begun(database, add(1), fails, clashes, add(2))
    pool.do_next()
    pool.do_next()
    assert (result(good), result(also_good)) == (1, 1)
    with pytest.raises(NotFound):
        await refused
    with pytest.raises(Unavailable, match="UNIQUE") as told:
        await clash
    assert told.value.retry_after == 5
    assert isinstance(told.value.__cause__, sqlite3.IntegrityError)
    assert on_disk(path) == [1, 2]


@pytest_twisted.ensureDeferred
async def test_an_error_that_ends_the_transaction_fails_all_in_it_and_the_next_goes_on(
    path: Path,
) -> None:
    """SQLite rolls back by itself when a disk is full; what was not answered is not there."""
    database, pool = await by_hand(path)
    (first,) = begun(database, add(0))
    both = begun(database, add(1), lambda c: c.execute("ROLLBACK").rowcount)
    pool.do_next()
    (after,) = begun(database, add(2))
    pool.do_next()
    pool.do_next()
    assert (result(first), result(after)) == (1, 1)
    for each in both:
        with pytest.raises(Unavailable, match="The database failed"):
            await each
    assert on_disk(path) == [0, 2]


@pytest_twisted.ensureDeferred
async def test_who_has_left_is_not_answered(path: Path) -> None:
    database, pool = await by_hand(path)
    stays, leaves = begun(database, add(1), add(2))
    leaves.cancel()
    with pytest.raises(CancelledError):
        await leaves
    pool.do_next()
    pool.do_next()
    assert result(stays) == 1
    assert on_disk(path) == [1, 2]


# The end


@pytest_twisted.ensureDeferred
async def test_a_closed_database_is_unavailable(path: Path) -> None:
    database = EmbeddedDatabase(path, writer=Inline(), readers=Inline())
    for _ in range(2):
        with pytest.raises(Unavailable, match="closed"):
            await database.read(numbers)
        with pytest.raises(Unavailable, match="closed"):
            await database.write(add(1))
        await database.open()
        await database.close()
        await database.close()


@pytest_twisted.ensureDeferred
async def test_closing_waits_for_what_was_asked_for_before(path: Path) -> None:
    database, pool = await by_hand(path)
    writes = begun(database, add(1), add(2))
    read = Deferred.fromCoroutine(database.read(numbers))
    closing = Deferred.fromCoroutine(database.close())
    while pool.waiting:
        pool.do_next()
    await closing
    assert [result(each) for each in writes] == [1, 1]
    assert result(read) == [1]
    assert on_disk(path) == [1, 2]


# Writing in a thread that is there


@pytest_twisted.ensureDeferred
async def test_who_is_in_a_thread_writes_there_and_it_is_durable(path: Path) -> None:
    async with inline(path) as database:
        assert database.write_here(add(1)) == 1
        assert on_disk(path) == [1]
        with pytest.raises(Unavailable, match="UNIQUE"):
            database.write_here(add(1))
        with pytest.raises(ZeroDivisionError):
            database.write_here(lambda c: 1 // 0)
        assert await database.write(add(2)) == 1


@pytest_twisted.ensureDeferred
async def test_who_writes_in_a_thread_waits_for_those_who_write_and_they_for_it(
    path: Path, pools: tuple[Threads, Threads]
) -> None:
    others = Threads("others", 4, reactor)
    others.start()
    async with opened(path, *pools) as database:
        writes = begun(database, *(add(number) for number in range(0, 40, 2)))
        here = [
            Deferred.fromCoroutine(others.run(database.write_here, add(number)))
            for number in range(1, 40, 2)
        ]
        await gatherResults([*writes, *here])
        assert await database.read(numbers) == list(range(40))
    with pytest.raises(Unavailable, match="closed"):
        database.write_here(add(50))
    others.stop()


# Two processes


@pytest_twisted.ensureDeferred
async def test_the_user_command_writes_to_the_file_while_it_is_in_use(
    path: Path, pools: tuple[Threads, Threads]
) -> None:
    async with opened(path, *pools) as process, inline(path) as command:
        for number in range(0, 20, 2):
            waiting = Deferred.fromCoroutine(process.write(add(number)))
            await command.write(add(number + 1))
            await waiting
        for each in (process, command):
            assert await each.read(numbers) == list(range(20))


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_locked_for_too_long_is_unavailable_for_now(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY", 0.0)
    async with inline(path) as process, inline(path) as command:

        async def meanwhile() -> None:
            with pytest.raises(Unavailable, match="locked") as told:
                await process.write(add(2))
            assert told.value.retry_after == 5
            assert await process.read(numbers) == []  # reading goes on

        def write(connection: sqlite3.Connection) -> int:
            SynchronousTestCase().successResultOf(Deferred.fromCoroutine(meanwhile()))
            return add(1)(connection)

        await command.write(write)
        assert await process.write(add(3)) == 1
        assert await process.read(numbers) == [1, 3]
