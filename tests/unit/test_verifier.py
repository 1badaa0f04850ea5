"""A store's clones are read again, on real folders with a real database."""

import errno
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.address import old_relative_path, relative_path
from oose.disk import IDENTITY
from oose.errors import Unavailable
from oose.holdings import Holdings
from oose.metadata.records import InventoryRecord
from oose.pace import Pace
from oose.verifying import manner
from oose.verifying.faults import CannotTell, Dying
from oose.verifying.manner import FILE, LEAST, PIECE, Manner, piece_at
from oose.verifying.verifier import IN_A_ROW, MISSING_IN_A_ROW, Verifier
from tests.unit.by_hand import ByHand
from tests.unit.faults import before, descriptors, fail, fail_reading
from tests.unit.keeping import NOW, Keeping
from tests.unit.logged import logged

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()

# Two files with the same md5, found by Xiaoyun Wang and others in 2004:
ONE = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
OTHER = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    yield keeping
    await keeping.database.close()


@pytest_twisted.async_yield_fixture
async def store(keeping: Keeping) -> AsyncIterator[Holdings]:
    yield await keeping.start()


@pytest.fixture
def verifier(store: Holdings) -> Verifier:
    return store.verifier


@pytest_twisted.async_yield_fixture
async def record(keeping: Keeping, store: Holdings) -> AsyncIterator[InventoryRecord]:
    yield await uploaded(keeping, store, DATA)


async def uploaded(
    keeping: Keeping, store: Holdings, data: bytes, kind: str = "sha1"
) -> InventoryRecord:
    """Content as an upload leaves it, its sha256 in the record."""
    name = hashlib.new(kind, data).hexdigest()
    record = InventoryRecord(
        hash=name,
        prism=store.prism,
        store=store.store,
        mime_type="video/mp4",
        mime_extension="mp4",
        relative_path=relative_path(name, "mp4"),
        size=len(data),
        created=NOW,
        sha256=hashlib.sha256(data).hexdigest(),
        verified=NOW,
    )
    path = path_of(store, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    await keeping.inventory.put(record.id, record.to_body())
    return record


def path_of(store: Holdings, record: InventoryRecord) -> Path:
    return store.volume.disk.content / record.relative_path


def quarantined(store: Holdings, name: str = f"{HASH}.mp4") -> tuple[bytes, Any]:
    """A file in quarantine and the note beside it."""
    kept = store.volume.disk.quarantine / name
    return kept.read_bytes(), json.loads(kept.with_name(kept.name + ".why.json").read_text())


def counts(verifier: Verifier) -> dict[str, int]:
    return {name: count for name, count in verifier.tally.counts().items() if count}


# What is whole


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1])
@pytest_twisted.ensureDeferred
async def test_a_file_that_is_as_it_was_is_noted_as_verified(
    keeping: Keeping, store: Holdings, size: int
) -> None:
    record = await uploaded(keeping, store, b"x" * size)
    keeping.clock.advance(5)
    assert await store.verify(record.hash) == "ok"
    assert await store.record(record.hash) == evolve(record, verified=NOW + 5000)
    assert counts(store.verifier) == ({"ok": 1, "bytes": size} if size else {"ok": 1})
    assert descriptors(str(store.volume.disk.content)) == 0


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512"])
@pytest_twisted.ensureDeferred
async def test_a_record_without_a_sha256_gets_one(
    keeping: Keeping, store: Holdings, kind: str
) -> None:
    """A sweep or a migration has made it."""
    known = await uploaded(keeping, store, DATA, kind)
    await rewrite(keeping, store, evolve(known, sha256=None, verified=None))
    keeping.clock.advance(5)
    assert await store.verify(known.hash) == "ok"
    assert await store.record(known.hash) == evolve(known, verified=NOW + 5000)


async def rewrite(keeping: Keeping, store: Holdings, record: InventoryRecord) -> None:
    document = await keeping.inventory.get(record.id)
    assert document is not None
    await keeping.inventory.put(record.id, record.to_body(), document.rev)


@pytest_twisted.ensureDeferred
async def test_a_record_is_told_where_its_file_is_and_how_large(
    keeping: Keeping, store: Holdings, record: InventoryRecord
) -> None:
    """An operator has moved it to the layout of version 2.x, or brought it back from there."""
    moved = evolve(record, relative_path=old_relative_path(HASH, "mp4"))
    path_of(store, moved).parent.mkdir(parents=True)
    path_of(store, record).rename(path_of(store, moved))
    await rewrite(keeping, store, evolve(record, size=99))
    assert await store.verify(HASH) == "ok"
    assert await store.record(HASH) == moved


@pytest_twisted.ensureDeferred
async def test_a_file_without_a_record_can_be_verified_and_gets_none(
    keeping: Keeping, store: Holdings, record: InventoryRecord
) -> None:
    document = await keeping.inventory.get(record.id)
    assert document is not None
    await keeping.inventory.delete(record.id, document.rev)
    assert await store.verify(HASH) == "ok"
    assert await store.record(HASH) is None


@pytest_twisted.ensureDeferred
async def test_what_was_read_wrong_once_is_read_again(
    store: Holdings, record: InventoryRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory, or the way from the disk, may be at fault."""
    fail_reading(monkeypatch, errno.EIO, on="content", times=1)
    assert await store.verify(HASH) == "ok"
    assert await store.record(HASH) == record
    assert path_of(store, record).exists()


# What is not


@pytest.mark.parametrize("has_sha256", [True, False])
@pytest.mark.parametrize("place", [None, old_relative_path(HASH, "mp4")])
@pytest_twisted.ensureDeferred
async def test_a_corrupt_file_goes_to_quarantine_and_out_of_the_inventory(
    keeping: Keeping, store: Holdings, place: str | None, has_sha256: bool
) -> None:
    record = await keeping.put(store, DATA, place=place)
    if has_sha256:
        record = evolve(record, sha256=hashlib.sha256(DATA).hexdigest())
        await rewrite(keeping, store, record)
    assert await store.own_record(HASH) == record  # and so it is in the cache
    path_of(store, record).write_bytes(b"b film")
    with logged("error") as messages:
        assert await store.verify(HASH) == "corrupt"
    assert messages == [f"{HASH} on p1:s1 is corrupt: in quarantine"]
    assert not path_of(store, record).exists()
    assert await store.record(HASH) is None
    assert await store.own_record(HASH) is None
    assert quarantined(store) == (
        b"b film",
        {
            "hash": HASH,
            "path": record.relative_path,
            "at": NOW,
            "found": hashlib.sha1(b"b film").hexdigest(),
            "sha256": hashlib.sha256(b"b film").hexdigest(),
            "size": 6,
            "expected": {"sha256": record.sha256, "size": 6},
        },
    )
    assert counts(store.verifier) == {"corrupt": 1, "bytes": 12}


@pytest.mark.parametrize("data", [b"", b"a fil", b"a film and more"])
@pytest_twisted.ensureDeferred
async def test_a_file_that_was_cut_or_grew_is_corrupt(
    store: Holdings, record: InventoryRecord, data: bytes
) -> None:
    path_of(store, record).write_bytes(data)
    assert await store.verify(HASH) == "corrupt"
    assert quarantined(store)[0] == data


@pytest_twisted.ensureDeferred
async def test_a_forged_file_is_told_by_its_sha256(keeping: Keeping, store: Holdings) -> None:
    record = await uploaded(keeping, store, ONE, "md5")
    assert hashlib.md5(OTHER).hexdigest() == record.hash
    assert await store.verify(record.hash) == "ok"
    path_of(store, record).write_bytes(OTHER)
    with logged("error") as messages:
        assert await store.verify(record.hash) == "corrupt"
    assert messages == [f"{record.hash} on p1:s1 is forged (its sha256 is another): in quarantine"]
    data, why = quarantined(store, f"{record.hash}.mp4")
    assert data == OTHER
    assert why["found"] == record.hash
    assert why["sha256"] != why["expected"]["sha256"] == record.sha256


@pytest_twisted.ensureDeferred
async def test_a_corrupt_file_without_a_record_goes_to_quarantine_too(
    keeping: Keeping, store: Holdings, record: InventoryRecord
) -> None:
    document = await keeping.inventory.get(record.id)
    assert document is not None
    await keeping.inventory.delete(record.id, document.rev)
    path_of(store, record).write_bytes(b"b film")
    assert await store.verify(HASH) == "corrupt"
    assert "expected" not in quarantined(store)[1]


@pytest_twisted.ensureDeferred
async def test_a_file_that_gets_shorter_while_it_is_read_is_corrupt(
    store: Holdings, record: InventoryRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(monkeypatch, "preadv", lambda: path_of(store, record).write_bytes(b"x"))
    assert await store.verify(record.hash) == "corrupt"


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_missing_is_no_longer_listed(
    store: Holdings, record: InventoryRecord
) -> None:
    assert await store.own_record(HASH) == record
    path_of(store, record).unlink()
    with logged("error") as messages:
        assert await store.verify(HASH) == "missing"
        assert await store.record(HASH) is None
        assert await store.own_record(HASH) is None
        assert await store.verify(HASH) == "missing"
    assert messages == [f"{HASH} on p1:s1 is missing"]
    assert counts(store.verifier) == {"missing": 1}


# A disk that fails


@pytest_twisted.ensureDeferred
async def test_nothing_is_missing_on_a_disk_that_is_not_there(
    keeping: Keeping, store: Holdings, record: InventoryRecord
) -> None:
    store.volume.disk.root.rename(keeping.folder / "away")
    with pytest.raises(Unavailable):
        await store.verify(HASH)
    assert await store.record(HASH) == record


@pytest_twisted.ensureDeferred
async def test_nothing_is_missing_on_a_disk_that_goes_while_it_is_looked_for(
    store: Holdings, record: InventoryRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    path_of(store, record).unlink()
    (store.volume.disk.root / IDENTITY).rename(store.volume.disk.root / "elsewhere")
    monkeypatch.setattr(store.volume, "find", nothing)
    with pytest.raises(Unavailable, match="is not there"):
        await store.verify(HASH)
    assert await store.record(HASH) == record


async def nothing(*args: Any) -> None:
    return None


@pytest.mark.parametrize("call", ["pread", "open"])
@pytest_twisted.ensureDeferred
async def test_a_file_whose_bytes_are_lost_is_as_bad_as_a_corrupt_one(
    store: Holdings, record: InventoryRecord, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with monkeypatch.context() as faulty, logged("error") as messages:
        fail(faulty, "preadv", errno.EIO, on=HASH)
        fail(faulty, call, errno.EIO, on=HASH)
        assert await store.verify(HASH) == "corrupt"
    assert messages == [f"{HASH} on p1:s1 is unreadable (Input/output error): in quarantine"]
    data, why = quarantined(store)
    assert data == DATA
    assert why["error"] == "Input/output error"
    assert await store.record(HASH) is None
    assert descriptors(str(store.volume.disk.content)) == 0


@pytest.mark.parametrize(
    ("call", "code"),
    [("pread", errno.ENOMEM), ("open", errno.EACCES), ("listdir", errno.EIO)],
)
@pytest_twisted.ensureDeferred
async def test_a_file_that_cannot_be_looked_at_is_not_taken_for_a_corrupt_one(
    store: Holdings,
    record: InventoryRecord,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    code: int,
) -> None:
    if call == "listdir":  # which is needed only where a file is not where it was
        path_of(store, record).rename(path_of(store, record).with_suffix(".mov"))
    with monkeypatch.context() as faulty:
        fail(faulty, "preadv", code, on="content")
        fail(faulty, call, code, on="content")
        with pytest.raises(CannotTell):
            await store.verify(HASH)
    assert await store.record(HASH) == record
    assert await store.verify(HASH) == "ok"


@pytest_twisted.ensureDeferred
async def test_a_corrupt_file_that_cannot_be_moved_is_not_listed_all_the_same(
    store: Holdings, record: InventoryRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has become read-only, as it does when it is dying."""
    path_of(store, record).write_bytes(b"b film")
    fail(monkeypatch, "rename", errno.EROFS, on="content")
    with pytest.raises(CannotTell, match="Read-only"):
        await store.verify(HASH)
    assert await store.record(HASH) is None


@pytest_twisted.ensureDeferred
async def test_where_many_in_a_row_cannot_be_read_it_is_the_disk(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [await uploaded(keeping, store, b"%d" % n) for n in range(IN_A_ROW + 3)]
    hashes = [each.hash for each in records]
    with monkeypatch.context() as faulty:
        fail_reading(faulty, errno.EIO, on="content")
        with pytest.raises(Dying, match=r"6 files in a row cannot be read on p1:s1"):
            await store.verifier.settle(await store.verifier.look(hashes))
        assert counts(store.verifier) == {"corrupt": IN_A_ROW}
        left = [each for each in hashes if await store.record(each) is not None]
        assert len(left) == 3
        with pytest.raises(Dying, match="7 files in a row"):  # and so it stays
            await store.verify(left[0])
    assert await store.verify(left[0]) == "ok"  # so much for that
    with monkeypatch.context() as faulty:
        fail_reading(faulty, errno.EIO, on="content")
        assert await store.verify(left[1]) == "corrupt"


@pytest_twisted.ensureDeferred
async def test_where_many_in_a_row_are_missing_no_more_records_go(
    keeping: Keeping, store: Holdings
) -> None:
    count = MISSING_IN_A_ROW + 3
    records = [await uploaded(keeping, store, b"%d" % n) for n in range(count)]
    hashes = [each.hash for each in records]
    content = store.volume.disk.content
    for folder in list(content.iterdir()):
        folder.rename(content.with_name(folder.name))
    with pytest.raises(Dying, match=r"21 files in a row are missing on p1:s1: is .*/content the"):
        await store.verifier.settle(await store.verifier.look(hashes))
    assert counts(store.verifier) == {"missing": MISSING_IN_A_ROW}
    left = [each for each in hashes if await store.record(each) is not None]
    assert len(left) == 3
    with pytest.raises(Dying, match="22 files in a row"):  # and so it stays
        await store.verify(left[0])
    content.with_name(left[1][:2]).rename(content / left[1][:2])
    assert await store.verify(left[1]) == "ok"  # so much for that
    assert await store.verify(left[0]) in {"ok", "missing"}


# Records that are none


@pytest.mark.parametrize("field", ["relativePath", "size", "hash", "verifiedAt"])
@pytest.mark.parametrize("value", [None, ["x"], "a\0b"])
@pytest_twisted.ensureDeferred
async def test_a_record_that_is_none_is_made_good_and_keeps_no_other_waiting(
    keeping: Keeping, store: Holdings, record: InventoryRecord, field: str, value: Any
) -> None:
    other = await uploaded(keeping, store, b"another film")
    document = await keeping.inventory.get(record.id)
    assert document is not None
    body = {name: each for name, each in document.body.items() if name != field}
    await keeping.inventory.put(record.id, body | ({field: value} if value else {}), document.rev)
    keeping.clock.advance(5)
    lookings = await store.verifier.look([HASH, other.hash], before=keeping.now())
    assert await store.verifier.settle(lookings) == {HASH: "ok", other.hash: "ok"}
    assert await store.record(HASH) == evolve(record, verified=NOW + 5000)
    assert dict(await store.verifier.verify_each([HASH])) == {HASH: "ok"}


@pytest_twisted.ensureDeferred
async def test_what_is_corrupt_and_has_no_proper_record_is_put_aside_too(
    keeping: Keeping, store: Holdings, record: InventoryRecord
) -> None:
    path_of(store, record).write_bytes(b"b film")
    document = await keeping.inventory.get(record.id)
    assert document is not None
    await keeping.inventory.put(record.id, {"hash": HASH}, document.rev)
    assert await store.verifier.verify_each([HASH]) == {HASH: "corrupt"}
    _, why = quarantined(store)
    assert why["expected"] == {"sha256": None, "size": None}


# Somebody else is at it at the same moment


def once(monkeypatch: pytest.MonkeyPatch, where: Any, call: str, do: Callable[[], Any]) -> None:
    """Let something happen just before `call` is made the next time."""
    real = getattr(where, call)

    async def late(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(where, call, real)
        await do()
        return await real(*args, **kwargs)

    monkeypatch.setattr(where, call, late)


async def others_write(keeping: Keeping, rest: str = "") -> None:
    await keeping.others_write(
        "UPDATE documents SET rev = '9-x',"
        f" body = json_set(body, '$.mimeType', 'video/ogg' {rest}) WHERE id LIKE ?",
        f"{HASH}%",
    )


@pytest_twisted.ensureDeferred
async def test_what_another_wrote_meanwhile_stays(
    keeping: Keeping,
    record: InventoryRecord,
    store: Holdings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeping.clock.advance(5)
    once(monkeypatch, keeping.inventory, "put_many", lambda: others_write(keeping))
    assert await store.verify(HASH) == "ok"
    expected = evolve(record, verified=NOW + 5000, mime_type="video/ogg")
    assert await store.record(HASH) == expected


@pytest.mark.parametrize("other", ["'$.verifiedAt', 1800000000000", "'$.sha256', 'abc'"])
@pytest_twisted.ensureDeferred
async def test_what_another_has_just_received_is_not_what_was_read(
    keeping: Keeping,
    record: InventoryRecord,
    store: Holdings,
    monkeypatch: pytest.MonkeyPatch,
    other: str,
) -> None:
    keeping.clock.advance(5)
    once(monkeypatch, keeping.inventory, "put_many", lambda: others_write(keeping, f", {other}"))
    assert await store.verify(HASH) == "ok"
    kept = await store.record(HASH)
    assert kept is not None
    assert kept.verified != NOW + 5000


@pytest_twisted.ensureDeferred
async def test_a_record_that_goes_meanwhile_does_not_come_back(
    keeping: Keeping,
    record: InventoryRecord,
    store: Holdings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once(monkeypatch, keeping.inventory, "put_many", lambda: store.remove(HASH))
    assert await store.verify(HASH) == "ok"
    assert await store.record(HASH) is None


@pytest.mark.parametrize("bad", [b"b film", None])
@pytest_twisted.ensureDeferred
async def test_what_is_written_while_a_clone_is_condemned_is_looked_at(
    keeping: Keeping,
    record: InventoryRecord,
    store: Holdings,
    monkeypatch: pytest.MonkeyPatch,
    bad: bytes | None,
) -> None:
    """The same content is received again, over what is there, just before the record goes."""
    path = path_of(store, record)
    path.unlink()
    if bad is not None:
        path.write_bytes(bad)

    async def receive() -> None:
        path.with_suffix(".new").write_bytes(DATA)
        path.with_suffix(".new").replace(path)
        await others_write(keeping)

    once(monkeypatch, keeping.inventory, "delete", receive)
    assert await store.verify(HASH) == "ok"
    assert path.read_bytes() == DATA
    assert await store.record(HASH) == evolve(record, mime_type="video/ogg")


@pytest_twisted.ensureDeferred
async def test_what_comes_in_the_place_of_what_was_read_is_read(
    record: InventoryRecord, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(store, record)
    path.write_bytes(b"b film")
    volume = store.volume
    real = volume.passage.going

    def going(content_hash: str) -> Any:
        path.with_suffix(".new").write_bytes(DATA)
        path.with_suffix(".new").replace(path)
        monkeypatch.setattr(volume.passage, "going", real)
        return real(content_hash)

    monkeypatch.setattr(volume.passage, "going", going)
    assert await store.verify(HASH) == "ok"
    assert path.read_bytes() == DATA


@pytest_twisted.ensureDeferred
async def test_a_file_that_goes_before_a_closer_look_is_missing(
    record: InventoryRecord, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(store, record)
    path.write_bytes(b"b film")
    real = store.volume.find

    async def find(content_hash: str) -> Any:
        found = await real(content_hash)
        path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(store.volume, "find", find)
    assert await store.verify(HASH) == "missing"


@pytest_twisted.ensureDeferred
async def test_what_is_just_being_uploaded_is_left_alone(
    record: InventoryRecord, store: Holdings
) -> None:
    path_of(store, record).write_bytes(b"b film")
    await store.volume.passage.come(HASH)
    with pytest.raises(CannotTell, match="being uploaded just now"):
        await store.verify(HASH)
    assert await store.record(HASH) == record
    store.volume.passage.came(HASH)
    assert await store.verify(HASH) == "corrupt"


@pytest_twisted.ensureDeferred
async def test_what_others_change_all_the_time_cannot_be_told(
    keeping: Keeping,
    record: InventoryRecord,
    store: Holdings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path_of(store, record).unlink()
    real = keeping.inventory.delete

    async def late(document_id: str, rev: str) -> Any:
        await keeping.others_write("UPDATE documents SET rev = ? || rev", "1")
        return await real(document_id, rev)

    monkeypatch.setattr(keeping.inventory, "delete", late)
    with pytest.raises(CannotTell, match="changed all the time"):
        await store.verify(HASH)
    assert await store.record(HASH) == record


@pytest_twisted.ensureDeferred
async def test_two_who_verify_the_same_corrupt_file_agree(keeping: Keeping) -> None:
    pool = ByHand()
    store = await keeping.start()
    record = await uploaded(keeping, store, DATA)
    path_of(store, record).write_bytes(b"b film")
    store.volume.pool = pool
    both = [Deferred.fromCoroutine(store.verify(HASH)) for _ in range(2)]
    pool.do_all()
    assert sorted([await each for each in both]) == ["corrupt", "missing"]
    assert quarantined(store)[0] == b"b film"
    assert len(list(store.volume.disk.quarantine.iterdir())) == 2


# Many together


@pytest_twisted.ensureDeferred
async def test_many_are_verified_by_two_requests(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = [(await uploaded(keeping, store, b"%d" % n)).hash for n in range(50)]
    asked: list[str] = []
    for call in ("get", "get_many", "put", "put_many", "delete", "range", "under"):
        count_calls(monkeypatch, keeping.inventory, call, asked)
    lookings = await store.verifier.look(hashes)
    assert await store.verifier.settle(lookings) == dict.fromkeys(hashes, "ok")
    assert asked == ["get_many", "put_many"]


def count_calls(monkeypatch: pytest.MonkeyPatch, where: Any, call: str, asked: list[str]) -> None:
    real = getattr(where, call)

    async def counting(*args: Any, **kwargs: Any) -> Any:
        asked.append(call)
        return await real(*args, **kwargs)

    monkeypatch.setattr(where, call, counting)


@pytest_twisted.ensureDeferred
async def test_many_on_demand_have_an_answer_each(keeping: Keeping, store: Holdings) -> None:
    records = [await uploaded(keeping, store, b"%d" % n) for n in range(120)]
    path_of(store, records[0]).write_bytes(b"x")
    path_of(store, records[119]).unlink()
    hashes = [*(each.hash for each in records), HASH]
    statuses = await store.verifier.verify_each(hashes)
    assert list(statuses) == hashes
    expected = {hashes[0]: "corrupt", hashes[119]: "missing", HASH: "missing"}
    assert {each: said for each, said in statuses.items() if said != "ok"} == expected


@pytest_twisted.ensureDeferred
async def test_one_that_cannot_be_judged_leaves_the_others(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [await uploaded(keeping, store, b"%d" % n) for n in range(3)]
    hashes = [each.hash for each in records]
    fail_reading(monkeypatch, errno.EACCES, on=hashes[1])
    with logged("warn") as messages:
        outcomes = await store.verifier.settle(await store.verifier.look(hashes))
    assert [outcomes[hashes[0]], outcomes[hashes[2]]] == ["ok", "ok"]
    assert isinstance(outcomes[hashes[1]], CannotTell)
    why = "The disk of the store 's1' failed: Permission denied"
    assert messages == [f"{hashes[1]} on p1:s1 cannot be verified: {why}"]
    assert counts(store.verifier) == {"ok": 2, "failed": 1, "bytes": 2}
    again = await store.verifier.verify_each(hashes)
    assert [again[hashes[0]], again[hashes[2]]] == ["ok", "ok"]
    assert isinstance(again[hashes[1]], CannotTell)


@pytest_twisted.ensureDeferred
async def test_only_what_was_not_verified_since_is_read(keeping: Keeping, store: Holdings) -> None:
    records = [await uploaded(keeping, store, b"%d" % n) for n in range(3)]
    await rewrite(keeping, store, evolve(records[0], verified=None))
    await rewrite(keeping, store, evolve(records[1], verified=NOW - 1))
    lookings = await store.verifier.look([each.hash for each in records], before=NOW)
    assert {each.hash for each in lookings} == {each.hash for each in records[:2]}
    assert await store.verifier.look(["0" * 40], before=NOW) == []  # its record has gone


# At a pace


async def read(
    store: Holdings, records: Sequence[InventoryRecord], manner: Manner
) -> Sequence[str]:
    return [each.hash for each in await store.verifier.look([r.hash for r in records], manner)]


@pytest_twisted.ensureDeferred
async def test_a_large_file_is_read_at_its_pace(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manner, "FILE", 0)
    record = await uploaded(keeping, store, b"x" * 1000)
    clock = Clock()
    reading = Deferred.fromCoroutine(read(store, [record], Manner(Pace(100, clock), 10)))
    for second in range(1, 10):
        clock.pump([0.1] * 10)
        assert store.verifier.tally.bytes == second * 100 + 10
    clock.pump([0.1] * 9)
    assert store.verifier.tally.bytes == 1000
    assert not reading.called  # before that is paid for
    clock.advance(0.1)
    assert await reading == [record.hash]


@pytest_twisted.ensureDeferred
async def test_what_is_stopped_is_not_read_to_its_end(keeping: Keeping, store: Holdings) -> None:
    records = [await uploaded(keeping, store, b"%d" % n * 10) for n in range(3)]
    left = 2

    def going() -> bool:
        nonlocal left
        left -= 1
        return left >= 0

    assert await read(store, records, Manner(None, 10, going)) == [
        each.hash for each in sorted(records, key=lambda r: r.hash)[:2]
    ]


@pytest_twisted.ensureDeferred
async def test_doubts_are_not_looked_into_after_a_stop(
    keeping: Keeping, store: Holdings, record: InventoryRecord
) -> None:
    good = await uploaded(keeping, store, b"good")
    path_of(store, record).write_bytes(b"b film")
    lookings = await store.verifier.look([HASH, good.hash])
    going = iter([True, False, False])
    for _ in range(2):
        outcomes = await store.verifier.settle(lookings, Manner(None, 10, lambda: next(going)))
        assert outcomes == {good.hash: "ok"}
    assert await store.record(HASH) == record


@pytest_twisted.ensureDeferred
async def test_small_files_are_read_at_the_pace_at_which_a_disk_finds_them(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manner, "AT_ONCE", 2)
    records = [await uploaded(keeping, store, b"%d" % n) for n in range(6)]
    clock = Clock()
    reading = Deferred.fromCoroutine(read(store, records, Manner(Pace(FILE, clock))))
    for count in (2, 4, 6):
        assert store.verifier.tally.bytes == count
        clock.pump([1, 0.9])
        assert store.verifier.tally.bytes == count
        clock.advance(0.2)
    assert len(await reading) == 6


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_larger_than_its_record_says_is_paid_for_too(
    keeping: Keeping, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manner, "FILE", 0)
    record = await uploaded(keeping, store, b"x" * 100)
    await rewrite(keeping, store, evolve(record, size=10))
    clock = Clock()
    reading = Deferred.fromCoroutine(read(store, [record], Manner(Pace(10, clock))))
    clock.advance(1)
    clock.advance(8.9)
    assert not reading.called
    clock.advance(0.2)
    assert await reading == [record.hash]


def test_pieces_are_so_small_that_many_come_in_a_second() -> None:
    assert piece_at(None) == PIECE
    assert piece_at(32_000_000) == 8_000_000
    assert piece_at(10**12) == PIECE
    assert piece_at(1) == LEAST


# Whoever asked has left


@pytest_twisted.ensureDeferred
async def test_what_is_found_is_acted_on_although_whoever_asked_has_left(
    record: InventoryRecord, store: Holdings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path_of(store, record).write_bytes(b"b film")
    pool = ByHand()
    real = store.volume.set_aside

    async def slowly(*args: Any) -> Any:
        await pool.run(len, "")
        return await real(*args)

    monkeypatch.setattr(store.volume, "set_aside", slowly)
    asked = Deferred.fromCoroutine(store.verify(HASH))
    _ = asked.addErrback(lambda _: None)
    asked.cancel()
    assert await store.record(HASH) is None
    assert path_of(store, record).exists()
    pool.do_all()
    assert quarantined(store)[0] == b"b film"


@define
class Late:
    """A pool that makes its calls later, also those that nobody waits for any more."""

    calls: list[Callable[[], object]] = field(factory=list)

    async def run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        answer: Deferred[Any] = Deferred()
        self.calls.append(lambda: answer.callback(call(*args, **kwargs)))
        return await answer


@pytest_twisted.ensureDeferred
async def test_nothing_is_left_open_where_whoever_asked_has_left(
    record: InventoryRecord, store: Holdings
) -> None:
    pool = store.volume.pool = Late()
    asked = Deferred.fromCoroutine(store.verify(HASH))
    _ = asked.addErrback(lambda _: None)
    asked.cancel()
    [call] = pool.calls
    call()
    assert descriptors(str(store.volume.disk.content)) == 0
    assert len(pool.calls) == 1
