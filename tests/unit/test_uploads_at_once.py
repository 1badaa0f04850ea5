"""Uploads to a machine of its own: small files go to their disk without a question before."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from oose.embedded import EmbeddedDocuments, EmbeddedFirstClones
from oose.errors import Conflict, Unavailable
from oose.newcomers import Newcomers
from oose.uploads import Kept, Uploads
from tests.unit.by_hand import ByHand
from tests.unit.keeping import Keeping
from tests.unit.logged import logged
from tests.unit.test_uploads import HELLO, Room, begin, send


def uploads_of(room: Room, wanted: int = 1, only: str | None = None, **more: Any) -> Uploads:
    """As a machine without a cluster has them."""
    volumes = {place: holdings.volume for place, holdings in room.stores.items()}
    newcomers = Newcomers(volumes, EmbeddedFirstClones(room.keeping.database))
    return room.uploads(wanted, only, newcomers=newcomers, **more)


def asks_nobody(room: Room) -> None:
    """From now on."""

    async def asked(*args: object, **more: object) -> object:
        raise AssertionError("it was asked")

    existence: Any = room.keeping.existence
    existence.records = asked


@pytest_twisted.ensureDeferred
async def test_a_small_file_is_kept_without_a_question(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    assert await room.records() == []  # which is remembered no longer than it is true
    records, uploads = room.records, uploads_of(room)
    asked = room.keeping.existence.records
    asks_nobody(room)
    kept = await send(uploads.open("sha1", None))
    existence: Any = room.keeping.existence
    existence.records = asked
    assert [kept.record] == await records()
    assert [kept.record] == await room.keeping.existence.records(HELLO)
    assert (kept.count, kept.wanted, kept.record.note) == (1, 1, None)
    assert [path.read_bytes() for path in room.files()] == [b"hello"]
    assert room.leftovers() == []
    assert room.stores["p1:s1"].volume.writing == 0
    assert uploads.describe() == {"files": 1, "bytes": 5}


@pytest_twisted.ensureDeferred
async def test_one_of_several_stores_takes_it_where_one_is_enough(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1", "s2")
    uploads = uploads_of(room)
    asks_nobody(room)
    assert (await send(uploads.open("sha1", None))).count == 1
    assert len(room.files()) == 1


@pytest_twisted.ensureDeferred
async def test_where_more_are_wanted_than_there_are_stores_it_is_noted(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    uploads = uploads_of(room, wanted=2)
    records = room.keeping.existence.records
    asks_nobody(room)
    with logged("warn") as said:
        kept = await send(uploads.open("sha1", None))
    existence: Any = room.keeping.existence
    existence.records = records
    assert (kept.count, kept.wanted) == (1, 2)
    assert kept.record.note == "1 of 2 clones: no other store could take one"
    assert await room.records() == [kept.record]
    assert any("1 of 2 clones" in line for line in said)


@pytest.mark.parametrize("why", ["two stores", "a large file", "a large file elsewhere", "dropped"])
@pytest_twisted.ensureDeferred
async def test_where_it_does_not_come_whole_to_one_store_it_is_asked(
    why: str, tmp_path: Path
) -> None:
    room = await begin(tmp_path, "s1", "s2")
    uploads = uploads_of(room, wanted=2 if why == "two stores" else 1)
    upload = uploads.open("sha1", None)
    data = b"x" * 2_000_000 if why == "a large file" else b"hello"
    if why == "a large file elsewhere":
        await room.stores[upload.sink.copies[0].place].receive().write([b"much"])
    elif why == "dropped":
        upload.sink.copies.clear()
    asked: list[object] = []
    existence: Any = room.keeping.existence
    records = existence.records

    async def ask(*args: object, **more: object) -> object:
        asked.append(args)
        return await records(*args, **more)

    existence.records = ask
    assert (await send(upload, data)).count == uploads._wanted
    assert len(asked) == 1


@pytest_twisted.ensureDeferred
async def test_what_is_known_stays_as_it_is(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    uploads = uploads_of(room)
    first = await send(uploads.open("sha1", None))
    [before] = [path.stat().st_ino for path in room.files()]
    room.keeping.clock.advance(1)
    for ext in ("txt", "mp4"):
        upload = uploads.open("sha1", None)
        upload.sink.feed(b"hello")
        kept = await upload.settle(ext, "video/mp4")
        assert (kept.record, kept.count) == (first.record, 1)
    assert [path.stat().st_ino for path in room.files()] == [before]
    assert room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_a_forgery_is_refused_as_ever(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    uploads = uploads_of(room)
    kept = await send(uploads.open("sha1", None))
    document = await room.keeping.inventory.get(kept.record.id)
    assert document is not None
    forged = evolve(kept.record, sha256="0" * 64)
    await room.keeping.inventory.put(document.id, forged.to_body(), document.rev)
    with pytest.raises(Conflict, match="sha1"):
        await send(uploads.open("sha1", None))
    assert [path.read_bytes() for path in room.files()] == [b"hello"]
    assert room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_a_file_without_a_record_is_replaced_as_ever(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    uploads = uploads_of(room)
    await send(uploads.open("sha1", None))
    [record] = await room.records()
    document = await room.keeping.inventory.get(record.id)
    assert document is not None
    await room.keeping.inventory.delete(document.id, document.rev)
    [path] = room.files()
    path.write_bytes(b"rotten")
    assert (await send(uploads.open("sha1", None))).count == 1
    assert [path.read_bytes() for path in room.files()] == [b"hello"]
    assert len(await room.records()) == 1
    assert room.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_content_with_a_note_is_kept_all_the_same(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    content = EmbeddedDocuments(room.keeping.database, "content")
    await content.put(HELLO, {"wanted": 3})
    assert (await send(uploads_of(room).open("sha1", None))).count == 1
    assert len(room.files()) == len(await room.records()) == 1


@pytest_twisted.ensureDeferred
async def test_why_it_cannot_be_kept_is_told(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    uploads = uploads_of(room)
    await room.keeping.others_write(
        "CREATE TRIGGER broken BEFORE INSERT ON documents BEGIN SELECT raise(ABORT, 'no'); END"
    )
    with pytest.raises(Unavailable, match="The database failed: no"):
        await send(uploads.open("sha1", None))
    assert room.files() == room.leftovers() == []


Comer = tuple[bool, str]


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(["txt", "mp4"])), min_size=2, max_size=5),
    st.integers(0, 1 << 32),
)
def test_the_same_that_comes_at_once_by_whatever_way_ends_as_one_file_and_one_record(
    tmp_path_factory: pytest.TempPathFactory, comers: list[Comer], seed: int
) -> None:
    """To the prism and to the store itself, which do not know of one another."""

    chance = Random(seed)  # drawn from while others wait: none of hypothesis's own

    async def come() -> None:
        room = Room(await Keeping.begin(tmp_path_factory.mktemp("machine")))
        holdings = await room.add("s1")
        pool = ByHand()
        receiving: Any = holdings.volume._receiving
        for each in (receiving, receiving.wholes, receiving.confirms, holdings.volume):
            setattr(each, "pool" if hasattr(each, "pool") else "_pool", pool)
        ways = {True: uploads_of(room, only="p1:s1"), False: uploads_of(room)}

        async def one(is_direct: bool, ext: str) -> Kept:
            upload = ways[is_direct].open("sha1", None)
            upload.sink.feed(b"hello")
            try:
                return await upload.settle(ext, "text/plain")
            finally:
                await upload.abandon()

        coming = [Deferred.fromCoroutine(one(*each)) for each in comers]
        while pool.waiting:
            pool.waiting.pop(chance.randrange(len(pool.waiting))).callback(None)
        assert {(await each).count for each in coming} == {1}
        [record] = await room.records()
        [path] = room.files()
        assert str(path).endswith(record.relative_path)
        assert path.read_bytes() == b"hello"
        assert room.leftovers() == []
        await room.keeping.database.close()

    SynchronousTestCase().successResultOf(Deferred.fromCoroutine(come()))
