"""A sweep makes a disk and its records agree, and touches nothing else."""

import errno
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose.address import old_relative_path, relative_path
from oose.contents import Content
from oose.errors import Conflict, Unavailable
from oose.metadata.records import record_id
from oose.sweeping import sweep
from oose.sweeping.counts import NAMED
from oose.sweeping.site import BATCH
from tests.unit.faults import fail
from tests.unit.keeping import NOW
from tests.unit.sweeping import Sweeping

DATA = [f"content {number}".encode() for number in range(4)]
A, B, C, D = HASHES = [hashlib.sha1(each).hexdigest() for each in DATA]
NEW, OLD = relative_path, old_relative_path


@pytest_twisted.async_yield_fixture
async def swept(tmp_path: Path) -> Any:
    made = await Sweeping.begin(tmp_path)
    yield made
    await made.sweeps.stop()


# Files without a record.


@pytest.mark.parametrize("driver", ["native", "unix"])
@pytest_twisted.ensureDeferred
async def test_files_without_a_record_get_one(driver: str, swept: Sweeping) -> None:
    swept.file(NEW(A, "mp4"), b"12345", NOW - 86_400_000)
    swept.file(OLD(B, "xyz"), b"")
    report = await swept.scan(driver)
    records = await swept.records()
    assert sorted(records) == sorted([A, B])
    assert records[A].to_body() == {
        "hash": A,
        "sha256": None,
        "prism": "p1",
        "store": "s1",
        "mimeType": "video/mp4",
        "mimeExtension": "mp4",
        "relativePath": NEW(A, "mp4"),
        "size": 5,
        "createdAt": NOW - 86_400_000,
        "verifiedAt": None,
    }
    assert records[B].relative_path == OLD(B, "xyz")
    assert records[B].mime_type == "application/octet-stream"
    assert (report["files"], report["bytes"], report["made"]) == (2, 5, 2)
    assert (report["state"], report["slice"], report["driver"]) == ("finished", 256, driver)
    again = await swept.scan(driver)
    assert (again["files"], again["made"]) == (2, 0)


@pytest_twisted.ensureDeferred
async def test_a_file_from_the_future_is_from_today(swept: Sweeping) -> None:
    swept.file(NEW(A, "mp4"), when=NOW + 10**9)
    await swept.scan()
    assert (await swept.records())[A].created == NOW


@pytest_twisted.ensureDeferred
async def test_whoever_has_asked_before_learns_of_it(swept: Sweeping) -> None:
    assert await swept.keeping.existence.records(A) == []
    swept.file(NEW(A, "mp4"))
    await swept.scan()
    assert [each.hash for each in await swept.keeping.existence.records(A)] == [A]


@pytest_twisted.ensureDeferred
async def test_what_is_no_content_is_named_and_left_alone(swept: Sweeping) -> None:
    swept.file("notes.txt")
    swept.file(f"ff/ff/{A}.mp4")
    swept.file("00/a\nb")
    (swept.content / "link").symlink_to("notes.txt")
    before = swept.there()
    report = await swept.scan()
    assert swept.there() == before
    assert await swept.records() == {}
    assert report["foreign"] == 4
    assert sorted(report["named"]["foreign"]) == before
    for number in range(NAMED):
        swept.file(f"more/{number}")
    report = await swept.scan()
    assert report["foreign"] == NAMED + 4
    assert len(report["named"]["foreign"]) == NAMED


@pytest_twisted.ensureDeferred
async def test_of_two_files_of_one_hash_the_recorded_one_counts(swept: Sweeping) -> None:
    swept.file(NEW(A, "mp4"))
    swept.file(OLD(A, "mp4"))
    swept.file(NEW(B, "mp4"))
    swept.file(NEW(B, "avi"))
    await swept.record(A, OLD(A, "mp4"))
    report = await swept.scan()
    records = await swept.records()
    assert records[A].relative_path == OLD(A, "mp4")
    assert records[B].relative_path in {NEW(B, "mp4"), NEW(B, "avi")}
    assert (report["made"], report["corrected"], report["duplicates"]) == (1, 0, 2)
    assert NEW(A, "mp4") in report["named"]["duplicates"]
    assert len(swept.there()) == 4
    assert (await swept.scan())["duplicates"] == 2


@pytest_twisted.ensureDeferred
async def test_what_is_recorded_meanwhile_is_left_as_it_is(swept: Sweeping) -> None:
    swept.file(NEW(A, "mp4"))
    swept.file(NEW(B, "mp4"))
    await swept.record(A, NEW(A, "mp4"), verified=NOW)
    swept.hooked.unlisted.add(A)

    async def others_record(name: str) -> None:
        if name == "after get_many":
            await swept.record(B, NEW(B, "mp4"), verified=NOW)

    swept.hooked.hook = others_record
    report = await swept.scan()
    assert {each.verified for each in (await swept.records()).values()} == {NOW}
    assert (report["made"], report["corrected"], report["removed"]) == (0, 0, 0)


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_being_received_is_left_to_its_upload(swept: Sweeping) -> None:
    reception = swept.store.receive()
    path = await reception.commit([DATA[0]], A, "mp4")
    assert swept.there() == [path]
    report = await swept.scan()
    assert (report["files"], report["made"]) == (1, 0)
    assert await swept.records() == {}
    await reception.withdraw()
    assert swept.there() == []


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_being_removed_is_not_recorded_again(swept: Sweeping) -> None:
    swept.file(NEW(A, "mp4"))
    async with swept.store.volume.passage.going(A):
        report = await swept.scan()
    assert (report["files"], report["made"]) == (1, 0)
    assert await swept.records() == {}


@pytest.mark.parametrize("moment", ["before put_many", "after put_many"])
@pytest_twisted.ensureDeferred
async def test_a_removal_that_begins_and_ends_meanwhile_stands(
    moment: str, swept: Sweeping
) -> None:
    swept.file(NEW(A, "mp4"))
    swept.file(NEW(B, "mp4"))

    async def remove(name: str) -> None:
        if name == moment:
            swept.hooked.hook = nothing_more
            await swept.store.remove(A)

    swept.hooked.hook = remove
    report = await swept.scan()
    assert list(await swept.records()) == [B]
    assert report["made"] == (1 if moment == "before put_many" else 2)


@pytest_twisted.ensureDeferred
async def test_a_removal_that_has_begun_meanwhile_stands(swept: Sweeping) -> None:
    swept.file(NEW(A, "mp4"))
    going = swept.store.volume.passage.going(A)

    async def begin(name: str) -> None:
        if name == "before put_many":
            swept.hooked.hook = nothing_more
            await going.__aenter__()

    swept.hooked.hook = begin
    report = await swept.scan()
    await going.__aexit__(None, None, None)
    assert await swept.records() == {}
    assert report["made"] == 0


async def nothing_more(name: str) -> None:
    """What happens after it has happened."""


# Records without a file.


@pytest_twisted.ensureDeferred
async def test_records_without_a_file_go(swept: Sweeping) -> None:
    swept.file(NEW(A, "mp4"))
    await swept.record(A, NEW(A, "mp4"))
    await swept.record(B, NEW(B, "mp4"))
    await swept.record(C, "nonsense")
    report = await swept.scan()
    assert list(await swept.records()) == [A]
    assert (report["removed"], report["corrected"], report["made"]) == (2, 0, 0)


@pytest_twisted.ensureDeferred
async def test_records_of_other_stores_are_none_of_ours(swept: Sweeping) -> None:
    await swept.record(A, NEW(A, "mp4"))
    document = await swept.keeping.inventory.get(record_id(A, "p1", "s1"))
    assert document is not None
    other = record_id(A, "p1", "s2")
    await swept.keeping.inventory.put(other, {**document.body, "store": "s2"})
    report = await swept.scan()
    assert report["removed"] == 1
    assert await swept.keeping.inventory.get(other) is not None


@pytest_twisted.ensureDeferred
async def test_a_record_says_where_its_file_is(swept: Sweeping) -> None:
    swept.file(NEW(A, "mp4"))
    swept.file(OLD(B, "avi"))
    await swept.record(A, OLD(A, "mp4"), verified=7)
    await swept.record(B, NEW(B, "mp4"))
    report = await swept.scan()
    records = await swept.records()
    assert (report["corrected"], report["removed"], report["duplicates"]) == (2, 0, 0)
    assert (records[A].relative_path, records[A].verified) == (NEW(A, "mp4"), 7)
    assert records[B].relative_path == OLD(B, "avi")
    assert (records[B].mime_extension, records[B].mime_type) == ("avi", "video/x-msvideo")


@pytest_twisted.ensureDeferred
async def test_a_file_that_was_not_listed_is_there_all_the_same(swept: Sweeping) -> None:
    other = swept.keeping.folder / "other"
    other.mkdir()
    (swept.content / A[:2]).symlink_to(other)  # which no listing follows
    swept.file(NEW(A, "mp4"))
    await swept.record(A, NEW(A, "mp4"))
    report = await swept.scan()
    assert list(await swept.records()) == [A]
    assert (report["removed"], report["foreign"]) == (0, 1)


@pytest_twisted.ensureDeferred
async def test_a_record_that_others_have_written_meanwhile_stays(swept: Sweeping) -> None:
    await swept.record(A, NEW(A, "mp4"))

    async def upload(name: str) -> None:
        if name == "before put_many":
            swept.hooked.hook = nothing_more
            document = await swept.keeping.inventory.get(record_id(A, "p1", "s1"))
            assert document is not None
            swept.file(NEW(A, "mp4"))
            body = {**document.body, "verifiedAt": NOW}
            await swept.keeping.inventory.put(document.id, body, document.rev)

    swept.hooked.hook = upload
    report = await swept.scan()
    assert (await swept.records())[A].verified == NOW
    assert report["removed"] == 0


@pytest_twisted.ensureDeferred
async def test_a_record_that_others_have_removed_meanwhile_is_gone(swept: Sweeping) -> None:
    await swept.record(A, NEW(A, "mp4"))

    async def forget(name: str) -> None:
        if name == "before get_many":
            document = await swept.keeping.inventory.get(record_id(A, "p1", "s1"))
            assert document is not None
            await swept.keeping.inventory.delete(document.id, document.rev)

    swept.hooked.hook = forget
    assert (await swept.scan())["removed"] == 0


# A disk that is not there, or not to be read.


@pytest.mark.parametrize("moment", ["after held", "before get_many", "before look_for"])
@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_not_mounted_is_not_an_empty_disk(
    moment: str, swept: Sweeping
) -> None:
    root = swept.store.volume.disk.root
    swept.file(NEW(A, "mp4"))
    await swept.record(A, NEW(A, "mp4"))
    await swept.record(B, NEW(B, "mp4"))

    async def unmount(name: str) -> None:
        if name == moment and root.exists():
            root.rename(root.with_name("away"))
            (root / "content").mkdir(parents=True)

    swept.hooked.hook = unmount
    report = await swept.scan()
    assert sorted(await swept.records()) == sorted([A, B])
    assert report["state"] != "finished"
    assert "is not there" in report["error"]


@pytest.mark.parametrize("moment", ["before get_many", "after held"])
@pytest_twisted.ensureDeferred
async def test_another_folder_of_content_is_not_the_same(moment: str, swept: Sweeping) -> None:
    await swept.record(A, NEW(A, "mp4"))
    swept.file(NEW(A, "mp4"))
    away = swept.content.with_name("away")

    async def unmount(name: str) -> None:
        if name == moment and not away.exists():
            swept.content.rename(away)
            swept.content.mkdir()

    swept.hooked.unlisted.add(B)
    await swept.record(C, NEW(C, "mp4"))
    swept.hooked.hook = unmount
    report = await swept.scan()
    assert sorted(await swept.records()) == sorted([A, C])
    assert "is not the folder that it was" in report["error"]


@pytest_twisted.ensureDeferred
async def test_a_disk_that_went_and_came_meanwhile_is_begun_anew(swept: Sweeping) -> None:
    root = swept.store.volume.disk.root
    await swept.record(A, NEW(A, "mp4"))
    swept.file(NEW(B, "mp4"))

    async def mount_again(name: str) -> None:
        if name == "before get_many":
            swept.hooked.hook = nothing_more
            root.rename(root.with_name("before"))
            shutil.copytree(root.with_name("before"), root)

    swept.hooked.hook = mount_again
    report = await swept.scan()
    assert A in await swept.records()
    assert "is not the folder that it was" in report["error"]
    assert (await swept.scan())["removed"] == 1


@pytest_twisted.ensureDeferred
async def test_a_store_without_its_content_has_lost_nothing(swept: Sweeping) -> None:
    await swept.record(A, NEW(A, "mp4"))
    swept.content.rmdir()
    report = await swept.scan()
    assert list(await swept.records()) == [A]
    assert report["error"] is not None


@pytest_twisted.ensureDeferred
async def test_a_slice_that_cannot_be_read_keeps_its_records(
    swept: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (A, B):
        await swept.record(each, NEW(each, "mp4"))
    swept.file(f"{A[:2]}/{A[2:4]}/x")
    fail(monkeypatch, "scandir", errno.EIO, on=f"{swept.content}/{A[:2]}/")
    report = await swept.scan()
    assert list(await swept.records()) == [A]
    assert (report["removed"], report["unreadable"]) == (1, 1)
    assert "Input/output error" in report["named"]["unreadable"][0]


@pytest_twisted.ensureDeferred
async def test_a_record_whose_file_cannot_be_looked_for_stays(
    swept: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (A, B):
        await swept.record(each, NEW(each, "mp4"))
    fail(monkeypatch, "listdir", errno.EIO, on=f"content/{A[:2]}/")
    report = await swept.scan()
    assert list(await swept.records()) == [A]
    assert (report["removed"], report["unreadable"]) == (1, 1)
    assert A in report["named"]["unreadable"][0]


@pytest.mark.parametrize("moment", ["before being_received", "after put_many"])
@pytest_twisted.ensureDeferred
async def test_a_disk_that_goes_while_strays_are_looked_at_again_ends_it(
    moment: str, swept: Sweeping
) -> None:
    swept.file(NEW(A, "mp4"))
    root = swept.store.volume.disk.root

    async def unmount(name: str) -> None:
        if name == moment:
            root.rename(root.with_name("away"))

    swept.hooked.hook = unmount
    report = await swept.scan()
    assert list(await swept.records()) == ([A] if moment == "after put_many" else [])
    assert "is not there" in report["error"]


# Sizes.


@pytest_twisted.ensureDeferred
async def test_what_has_another_size_is_verified(swept: Sweeping) -> None:
    for each, data in zip((A, B, C), DATA, strict=False):
        swept.file(NEW(each, "mp4"), data)
        await swept.record(each, NEW(each, "mp4"), len(data))
    swept.file(NEW(B, "mp4"), DATA[1] + b"more")
    await swept.record(D, OLD(D, "mp4"), 1)
    swept.file(NEW(D, "mp4"), DATA[3])
    report = await swept.scan()
    records = await swept.records()
    assert sorted(records) == sorted([A, C, D])
    assert (records[D].size, records[D].relative_path) == (len(DATA[3]), NEW(D, "mp4"))
    assert records[D].verified is not None
    assert records[A].verified is None
    assert (report["corrupt"], report["corrected"], report["removed"]) == (1, 2, 0)
    assert swept.aside() == [f"{B}.mp4"]


@pytest_twisted.ensureDeferred
async def test_what_is_verified_may_change_meanwhile(
    swept: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {}
    for each, data in zip(HASHES, DATA, strict=True):
        places[each] = swept.file(NEW(each, "mp4"), data)
        await swept.record(each, NEW(each, "mp4"), 1)
    real = swept.store.verify

    async def verify(content_hash: str) -> Any:
        if content_hash == A:
            places[A].unlink()
        status = await real(content_hash)
        if content_hash == B:
            await swept.store.remove(B)
        if content_hash == C:
            raise Unavailable("C cannot be read")
        if content_hash == D:
            raise KeyError("size")
        return status

    monkeypatch.setattr(swept.store, "verify", verify)
    report = await swept.scan()
    assert (report["removed"], report["corrected"], report["unreadable"]) == (1, 1, 2)
    assert sorted(report["named"]["unreadable"]) == sorted(
        [f"{C}: C cannot be read", f"{D}: its record is none"]
    )
    assert sorted(await swept.records()) == sorted([C, D])


# Content that was removed.


@pytest_twisted.ensureDeferred
async def test_clones_from_before_a_removal_go_to_quarantine(swept: Sweeping) -> None:
    for each in (A, B):
        swept.file(NEW(each, "mp4"))
        await swept.record(each, NEW(each, "mp4"), created=NOW - 1000)
    for each in (C, D):
        swept.file(NEW(each, "mp4"), when=NOW - 1000)
    await swept.bury(A, NOW - 500)
    await swept.bury(B, NOW - 2000)
    await swept.bury(C, NOW - 500)
    await swept.bury(D, NOW - 2000)
    await swept.contents.change("0" * 40, lambda each: evolve(each, protected=True))
    report = await swept.scan()
    assert swept.aside() == sorted([f"{A}.mp4", f"{C}.mp4"])
    assert sorted(await swept.records()) == sorted([B, D])
    assert (report["buried"], report["made"], report["removed"]) == (2, 1, 0)
    why = json.loads((swept.store.volume.disk.quarantine / f"{A}.mp4.why.json").read_text())
    assert why["removed"] == NOW - 500


@pytest_twisted.ensureDeferred
async def test_what_came_since_is_recorded_as_what_it_is(swept: Sweeping) -> None:
    """The records are out of a backup, and tell of other clones before."""
    for each, when in ((A, NOW - 100), (B, NOW - 1000)):
        swept.file(NEW(each, "mp4"), when=when)
        await swept.record(each, NEW(each, "mp4"), created=NOW - 1000)
        await swept.bury(each, NOW - 500)
    report = await swept.scan()
    records = await swept.records()
    assert {each: record.created for each, record in records.items()} == {A: NOW - 100}
    assert (report["corrected"], report["buried"]) == (1, 1)
    again = await swept.scan()
    assert (again["corrected"], again["buried"]) == (0, 0)


@pytest_twisted.ensureDeferred
async def test_content_that_is_wanted_again_stays(
    swept: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (A, B, C):
        swept.file(NEW(each, "mp4"))
        await swept.record(each, NEW(each, "mp4"))
        await swept.bury(each, NOW)
    real = swept.contents.get_many

    async def get_many(hashes: Any) -> Any:
        return {**await real(hashes), A: Content(A)}

    async def set_aside(content_hash: str, removed: int) -> int:
        raise Conflict("newer") if content_hash == B else Unavailable("it is coming")

    monkeypatch.setattr(swept.contents, "get_many", get_many)
    monkeypatch.setattr(swept.store.burial, "set_aside", set_aside)
    report = await swept.scan()
    assert len(await swept.records()) == 3
    assert (report["buried"], report["unreadable"]) == (0, 1)
    assert report["named"]["unreadable"] == [f"{C}: it is coming"]


# How much of it at once.


@pytest_twisted.ensureDeferred
async def test_requests_do_not_grow_with_the_files(swept: Sweeping) -> None:
    for number in range(2500):
        content_hash = hashlib.sha1(b"%d" % number).hexdigest()
        swept.file(NEW(content_hash, "mp4"), b"")
    await swept.scan()
    assert len(await swept.records()) == 2500
    assert swept.hooked.asked == {"held": 1, "get_many": 3, "put_many": 3}
    swept.hooked.asked.clear()
    report = await swept.scan()
    assert (report["files"], report["made"]) == (2500, 0)
    assert swept.hooked.asked == {"held": 3}
    for path in swept.there()[:2000]:
        (swept.content / path).unlink()
    swept.hooked.asked.clear()
    report = await swept.scan()
    assert (report["files"], report["removed"]) == (500, 2000)
    assert swept.hooked.asked["get_many"] <= 3
    assert swept.hooked.asked["put_many"] <= 3


@pytest_twisted.ensureDeferred
async def test_one_slice_may_hold_more_than_a_batch(swept: Sweeping) -> None:
    for number in range(2100):
        swept.file(NEW(f"0a0b{number:036x}", "mp4"), b"")
    report = await swept.scan("unix")
    assert report["made"] == 2100
    assert swept.hooked.asked["put_many"] == 3
    assert (await swept.scan("unix"))["made"] == 0


@pytest_twisted.ensureDeferred
async def test_a_sweep_keeps_to_its_pace(tmp_path: Path) -> None:
    swept = await Sweeping.begin(tmp_path, files=10, requests=2)
    for number in range(30):
        swept.file(NEW(hashlib.sha1(b"%d" % number).hexdigest(), "mp4"))
    await swept.sweeps.scan("native", fast=False)
    clock = swept.keeping.clock
    passed = 0.0
    while (await swept.sweeps.status())["state"] == "running":
        clock.advance(0.1)
        passed += 0.1
    assert 2.9 <= passed <= 6
    report = await swept.sweeps.status()
    assert report["seconds"] == pytest.approx(passed, abs=0.2)
    assert report["made"] == 30


# How far it is.


@pytest_twisted.ensureDeferred
async def test_how_far_it_is_is_kept_every_few_seconds(swept: Sweeping) -> None:
    kept = []
    path = swept.store.volume.disk.root / "oose-sweep.json"

    async def time_passes(name: str) -> None:
        if name == "before _take_step":
            swept.keeping.clock.advance(1)
        if name == "after keep_on":
            kept.append(json.loads(path.read_text()))

    swept.file(NEW(A, "mp4"))
    swept.hooked.hook = time_passes
    report = await swept.scan()
    assert 30 < len(kept) < 60
    assert [each["next"] for each in kept] == sorted(each["next"] for each in kept)
    assert {each["finishedAt"] for each in kept[:-1]} == {None}
    assert kept[-1]["finishedAt"] == report["finishedAt"] == swept.keeping.now()
    assert kept[-1]["made"] == 1
    assert report["seconds"] >= 257
    assert report["rate"] == round(report["files"] / report["seconds"], 1)
    assert sweep.KEEP_EVERY == 5


# Next to nothing on the disk.


@pytest.mark.parametrize("there", [0, 2])
@pytest_twisted.ensureDeferred
async def test_where_nearly_all_is_gone_no_record_is_removed_unasked(
    there: int, swept: Sweeping
) -> None:
    names = [hashlib.sha1(b"%d" % number).hexdigest() for number in range(32)]
    for each in names:
        await swept.record(each, NEW(each, "mp4"))
    for each in names[:there]:
        swept.file(NEW(each, "mp4"))
    report = await swept.scan()
    assert (report["state"], report["removed"]) == ("interrupted", 0)
    assert f"has {there or 'none'} of at least {32 - there} files" in report["error"]
    assert len(await swept.records()) == 32
    await swept.sweeps.scan("native", fast=False, empty=True)
    await swept.sweeps.ended()
    report = await swept.sweeps.status()
    assert (report["state"], report["error"]) == ("finished", None)
    assert (report["removed"], len(await swept.records())) == (32 - there, there)


@pytest_twisted.ensureDeferred
async def test_files_that_are_still_to_be_listed_count_too(swept: Sweeping) -> None:
    gone = ["00" + hashlib.sha1(b"%d" % number).hexdigest()[2:] for number in range(BATCH)]
    for each in gone:
        await swept.record(each, NEW(each, "mp4"))
    left = ["ff" + each[2:] for each in gone[: BATCH // 10]]
    for each in left:
        swept.file(NEW(each, "mp4"))
    report = await swept.scan()
    assert (report["state"], report["removed"]) == ("finished", BATCH)
    assert sorted(await swept.records()) == sorted(left)
