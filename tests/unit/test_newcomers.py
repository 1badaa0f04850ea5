"""Small files that nobody knows: kept at once where that is so, and not at all where it is not."""

import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from attrs import define
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from oose import newcomers as module
from oose import whole_files
from oose.address import old_relative_path, relative_path
from oose.batches import Job
from oose.embedded import EmbeddedDocuments, EmbeddedFirstClones
from oose.holdings import Holdings
from oose.metadata.first_clones import MOST
from oose.metadata.records import InventoryRecord
from oose.newcomers import Newcomer, Newcomers
from oose.pool import Inline, Pool
from oose.whole_files import WholeFile
from tests.unit.by_hand import ByHand
from tests.unit.faults import before, descriptors, fail
from tests.unit.keeping import NOW, Keeping
from tests.unit.logged import logged

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
PLACE = relative_path(HASH, "txt")


@define(eq=False)
class Machine:
    """A store, and those who come to it."""

    keeping: Keeping
    store: Holdings
    newcomers: Newcomers

    @classmethod
    async def begin(cls, folder: Path, pool: Pool | None = None) -> "Machine":
        keeping = await Keeping.begin(folder)
        return await cls.over(keeping, pool)

    @classmethod
    async def over(cls, keeping: Keeping, pool: Pool | None = None) -> "Machine":
        """The same after a start, on what there is."""
        store = await keeping.start()
        store.volume.pool = pool or Inline()
        first_clones = EmbeddedFirstClones(keeping.database)
        return cls(keeping, store, Newcomers({"p1:s1": store.volume}, first_clones))

    def keep(self, data: bytes = DATA, ext: str = "txt") -> Deferred[bool]:
        return ensureDeferred(self.newcomers.keep([data], record_of(data, ext)))

    async def paths(self) -> list[str]:
        """Where the inventory says that there are files."""
        documents = await self.keeping.inventory.range("", "\uffff")
        return sorted(InventoryRecord.from_document(each).relative_path for each in documents)

    def visible(self) -> list[str]:
        content = self.store.volume.disk.content
        return sorted(str(p.relative_to(content)) for p in content.rglob("*") if p.is_file())

    def received(self) -> list[str]:
        return [path.name for path in self.store.volume.disk.incoming.iterdir()]

    async def is_as_recorded(self) -> bool:
        """Whether there is what the inventory says and nothing else."""
        return self.visible() == await self.paths() and self.received() == []


def record_of(data: bytes, ext: str = "txt") -> InventoryRecord:
    content_hash = hashlib.sha1(data).hexdigest()
    return InventoryRecord(
        hash=content_hash,
        prism="p1",
        store="s1",
        mime_type="text/plain",
        mime_extension=ext,
        relative_path=relative_path(content_hash, ext),
        size=len(data),
        created=NOW,
        sha256=hashlib.sha256(data).hexdigest(),
        verified=NOW,
    )


@pytest_twisted.async_yield_fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    made = await Machine.begin(tmp_path)
    yield made
    await made.keeping.database.close()


def count_syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    synced: list[int] = []
    monkeypatch.setattr(whole_files, "sync_file_system", synced.append)
    return synced


# Who is new


@pytest_twisted.ensureDeferred
async def test_one_that_nobody_knows_is_kept(machine: Machine) -> None:
    since = (await machine.keeping.inventory.changes(None, 0)).since
    assert await machine.keep()
    assert machine.visible() == await machine.paths() == [PLACE]
    assert (machine.store.volume.disk.content / PLACE).read_bytes() == DATA
    assert machine.received() == []
    assert descriptors(str(machine.store.volume.disk.root)) == 1  # its lock
    document = await machine.keeping.inventory.get(f"{HASH}:p1:s1")
    assert document is not None
    assert InventoryRecord.from_document(document) == record_of(DATA)
    changes = await machine.keeping.inventory.changes(since, 0)
    assert changes.ids == [f"{HASH}:p1:s1"]


@pytest_twisted.ensureDeferred
async def test_it_is_one_call_in_the_disks_pool(tmp_path: Path) -> None:
    pool = ByHand()
    machine = await Machine.begin(tmp_path, pool)
    coming = machine.keep()
    assert machine.store.volume.passage.is_coming(HASH)
    [turn] = pool.waiting
    pool.waiting.clear()
    turn.callback(None)
    assert await coming
    assert pool.waiting == []
    assert not machine.store.volume.passage.is_coming(HASH)
    assert await machine.is_as_recorded()


@pytest_twisted.ensureDeferred
async def test_those_that_come_together_share_a_sync_and_a_statement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = count_syncs(monkeypatch)
    pool = ByHand()
    machine = await Machine.begin(tmp_path, pool)
    statements: list[str] = []
    connection: Any = machine.keeping.database._writer
    connection.set_trace_callback(statements.append)
    coming = [machine.keep(b"%d" % number) for number in range(module.LANES + 5)]
    pool.do_all()
    assert all([await each for each in coming])
    assert len(synced) == len(statements) == module.LANES + 1
    assert await machine.is_as_recorded()
    assert len(machine.visible()) == len(coming)


@pytest_twisted.ensureDeferred
async def test_very_many_are_taken_some_at_a_time_and_fail_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ByHand()
    machine = await Machine.begin(tmp_path, pool)
    held = [machine.keep(b"%d" % number) for number in range(module.LANES)]
    coming = [machine.keep(b"x%d" % number) for number in range(MOST + 2)]
    for turn in pool.waiting[: module.LANES]:
        pool.waiting.remove(turn)
        turn.callback(None)
    tries: list[int] = []

    def sync(_: int) -> None:
        tries.append(1)
        if len(tries) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(whole_files, "sync_file_system", sync)
    pool.do_all()
    answers = [await each for each in coming]
    assert answers == [True] * MOST + [False] * 2
    assert all([await each for each in held])
    assert await machine.is_as_recorded()


# Who is not


@pytest.mark.parametrize("ext", ["txt", "mp4"])
@pytest_twisted.ensureDeferred
async def test_one_that_is_known_is_withdrawn_and_what_is_there_stays(
    ext: str, machine: Machine
) -> None:
    await machine.keeping.put(machine.store, DATA, ext=ext)
    path = machine.store.volume.disk.content / relative_path(HASH, ext)
    before = path.stat().st_ino
    assert not await machine.keep()
    assert path.stat().st_ino == before
    assert await machine.is_as_recorded()
    assert machine.visible() == [relative_path(HASH, ext)]


@pytest_twisted.ensureDeferred
async def test_one_that_another_store_has_is_known_too(machine: Machine) -> None:
    await machine.keeping.put(await machine.keeping.start("s2"), DATA)
    assert not await machine.keep()
    assert machine.visible() == machine.received() == []


@pytest_twisted.ensureDeferred
async def test_content_of_which_something_is_noted_is_not_new(machine: Machine) -> None:
    contents = EmbeddedDocuments(machine.keeping.database, "content")
    await contents.put(HASH, {"removedAt": 1})
    assert not await machine.keep()
    assert machine.visible() == machine.received() == []
    assert await machine.keep(b"another")
    assert await machine.is_as_recorded()


@pytest_twisted.ensureDeferred
async def test_hashes_that_begin_alike_are_others(machine: Machine) -> None:
    first = record_of(DATA)
    await machine.keeping.inventory.put(f"{HASH}0:p1:s1", first.to_body())
    await machine.keeping.inventory.put(f"{HASH[:-1]}:p1:s1", first.to_body())
    assert await machine.keep()


@pytest_twisted.ensureDeferred
async def test_a_file_without_a_record_is_left_to_who_asks(machine: Machine) -> None:
    path = machine.store.volume.disk.content / PLACE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rotten")
    assert not await machine.keep()
    assert path.read_bytes() == b"rotten"
    assert machine.received() == []


@pytest_twisted.ensureDeferred
async def test_of_the_same_that_come_together_one_is_kept(tmp_path: Path) -> None:
    pool = ByHand()
    machine = await Machine.begin(tmp_path, pool)
    held = [machine.keep(b"%d" % number) for number in range(module.LANES)]
    same = [machine.keep(ext=ext) for ext in ("txt", "mp4", "txt")]
    pool.do_all()
    assert [await each for each in same] == [True, False, False]
    assert all([await each for each in held])
    assert await machine.is_as_recorded()


# Where they are taken


@pytest_twisted.ensureDeferred
async def test_none_comes_while_a_large_file_is_written(machine: Machine) -> None:
    assert machine.newcomers.may_come("p1:s1")
    assert not machine.newcomers.may_come("p2:s1")
    large = machine.store.receive()
    await large.write([b"much"])
    assert not machine.newcomers.may_come("p1:s1")
    await large.withdraw()
    assert machine.newcomers.may_come("p1:s1")


# What fails


@pytest.mark.parametrize("call", ["open", "fstatvfs", "writev", "mkdir", "link"])
@pytest_twisted.ensureDeferred
async def test_nothing_is_left_of_one_that_fails(
    call: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as faulty:
        fail(faulty, call, errno.EIO, on="s1")
        assert not await machine.keep()
    assert machine.visible() == machine.received() == await machine.paths() == []
    assert descriptors(str(machine.store.volume.disk.root)) == 1
    assert await machine.keep()


@pytest_twisted.ensureDeferred
async def test_one_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ByHand()
    machine = await Machine.begin(tmp_path, pool)
    held = [machine.keep(b"%d" % number) for number in range(module.LANES)]
    coming = [machine.keep(data) for data in (b"one", DATA, b"two")]
    fail(monkeypatch, "link", errno.EIO, on=HASH)
    pool.do_all()
    assert [await each for each in coming] == [True, False, True]
    assert all([await each for each in held])
    assert await machine.is_as_recorded()


@pytest_twisted.ensureDeferred
async def test_a_sync_that_fails_keeps_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ByHand()
    machine = await Machine.begin(tmp_path, pool)
    held = [machine.keep(b"%d" % number) for number in range(module.LANES)]
    coming = [machine.keep(data) for data in (b"one", DATA)]
    fail(monkeypatch, "link", errno.EIO, on=HASH)

    def failing(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(whole_files, "sync_file_system", failing)
    pool.do_all()
    assert not any([await each for each in (*held, *coming)])
    assert machine.visible() == machine.received() == await machine.paths() == []


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_recorded_is_not_kept(machine: Machine) -> None:
    await machine.keeping.others_write(
        "CREATE TRIGGER broken BEFORE INSERT ON documents BEGIN SELECT raise(ABORT, 'no'); END"
    )
    assert not await machine.keep()
    assert machine.visible() == machine.received() == []


@pytest_twisted.ensureDeferred
async def test_what_nobody_thought_of_leaves_nothing_either(machine: Machine) -> None:
    first_clones: Any = machine.newcomers._first_clones

    def broken(records: object) -> object:
        raise ZeroDivisionError

    first_clones.write = broken
    with pytest.raises(ZeroDivisionError):
        await machine.keep()
    assert machine.visible() == machine.received() == []
    assert not machine.store.volume.passage.is_coming(HASH)


@pytest_twisted.ensureDeferred
async def test_an_intent_that_cannot_be_taken_away_is_cleared_at_the_next_start(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as faulty, logged("warn") as said:
        fail(faulty, "unlink", errno.EIO, on="incoming")
        assert await machine.keep()
    assert len(machine.received()) == 1
    assert any("the next start clears what is left of" in each for each in said)
    machine.store.volume.release()
    again = await Machine.over(machine.keeping)
    assert await again.is_as_recorded()
    assert again.visible() == [PLACE]


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_closed_keeps_nothing(tmp_path: Path) -> None:
    machine = await Machine.begin(tmp_path)
    await machine.keeping.database.close()
    assert not await machine.keep()
    assert machine.visible() == machine.received() == []


@pytest_twisted.ensureDeferred
async def test_one_that_is_recorded_while_the_database_closes_is_kept(tmp_path: Path) -> None:
    pool = ByHand()
    machine = await Machine.begin(tmp_path, pool)
    coming = machine.keep()
    first_clones: Any = machine.newcomers._first_clones
    database = machine.keeping.database
    write = first_clones.write

    def last(records: Sequence[InventoryRecord]) -> Sequence[bool]:
        answers: Sequence[bool] = write(records)
        database._is_open = False
        return answers

    first_clones.write = last
    pool.do_all()
    assert await coming
    database._is_open = True
    assert await machine.is_as_recorded()
    await database.close()


# Crashes


class Crash(BaseException):
    """The process is gone."""


STEPS = ("open", "writev", "close", "mkdir", "link", "sync", "write", "unlink")


def crash(monkeypatch: pytest.MonkeyPatch, machine: Machine, step: str, *, after: bool) -> None:
    """Let the process end before or after the first `step` of one that comes."""
    owner: Any = os
    if step == "sync":
        owner, step = whole_files, "sync_file_system"
    elif step == "write":
        owner = machine.newcomers._first_clones
    real: Callable[..., Any] = getattr(owner, step)

    def crashing(*args: Any, **kwargs: Any) -> None:
        if after:
            real(*args, **kwargs)
        raise Crash

    monkeypatch.setattr(owner, step, crashing)


@pytest.mark.parametrize("known", [None, "mp4", "old"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest_twisted.ensureDeferred
async def test_a_crash_anywhere_leaves_all_of_it_or_nothing(
    step: str, after: bool, known: str | None, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the content is there already, by another path."""
    if known is not None:
        place = old_relative_path(HASH, "txt") if known == "old" else None
        await machine.keeping.put(machine.store, DATA, place=place, ext="txt" if place else known)
    was = machine.visible()
    with monkeypatch.context() as faulty:
        crash(faulty, machine, step, after=after)
        file = WholeFile([DATA], HASH, "txt", over=False)
        job: Job[Newcomer, bool] = Job(Newcomer(file, record_of(DATA)))
        with suppress(Crash):  # where the folder is there, none is made
            machine.newcomers._keep_all(machine.store.volume.disk, [job])
    machine.store.volume.release()
    again = await Machine.over(machine.keeping)
    assert await again.is_as_recorded()
    if known is not None:
        assert again.visible() == was


@pytest_twisted.ensureDeferred
async def test_while_one_is_visible_without_a_record_its_intent_is_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks through the disk knows by it that this file is not forgotten."""
    seen: list[tuple[list[str], list[str]]] = []

    def look() -> None:
        intents = [name.partition(".")[2] for name in machine.received()]
        seen.append((machine.visible(), intents))

    first_clones: Any = machine.newcomers._first_clones
    write = first_clones.write

    def looked(records: Sequence[InventoryRecord]) -> Sequence[bool]:
        look()
        answers: Sequence[bool] = write(records)
        look()
        return answers

    first_clones.write = looked
    before(monkeypatch, "link", look)
    await machine.keep()
    name = f"{HASH}.txt"
    assert seen == [([], [name]), ([PLACE], [name]), ([PLACE], [name])]


# Among others


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.sampled_from(["txt", "mp4"])), max_size=6),
    st.integers(0, 1 << 32),
)
def test_whoever_comes_with_whatever_one_of_each_is_kept(
    tmp_path_factory: pytest.TempPathFactory, comers: list[tuple[bytes, str]], seed: int
) -> None:
    chance = Random(seed)  # drawn from while others wait: none of hypothesis's own

    async def come() -> None:
        pool = ByHand()
        machine = await Machine.begin(tmp_path_factory.mktemp("machine"), pool)
        coming = [machine.keep(*each) for each in comers]
        while pool.waiting:
            pool.waiting.pop(chance.randrange(len(pool.waiting))).callback(None)
        answers = [await each for each in coming]
        kept = [each for each, is_kept in zip(comers, answers, strict=True) if is_kept]
        assert len(kept) == len({data for data, _ in comers})
        places = sorted(record_of(*each).relative_path for each in kept)
        assert places == machine.visible() == await machine.paths()
        assert machine.received() == []
        await machine.keeping.database.close()

    SynchronousTestCase().successResultOf(ensureDeferred(come()))


@pytest_twisted.ensureDeferred
async def test_what_goes_has_gone_before_the_same_comes(machine: Machine) -> None:
    async with machine.store.volume.passage.going(HASH):
        coming = machine.keep()
        assert not coming.called
        assert machine.received() == []
    assert await coming
    assert await machine.is_as_recorded()
