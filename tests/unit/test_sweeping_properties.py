"""Whatever lies on a disk and in its records, and whatever happens meanwhile, a sweep mends it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest_twisted
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError

from oose.address import old_relative_path, relative_path
from oose.cloning import write_records
from oose.errors import NotFound, Unavailable
from oose.metadata.records import InventoryRecord
from oose.receiving import Reception
from tests.unit.at_once import at_once
from tests.unit.keeping import NOW
from tests.unit.sweeping import (
    ENTRIES,
    HASHES,
    PLACES,
    Entry,
    Sweeping,
    expected,
    make,
    nothing,
)

SIZE = 4
PATHS = PLACES | st.sampled_from(["nonsense", "", "../../etc/passwd"])  # also another's
RECORDS = st.dictionaries(st.sampled_from(HASHES), PATHS, max_size=8)


# Any disk, any records.


@settings(max_examples=15)
@given(ENTRIES, RECORDS, st.sampled_from(["unix", "native"]))
def test_disk_and_records_agree_after_a_sweep(
    entries: Sequence[Entry], recorded: dict[str, str], driver: str
) -> None:
    at_once(agree(entries, recorded, driver))


async def agree(entries: Sequence[Entry], recorded: dict[str, str], driver: str) -> None:
    with TemporaryDirectory() as folder:
        swept = await Sweeping.begin(Path(folder))
        same_size = [
            (path, "file" if kind == "empty" else kind, SIZE, when)
            for path, kind, _, when in entries
        ]
        make(swept.content, same_size)
        files, strangers, links = expected(swept.content)
        by_hash: dict[str, set[str]] = {}
        for each in files:
            by_hash.setdefault(each.hash, set()).add(each.path)
        for content_hash, path in recorded.items():
            await swept.record(content_hash, path, SIZE)
        before = await swept.keeping.inventory.range("", "\uffff")
        report = await swept.scan(driver)
        after = {each.body["hash"]: each for each in await swept.keeping.inventory.range("", "~")}
        assert {key: each.body["relativePath"] in by_hash[key] for key, each in after.items()} == (
            dict.fromkeys(by_hash, True)
        )
        good = [
            each for each in before if each.body["relativePath"] in by_hash.get(hash_of(each), ())
        ]
        assert [after[hash_of(each)] for each in good] == good
        assert expected(swept.content) == (files, strangers, links)
        gone = [each for each in before if hash_of(each) not in by_hash]
        known = {hash_of(each) for each in before}
        assert report["files"] == len(files)
        assert (report["foreign"], report["links"]) == (len(strangers), links)
        assert report["made"] == len(by_hash.keys() - known)
        assert report["removed"] == len(gone)
        assert report["corrected"] == len(before) - len(good) - len(gone)
        assert report["duplicates"] <= len(files) - len(by_hash)
        again = await swept.scan(driver)
        assert [again[key] for key in ("made", "removed", "corrected")] == [0, 0, 0]
        assert again["duplicates"] == len(files) - len(by_hash)


def hash_of(document: Any) -> str:
    return str(document.body["hash"])


# Cut short at any moment.

DATA = [f"content {number}".encode() for number in range(9)]
A, B, C, D, E, F, G, H, I = (hashlib.sha1(each).hexdigest() for each in DATA)  # noqa: E741
NEW, OLD = relative_path, old_relative_path


class Cut(Exception):
    """What a test cuts a sweep short with."""


@define
class Cutting:
    """Cuts a sweep short at its moment number `at`; where `error` is None nothing does."""

    at: int = -1
    error: type[BaseException] | None = None
    moments: list[str] = field(factory=list)

    async def __call__(self, name: str) -> None:
        if name.endswith("_take_step"):
            return  # there are hundreds
        self.moments.append(name)
        if len(self.moments) - 1 == self.at and self.error is not None:
            raise self.error("cut")


async def all_kinds(folder: Path) -> Sweeping:
    """A store where nothing is as it should be."""
    swept = await Sweeping.begin(folder)
    swept.file(NEW(A, "mp4"), DATA[0])
    swept.file(OLD(A, "mp4"), DATA[0])
    await swept.record(B, NEW(B, "mp4"))
    swept.file(NEW(C, "mp4"), DATA[2])
    await swept.record(C, OLD(C, "mp4"), len(DATA[2]))
    swept.file(NEW(D, "mp4"), DATA[3] + b"rotten")
    await swept.record(D, NEW(D, "mp4"), len(DATA[3]))
    swept.file(NEW(E, "mp4"), DATA[4])
    await swept.record(E, NEW(E, "mp4"), 1)
    swept.file(NEW(F, "mp4"), DATA[5])
    await swept.record(F, NEW(F, "mp4"), len(DATA[5]))
    await swept.bury(F)
    swept.file(NEW(G, "mp4"), DATA[6])
    await swept.bury(G)
    swept.file(NEW(H, "mp4"), DATA[7])
    await swept.record(H, NEW(H, "mp4"), len(DATA[7]), verified=7)
    swept.file("foreign", b"")
    return swept


async def outcome(swept: Sweeping) -> Any:
    """How it is in the end, but for which of two files of one hash is recorded."""
    records = {
        key: (each.size, each.verified, "" if key == A else each.relative_path)
        for key, each in (await swept.records()).items()
    }
    return records, swept.there(), swept.aside()


ERRORS = [Unavailable, Cut, CancelledError]


@pytest_twisted.ensureDeferred
async def test_a_sweep_that_is_cut_short_anywhere_is_brought_to_its_end(tmp_path: Path) -> None:
    whole = Cutting()
    swept = await all_kinds(folder_of(tmp_path, "whole"))
    swept.hooked.hook = whole
    await swept.sweeps.round()
    wanted = await outcome(swept)
    assert wanted == (
        {
            A: (len(DATA[0]), None, ""),
            C: (len(DATA[2]), None, NEW(C, "mp4")),
            E: (len(DATA[4]), NOW, NEW(E, "mp4")),
            H: (len(DATA[7]), 7, NEW(H, "mp4")),
        },
        sorted([*(NEW(each, "mp4") for each in (A, C, E, H)), OLD(A, "mp4"), "foreign"]),
        sorted(f"{each}.mp4" for each in (D, F, G)),
    )
    assert len(whole.moments) > 30
    for number, moment in enumerate(whole.moments):
        swept = await all_kinds(folder_of(tmp_path, str(number)))
        swept.hooked.hook = Cutting(number, ERRORS[number % len(ERRORS)])
        try:
            await swept.sweeps.round()
        except (Cut, Unavailable, CancelledError):
            assert moment.endswith(("choose", "load")), moment
        swept.hooked.hook = nothing
        swept.restart()
        await swept.sweeps.round()
        status = await swept.sweeps.status()
        assert status["state"] == "finished", moment
        if status["unreadable"]:  # what went wrong was taken for that of one file
            await swept.scan()
        if D in await swept.records():  # between its removal from the records and from the disk
            assert await swept.store.verify(D) == "corrupt"
        assert await outcome(swept) == wanted, moment


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


# Uploads and removals meanwhile.

UPLOADED = list(zip((A, B, C, D), DATA, strict=False))
MOMENTS = st.integers(0, 700)
EVENTS = st.lists(
    st.tuples(MOMENTS, st.integers(0, 3), st.sampled_from(["upload", "upload", "remove"])),
    max_size=16,
)


@define
class Traffic:
    """Uploads that go on step by step, and removals, each at a moment of a sweep."""

    swept: Sweeping
    events: list[tuple[int, int, str]]
    moment: int = -1
    uploads: dict[int, tuple[int, Reception]] = field(factory=dict)
    acknowledged: set[int] = field(factory=set)

    async def __call__(self, name: str) -> None:
        self.moment += 1
        now = [each for each in self.events if each[0] == self.moment]
        hook, self.swept.hooked.hook = self.swept.hooked.hook, nothing  # what these do is their own
        for _, number, event in now:
            if event == "upload":
                await self.upload(number)
            elif number not in self.uploads:
                await self.remove(number)
        self.swept.hooked.hook = hook

    async def upload(self, number: int) -> None:
        """One step further: visible, recorded, confirmed."""
        content_hash, data = UPLOADED[number]
        step, reception = self.uploads.get(number, (0, None))
        if reception is None:
            reception = self.swept.store.receive()
            await reception.commit([data], content_hash, "mp4")
        elif step == 1:
            record = InventoryRecord(
                content_hash,
                "p1",
                "s1",
                "video/mp4",
                "mp4",
                NEW(content_hash, "mp4"),
                len(data),
                NOW,
            )
            await write_records(self.swept.keeping.inventory, [evolve(record, verified=NOW)])
        else:
            await reception.confirm()
            self.acknowledged.add(number)
            del self.uploads[number]
            return
        self.uploads[number] = (step + 1, reception)

    async def remove(self, number: int) -> None:
        self.acknowledged.discard(number)
        try:
            await self.swept.store.remove(UPLOADED[number][0])
        except NotFound:
            return


@settings(max_examples=20)
@given(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3)), EVENTS)
def test_uploads_and_removals_meanwhile_are_never_misjudged(
    files: set[int], records: set[int], events: list[tuple[int, int, str]]
) -> None:
    at_once(judge(files, records, events))


async def judge(files: set[int], records: set[int], events: list[tuple[int, int, str]]) -> None:
    with TemporaryDirectory() as folder:
        swept = await Sweeping.begin(Path(folder))
        for number in files:
            content_hash, data = UPLOADED[number]
            swept.file(NEW(content_hash, "mp4"), data)
        for number in records:
            content_hash, data = UPLOADED[number]
            await swept.record(content_hash, NEW(content_hash, "mp4"), len(data))
        traffic = Traffic(swept, events)
        swept.hooked.hook = traffic
        await swept.scan()
        swept.hooked.hook = nothing
        await agreed(traffic)
        for number in list(traffic.uploads):
            while number in traffic.uploads:
                await traffic.upload(number)
        report = await swept.scan()
        assert [report[key] for key in ("made", "removed", "corrected")] == [0, 0, 0]
        await agreed(traffic)


async def agreed(traffic: Traffic) -> None:
    """What is there is recorded, but for what is being uploaded; what was acknowledged is there."""
    coming = {UPLOADED[number][0] for number in traffic.uploads}
    there = {path.rpartition("/")[2].partition(".")[0] for path in traffic.swept.there()}
    recorded = await traffic.swept.records()
    assert there - coming == recorded.keys() - coming
    for number in traffic.acknowledged:
        content_hash = UPLOADED[number][0]
        assert content_hash in there
        assert recorded[content_hash].verified == NOW
