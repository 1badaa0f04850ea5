"""What happens with bytes that arrive: chosen stores, known content, records, answers."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import Deferred

from oose.contents import Contents
from oose.embedded import EmbeddedDocuments
from oose.errors import ChecksumMismatch, Conflict, DiskFull, NotFound, Unavailable
from oose.holdings import Holdings
from oose.metadata.records import InventoryRecord
from oose.placement import Candidate
from oose.pool import Inline
from oose.sink import Reception
from oose.uploads import Kept, Upload, Uploads
from tests.unit.keeping import NOW, Keeping

HELLO = hashlib.sha1(b"hello").hexdigest()


class Room:
    """Stores that start one after the other, and uploads to them."""

    def __init__(self, keeping: Keeping) -> None:
        self.keeping = keeping
        self.stores: dict[str, Any] = {}

    async def add(self, name: str) -> Holdings:
        holdings = await self.keeping.start(name)
        self.stores[holdings.place] = holdings
        return holdings

    def uploads(self, wanted: int = 1, only: str | None = None, **more: Any) -> Uploads:
        return Uploads(
            self.stores,
            self.keeping.inventory,
            self.keeping.existence,
            Contents(EmbeddedDocuments(self.keeping.database, "content")),
            wanted=wanted,
            hashing=Inline(),
            clock=self.keeping.clock,
            chance=lambda: 0.45,  # on no border where the stores are equally full
            only=only,
            **more,
        )

    async def records(self, content_hash: str = HELLO) -> Sequence[InventoryRecord]:
        return await self.keeping.existence.records(content_hash, fresh=True)

    def files(self) -> list[Path]:
        every = self.keeping.folder.glob("s*/content/**/*.*")
        return sorted(path for path in every if path.is_file())

    def leftovers(self) -> list[Path]:
        return list(self.keeping.folder.glob("s*/incoming/*"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def begin(folder: Path, *names: str) -> Room:
    room = Room(await Keeping.begin(folder))
    for name in names:
        await room.add(name)
    return room


async def send(upload: Upload, data: bytes = b"hello", **more: Any) -> Kept:
    upload.sink.feed(data)
    try:
        return await upload.settle("txt", "text/plain", **more)
    finally:
        await upload.abandon()


@pytest_twisted.ensureDeferred
async def test_as_many_clones_as_wanted_are_made_and_recorded(folder: Path) -> None:
    room = await begin(folder, "s1", "s2", "s3")
    uploads = room.uploads(wanted=2)
    kept = await send(uploads.open("sha1", None))
    assert (kept.count, kept.wanted) == (2, 2)
    assert len(await room.records()) == len(room.files()) == 2
    assert room.leftovers() == []
    assert uploads.describe() == {"files": 1, "bytes": 5}


@pytest_twisted.ensureDeferred
async def test_without_a_store_or_room_nothing_is_begun(folder: Path) -> None:
    room = await begin(folder)
    with pytest.raises(Unavailable):
        room.uploads().check_room(1)
    await room.add("s1")
    room.uploads().check_room(1)
    room.uploads(wanted=1, accept_fewer=False).check_room(1)
    for refuses in (
        lambda: room.uploads().open("sha1", 10**18),
        lambda: room.uploads().check_room(10**18),
        lambda: room.uploads(wanted=1, accept_fewer=False).check_room(10**18),
    ):
        with pytest.raises(DiskFull):
            refuses()
    with pytest.raises(Unavailable, match="Only 1 of 2"):
        room.uploads(wanted=2, accept_fewer=False).check_room(1)


@pytest_twisted.ensureDeferred
async def test_where_nothing_can_be_recorded_nothing_is_begun(folder: Path) -> None:
    room = await begin(folder, "s1")
    away = True

    def ready() -> None:
        if away:
            raise Unavailable("The database is away")

    uploads = room.uploads(ready=ready)
    for begin_one in (lambda: uploads.check_room(1), lambda: uploads.open("sha1", 1)):
        with pytest.raises(Unavailable, match="database is away"):
            begin_one()
    assert uploads.sink(["sha1"], 1).copies  # for a prism that records it itself
    away = False
    uploads.check_room(1)
    assert (await send(uploads.open("sha1", None))).count == 1


@pytest_twisted.ensureDeferred
async def test_other_content_under_the_same_hash_is_a_conflict(folder: Path) -> None:
    room = await begin(folder, "s1")
    uploads = room.uploads()
    await send(uploads.open("sha1", None))
    [known] = await room.records()
    for forged in (evolve(known, sha256="0" * 64), evolve(known, size=6, sha256=None)):
        document = await room.keeping.inventory.get(known.id)
        assert document is not None
        await room.keeping.inventory.put(known.id, forged.to_body(), document.rev)
        with pytest.raises(Conflict, match="sha1"):
            await send(uploads.open("sha1", None))
    assert [path.read_bytes() for path in room.files()] == [b"hello"]
    assert room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_bytes_that_are_not_what_they_are_called_are_not_kept(folder: Path) -> None:
    room = await begin(folder, "s1")
    with pytest.raises(ChecksumMismatch, match=HELLO):
        await send(room.uploads().open("sha1", None), b"jello", expected=HELLO)
    assert room.files() == room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_a_clone_whose_file_is_gone_is_made_again(folder: Path) -> None:
    room = await begin(folder, "s1")
    uploads = room.uploads()
    await send(uploads.open("sha1", None))
    room.files()[0].unlink()
    assert (await send(uploads.open("sha1", None))).count == 1
    assert [path.read_bytes() for path in room.files()] == [b"hello"]
    assert len(await room.records()) == 1


# Content that was removed


async def bury(room: Room, removed: int) -> None:
    contents = Contents(EmbeddedDocuments(room.keeping.database, "content"))
    await contents.change(HELLO, lambda known: evolve(known, removed=removed))


class Interrupted:
    """An inventory that has `then` done as soon as something was written to it."""

    def __init__(self, inventory: Any, then: Any) -> None:
        self._inventory = inventory
        self._then = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    async def put_many(self, writes: Any) -> Any:
        answers = await self._inventory.put_many(writes)
        await self._then()
        return answers


@pytest_twisted.ensureDeferred
async def test_clones_that_a_removal_has_still_to_come_to_count_for_nothing(folder: Path) -> None:
    room = await begin(folder, "s1", "s2", "s3")
    for store in ("p1:s1", "p1:s2"):
        await room.keeping.put(room.stores[store], b"hello", ext="txt")
    await bury(room, NOW + 5000)  # by who has a clock that is ahead of ours
    assert (await send(room.uploads(wanted=2).open("sha1", None))).count == 2
    for holdings in room.stores.values():
        with suppress(Conflict, NotFound):
            await holdings.remove(HELLO, before=NOW + 5000)
    assert [record.created for record in await room.records()] == [NOW + 5000] * 2
    assert [path.read_bytes() for path in room.files()] == [b"hello"] * 2


@pytest_twisted.ensureDeferred
async def test_files_are_as_old_as_their_records_say(folder: Path) -> None:
    room = await begin(folder, "s1", "s2")
    room.keeping.clock.advance(1234.567)
    for data in (b"hello", b"x" * 2_000_000):
        await send(room.uploads(wanted=2).open("sha1", None), data)
    times = {path.stat().st_mtime_ns // 1_000_000 for path in room.files()}
    assert times == {record.created for record in await room.records()} == {1_234_567}


@pytest_twisted.ensureDeferred
async def test_a_copy_is_as_old_as_what_it_was_made_of(folder: Path) -> None:
    room = await begin(folder, "s1")
    room.keeping.clock.advance(NOW / 1000)
    await send(room.uploads(only="p1:s1").open("sha1", None), created=NOW - 7)
    assert [record.created for record in await room.records()] == [NOW - 7]
    [holdings] = room.stores.values()
    await holdings.remove(HELLO)
    await send(room.uploads(only="p1:s1").open("sha1", None), created=NOW + 7)
    assert [record.created for record in await room.records()] == [NOW]


@pytest_twisted.ensureDeferred
async def test_a_copy_of_what_was_removed_is_refused(folder: Path) -> None:
    room = await begin(folder, "s1")
    await bury(room, 2000)
    with pytest.raises(Conflict, match="was removed"):
        await send(room.uploads(only="p1:s1").open("sha1", None), created=1999)
    assert room.files() == room.leftovers() == []
    room.keeping.clock.advance(2)
    assert (await send(room.uploads(only="p1:s1").open("sha1", None), created=2000)).count == 1


@pytest.mark.parametrize("how", ["there", "gone", "newer"])
@pytest_twisted.ensureDeferred
async def test_a_copy_of_what_is_removed_while_it_comes_is_taken_back(
    folder: Path, how: str
) -> None:
    room = await begin(folder, "s1")
    [holdings] = room.stores.values()

    async def remove() -> None:
        await bury(room, 2000)
        [record] = await room.records()
        document = await inventory.get(record.id)
        assert document is not None
        if how == "gone":
            await inventory.delete(record.id, document.rev)
            await holdings.volume.remove(record.relative_path)
        elif how == "newer":
            await inventory.put(record.id, evolve(record, created=2001).to_body(), document.rev)

    inventory, anything = room.keeping.inventory, room.keeping
    interrupted: Any = Interrupted(inventory, remove)
    anything.inventory = interrupted
    with pytest.raises(Conflict, match="was removed"):
        await send(room.uploads(only="p1:s1").open("sha1", None), created=1000)
    assert len(room.files()) == len(await room.records()) == int(how == "newer")


@pytest_twisted.ensureDeferred
async def test_a_copy_on_a_store_that_has_gone_is_left_to_the_next_look_there(folder: Path) -> None:
    room = await begin(folder, "s1")
    uploads = room.uploads(only="p1:s1")

    async def remove() -> None:
        await bury(room, 2000)
        uploads._keepers._keepers.clear()  # type: ignore[attr-defined]

    interrupted: Any = Interrupted(room.keeping.inventory, remove)
    uploads._cloning.inventory = interrupted
    with pytest.raises(Conflict, match="was removed"):
        await send(uploads.open("sha1", None), created=1000)
    assert len(room.files()) == 1


# Clones elsewhere


@pytest_twisted.ensureDeferred
async def test_clones_elsewhere_count_where_their_store_does(folder: Path) -> None:
    room = await begin(folder, "s1", "s2")
    await send(room.uploads(wanted=1, only="p1:s1").open("sha1", None))
    [first] = await room.records()
    away = room.stores.pop(first.place)
    kept = await send(room.uploads(wanted=2).open("sha1", None))
    assert kept.count == 2
    assert away is not None


@pytest_twisted.ensureDeferred
async def test_a_store_counts_its_own_clones_only(folder: Path) -> None:
    room = await begin(folder, "s1", "s2")
    for only in ("p1:s1", "p1:s2"):
        alone = Room(room.keeping)
        alone.stores = {only: room.stores[only]}
        kept = await send(alone.uploads(only=only).open("sha1", None))
        assert kept.count == 1
    assert len(await room.records()) == 2


class Failing:
    """A store whose commits fail."""

    def __init__(self, holdings: Holdings, error: Exception) -> None:
        self._holdings = holdings
        self._error = error

    def candidate(self) -> Candidate | None:
        return self._holdings.candidate()

    def receive(self) -> Reception:
        reception: Any = self._holdings.receive()

        async def commit(*args: object) -> str:
            raise self._error

        reception.commit = commit
        made: Reception = reception
        return made

    async def holds(self, record: InventoryRecord) -> bool:
        return await self._holdings.holds(record)


@pytest_twisted.ensureDeferred
async def test_a_store_that_cannot_commit_leaves_the_others(folder: Path) -> None:
    room = await begin(folder, "s1", "s2")
    room.stores["p1:s2"] = Failing(room.stores["p1:s2"], DiskFull("full"))
    kept = await send(room.uploads(wanted=2).open("sha1", None))
    assert (kept.count, kept.wanted) == (1, 2)
    assert len(room.files()) == 1
    del room.stores["p1:s1"]
    with pytest.raises(DiskFull):
        await send(room.uploads().open("sha1", None), b"other")
    assert room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_when_every_store_has_dropped_out_it_is_said(folder: Path) -> None:
    room = await begin(folder, "s1")
    upload = room.uploads().open("sha1", None)
    upload.sink.copies.clear()
    room.stores.clear()
    with pytest.raises(Unavailable, match="No store could keep it"):
        await send(upload)


@pytest_twisted.ensureDeferred
async def test_an_answer_that_is_given_up_is_still_made_whole(folder: Path) -> None:
    room = await begin(folder, "s1")
    inventory: Any = room.keeping.inventory
    door: Deferred[None] = Deferred()
    put_many = inventory.put_many

    async def slow(writes: object) -> object:
        await door
        return await put_many(writes)

    inventory.put_many = slow
    upload = room.uploads().open("sha1", None)
    work = Deferred.fromCoroutine(send(upload))
    _ = work.addErrback(lambda _: None)
    work.cancel()
    assert await room.records() == []
    door.callback(None)
    assert len(await room.records()) == 1
    assert room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_records_that_somebody_else_wrote_are_written_over(folder: Path) -> None:
    room = await begin(folder, "s1")
    await send(room.uploads().open("sha1", None))
    [record] = await room.records()
    room.files()[0].unlink()
    inventory: Any = room.keeping.inventory
    document = await inventory.get(record.id)
    get_many, put = inventory.get_many, inventory.put
    raced: list[str] = []

    async def between(ids: Sequence[str]) -> object:
        found = await get_many(ids)
        if not raced:
            raced.append(ids[0])
            await put(record.id, record.to_body(), document.rev)
        return found

    inventory.get_many = between
    await send(room.uploads().open("sha1", None))
    assert raced == [record.id]
    [after] = await room.records()
    assert after.place == record.place


@pytest_twisted.ensureDeferred
async def test_a_record_that_vanishes_meanwhile_is_made_anew(folder: Path) -> None:
    room = await begin(folder, "s1")
    await send(room.uploads().open("sha1", None))
    [record] = await room.records()
    room.files()[0].unlink()
    inventory: Any = room.keeping.inventory
    get_many = inventory.get_many

    async def gone(ids: Sequence[str]) -> object:
        for document in (await get_many(ids)).values():
            await inventory.delete(document.id, document.rev)
        return await get_many(ids)

    inventory.get_many = gone
    await send(room.uploads().open("sha1", None))
    assert [each.place for each in await room.records()] == [record.place]


@pytest_twisted.ensureDeferred
async def test_content_that_is_there_often_enough_is_not_made_again(folder: Path) -> None:
    room = await begin(folder, "s1")
    await send(room.uploads().open("sha1", None))
    [before] = [path.stat().st_ino for path in room.files()]
    assert (await send(room.uploads().open("sha1", None))).count == 1
    assert (await send(room.uploads(wanted=2).open("sha1", None))).count == 1
    assert [path.stat().st_ino for path in room.files()] == [before]
    assert room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_who_brings_the_same_at_once_waits_for_the_first(folder: Path) -> None:
    room = await begin(folder, "s1")
    uploads = room.uploads()
    inventory: Any = room.keeping.inventory
    door: Deferred[None] = Deferred()
    put_many = inventory.put_many

    async def slow(writes: object) -> object:
        await door
        return await put_many(writes)

    inventory.put_many = slow
    works = [Deferred.fromCoroutine(send(uploads.open("sha1", None))) for _ in range(3)]
    door.callback(None)
    counts = [(await work).count for work in works]
    assert counts == [1, 1, 1]
    assert len(room.files()) == 1
    assert uploads._settling == {}


@pytest_twisted.ensureDeferred
async def test_what_is_abandoned_before_its_end_leaves_nothing(folder: Path) -> None:
    room = await begin(folder, "s1")
    upload = room.uploads().open("sha1", None)
    upload.sink.feed(b"x" * 2_000_000)
    assert len(room.leftovers()) == 1
    await upload.abandon()
    assert room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_who_waits_for_the_same_content_has_its_turn_after_the_first(folder: Path) -> None:
    room = await begin(folder, "s1")
    uploads = room.uploads()
    existence: Any = room.keeping.existence
    records = existence.records
    doors: list[Deferred[None]] = []

    async def slow(*args: object, **more: object) -> object:
        doors.append(Deferred())
        await doors[-1]
        return await records(*args, **more)

    existence.records = slow
    works = [Deferred.fromCoroutine(send(uploads.open("sha1", None))) for _ in range(2)]
    assert len(doors) == 1
    doors[0].callback(None)
    assert (works[0].called, works[1].called, len(doors)) == (True, False, 2)
    doors[1].callback(None)
    assert [(await work).count for work in works] == [1, 1]
    assert uploads._settling == {}


class Sending:
    """A sender whose stores get clones, all but those that are `deaf`."""

    def __init__(self, room: Room, deaf: str) -> None:
        self.room = room
        self.deaf = deaf
        self.sent: list[str] = []

    async def send(self, record: InventoryRecord, target: str) -> None:
        if target == self.deaf:
            raise Unavailable("deaf")
        self.sent.append(target)


class Dropping(Failing):
    """A store that fails while bytes arrive."""

    def receive(self) -> Reception:
        reception: Any = self._holdings.receive()

        async def write(*args: object) -> None:
            raise self._error

        reception.write = write
        made: Reception = reception
        return made


@pytest_twisted.ensureDeferred
async def test_stores_that_drop_out_are_made_up_for_by_those_that_are_left(folder: Path) -> None:
    room = await begin(folder, "s1", "s2", "s3", "s4", "s5", "s6")
    sending = Sending(room, "")
    uploads = room.uploads(wanted=3, sender=sending)
    upload = uploads.open("sha1", None)
    good, *bad = (copy.place for copy in upload.sink.copies)
    await upload.abandon()
    for place in bad:
        room.stores[place] = Dropping(room.stores[place], DiskFull("full"))
    others = sorted(room.stores.keys() - {good, *bad})
    sending.deaf = others[1]
    kept = await send(uploads.open("sha1", None), b"x" * 2_000_000)
    assert (kept.count, sorted(sending.sent)) == (3, [others[0], others[2]])


@pytest_twisted.ensureDeferred
async def test_what_was_sent_to_a_store_that_is_gone_is_not_removed_there(folder: Path) -> None:
    room = await begin(folder, "s1", "s2", "s3")
    sending = Sending(room, "")
    uploads = room.uploads(wanted=3, sender=sending, accept_fewer=False)
    upload = uploads.open("sha1", None)
    _, *bad = (copy.place for copy in upload.sink.copies)
    await upload.abandon()
    for place in bad:
        room.stores[place] = Dropping(room.stores[place], DiskFull("full"))
    await room.add("s4")
    gone = room.stores["p1:s4"]
    upload = uploads.open("sha1", None)
    upload.sink.feed(b"x" * 2_000_000)

    async def send_and_go(record: InventoryRecord, target: str) -> None:
        room.stores.pop(target)

    sender: Any = sending
    sender.send = send_and_go
    with pytest.raises(DiskFull, match="Only 2 of 3"):
        await send(upload, b"x")
    assert gone is not None
    assert room.files() == []
