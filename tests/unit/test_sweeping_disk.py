"""The sweeps of one disk: when they are due, those that are asked for, and how they stand."""

import errno
import hashlib
import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from oose.address import relative_path
from oose.errors import BadInput, Unavailable
from oose.inventory import Inventory
from oose.pool import Inline
from oose.sweeping import disk_sweeps
from oose.sweeping.counts import Counts
from oose.sweeping.disk_sweeps import DiskSweeps, in_words
from oose.sweeping.report import Report, load, save
from tests.unit.logged import logged
from tests.unit.sweeping import Sweeping, nothing

A, B = (hashlib.sha1(each).hexdigest() for each in (b"a", b"b"))
HOUR = 3600.0


@pytest_twisted.async_yield_fixture
async def swept(tmp_path: Path) -> Any:
    made = await Sweeping.begin(tmp_path, frequency=6 * HOUR)
    made.file(relative_path(A, "mp4"))
    yield made
    await made.sweeps.stop()


def state_file(swept: Sweeping) -> Path:
    return swept.store.volume.disk.root / "oose-sweep.json"


def kept(swept: Sweeping) -> Any:
    return json.loads(state_file(swept).read_text())


class Held:
    """Holds a sweep where it is called `name`, until it is let go."""

    def __init__(self, swept: Sweeping, name: str) -> None:
        self.gate: Deferred[None] | None = Deferred()
        self._name = name
        swept.hooked.hook = self

    async def __call__(self, name: str) -> None:
        if name == self._name and self.gate is not None:
            await self.gate

    def let_go(self) -> None:
        gate, self.gate = self.gate, None
        assert gate is not None
        gate.callback(None)


# Due.


@pytest_twisted.ensureDeferred
async def test_a_disk_that_was_never_swept_is(swept: Sweeping) -> None:
    assert (await swept.sweeps.status())["state"] == "never"
    assert swept.sweeps.describe()["files"] == 0
    await swept.sweeps.round()
    assert list(await swept.records()) == [A]
    assert kept(swept)["finishedAt"] == swept.keeping.now()
    assert (await swept.sweeps.status())["state"] == "finished"


@pytest_twisted.ensureDeferred
async def test_it_is_swept_again_after_a_while(swept: Sweeping) -> None:
    await swept.sweeps.round()
    begun = kept(swept)["begunAt"]
    swept.keeping.clock.advance(6 * HOUR - 1)
    await swept.sweeps.round()
    assert kept(swept)["begunAt"] == begun
    swept.restart()
    await swept.sweeps.round()
    assert kept(swept)["begunAt"] == begun
    swept.keeping.clock.advance(1)
    await swept.sweeps.round()
    assert kept(swept)["begunAt"] == swept.keeping.now()


@pytest_twisted.ensureDeferred
async def test_so_it_is_where_the_last_was_in_the_future(swept: Sweeping) -> None:
    root = swept.store.volume.disk.root
    save(Report(begun=0, next=257, finished=swept.keeping.now() + 10**6), root)
    await swept.sweeps.round()
    assert kept(swept)["finishedAt"] == swept.keeping.now()


@pytest_twisted.ensureDeferred
async def test_one_that_a_restart_has_cut_short_goes_on(swept: Sweeping) -> None:
    past, to_come = "3f" + "a" * 38, "40" + "a" * 38
    counts = Counts(files=70, bytes=7, foreign=1, named={"foreign": ["x"]})
    save(Report(begun=5, next=0x40, seconds=100, counts=counts), swept.store.volume.disk.root)
    for each in (past, to_come):
        swept.file(relative_path(each, "mp4"))
    await swept.record(past[:-1] + "b", relative_path(past[:-1] + "b", "mp4"))
    await swept.record(to_come[:-1] + "b", relative_path(to_come[:-1] + "b", "mp4"))
    assert (await swept.sweeps.status())["state"] == "interrupted"
    await swept.sweeps.round()
    assert sorted(await swept.records()) == sorted([past[:-1] + "b", to_come, A])
    now = kept(swept)
    assert (now["begunAt"], now["files"], now["foreign"], now["removed"]) == (5, 72, 1, 1)
    assert now["seconds"] == 100
    assert now["finishedAt"] is not None


@pytest.mark.parametrize("number", [256, 257])
@pytest_twisted.ensureDeferred
async def test_one_that_was_cut_short_at_its_very_end_ends(number: int, swept: Sweeping) -> None:
    save(Report(begun=5, next=number), swept.store.volume.disk.root)
    swept.file("foreign")
    await swept.sweeps.round()
    assert kept(swept)["begunAt"] == 5
    assert kept(swept)["finishedAt"] is not None
    assert kept(swept)["foreign"] == (1 if number == 256 else 0)
    assert await swept.records() == {}


GOOD = {
    "version": 1,
    "begunAt": 5,
    "finishedAt": None,
    "driver": "unix",
    "next": 200,
    "seconds": 1,
    **Counts().to_json(),
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\x00\xff",
        json.dumps({**GOOD, "version": 2}),
        json.dumps({**GOOD, "next": 258}),
        json.dumps({**GOOD, "next": -1}),
        json.dumps({**GOOD, "next": "a"}),
        json.dumps({**GOOD, "named": 7}),
        json.dumps({**GOOD, "files": None}),
        json.dumps({key: each for key, each in GOOD.items() if key != "begunAt"}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_state_that_cannot_be_understood_begins_anew(text: str, swept: Sweeping) -> None:
    state_file(swept).write_text(text, encoding="latin-1")
    await swept.sweeps.round()
    assert list(await swept.records()) == [A]
    assert kept(swept)["begunAt"] == swept.keeping.now()


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    counts = Counts(1, 2, 3, 4, 5, 6, 7, named={"foreign": ["a\nb", "\udcff"]})
    report = Report(5, "unix", 17, 2.5, 7, counts)
    save(report, tmp_path)
    (tmp_path / ".oose-sweep.json.0badcafe").write_text("left by a crash")
    assert load(tmp_path) == report
    assert [each.name for each in tmp_path.iterdir()] == ["oose-sweep.json"]


@pytest_twisted.ensureDeferred
async def test_a_disk_that_comes_back_is_swept_anew(swept: Sweeping) -> None:
    await swept.sweeps.round()
    root = swept.store.volume.disk.root
    root.rename(root.with_name("away"))
    swept.keeping.clock.advance(60)
    await swept.store.look()
    await swept.sweeps.round()
    root.with_name("away").rename(root)
    swept.file(relative_path(B, "mp4"))
    await swept.store.look()
    await swept.sweeps.round()
    assert sorted(await swept.records()) == sorted([A, B])
    assert kept(swept)["begunAt"] == swept.keeping.now()
    swept.keeping.clock.advance(60)
    await swept.sweeps.round()
    assert kept(swept)["begunAt"] != swept.keeping.now()


@pytest_twisted.ensureDeferred
async def test_so_is_one_that_was_away_at_the_start(tmp_path: Path) -> None:
    swept = await Sweeping.begin(tmp_path)
    swept.file(relative_path(A, "mp4"))
    later = swept.keeping.holdings()
    sweeps = DiskSweeps(later, swept.means)
    sweeps.start()
    await sweeps.round()
    assert (await sweeps.status())["state"] == "never"
    swept.store.volume.release()
    save(Report(begun=5, next=257, finished=swept.keeping.now()), later.volume.disk.root)
    await later.enroll()
    await sweeps.round()
    assert list(await swept.records()) == [A]


@pytest_twisted.ensureDeferred
async def test_a_sweep_that_a_disk_has_left_begins_anew(swept: Sweeping) -> None:
    save(Report(begun=5, next=0x40), swept.store.volume.disk.root)
    root = swept.store.volume.disk.root

    async def unmount(name: str) -> None:
        if name == "after held" and root.exists():
            root.rename(root.with_name("away"))

    swept.hooked.hook = unmount
    await swept.record(B, relative_path(B, "mp4"))
    with logged("warn") as warned:
        await swept.sweeps.round()
    assert len(warned) == 1
    await swept.store.look()
    root.with_name("away").rename(root)
    swept.hooked.hook = Held(swept, "never")
    await swept.store.look()
    await swept.sweeps.round()
    assert kept(swept)["begunAt"] == swept.keeping.now()
    assert list(await swept.records()) == [A]
    assert (await swept.sweeps.status())["error"] is None


@pytest_twisted.ensureDeferred
async def test_what_stands_in_its_way_is_said_once(swept: Sweeping) -> None:
    async def refuse(name: str) -> None:
        if name == "before held":
            raise Unavailable("The database does not answer")

    swept.hooked.hook = refuse
    with logged("warn") as warned:
        for _ in range(3):
            await swept.sweeps.round()
    assert warned == ["p1:s1 is not swept: The database does not answer"]
    status = await swept.sweeps.status()
    assert (status["state"], status["error"]) == ("interrupted", "The database does not answer")


@pytest_twisted.ensureDeferred
async def test_one_that_could_not_even_begin_is_not_taken_for_the_last(swept: Sweeping) -> None:
    await swept.sweeps.round()
    swept.keeping.clock.advance(60)
    swept.file(relative_path(B, "mp4"))

    async def refuse(name: str) -> None:
        if name == "before held":
            raise Unavailable("The database does not answer")

    swept.hooked.hook = refuse
    await swept.sweeps.scan("native", fast=False)
    status = await swept.sweeps.status()
    assert (status["state"], status["begunAt"]) == ("interrupted", swept.keeping.now())
    swept.hooked.hook = Held(swept, "never")
    again = DiskSweeps(swept.store, swept.means)
    again.start()
    await again.round()
    assert sorted(await swept.records()) == sorted([A, B])
    assert kept(swept)["begunAt"] == status["begunAt"]


@pytest_twisted.ensureDeferred
async def test_what_nobody_expected_is_said_and_ends_it(swept: Sweeping) -> None:
    async def fail_oddly(name: str) -> None:
        if name == "before held":
            raise ZeroDivisionError

    swept.hooked.hook = fail_oddly
    with logged("critical") as said:
        await swept.sweeps.round()
    assert said == ["p1:s1: the sweep failed"]


@pytest_twisted.ensureDeferred
async def test_without_its_driver_there_is_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = await Sweeping.begin(tmp_path, driver="unix")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with logged("warn") as warned:
        await swept.sweeps.round()
    assert "GNU find" in warned[0]
    with pytest.raises(Unavailable, match="GNU find"):
        await swept.sweeps.scan("unix", fast=False)
    assert (await swept.sweeps.scan("auto", fast=True))["driver"] == "native"


# Keeping it.


@pytest_twisted.ensureDeferred
async def test_where_it_cannot_be_kept_it_is_known_as_long_as_the_process_lives(
    swept: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(report: Report, root: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(disk_sweeps, "save", refuse)
    with logged("warn") as warned:
        await swept.sweeps.round()
    assert len(warned) == 1
    assert "Read-only" in warned[0]
    begun = (await swept.sweeps.status())["begunAt"]
    swept.keeping.clock.advance(60)
    await swept.sweeps.round()
    assert (await swept.sweeps.status())["begunAt"] == begun


class Unmounting(Inline):
    """A disk's pool; after so many calls an empty folder is where the disk was."""

    def __init__(self, root: Path, left: int) -> None:
        self.root = root
        self.left = left

    async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        self.left -= 1
        if self.left == 0:
            self.root.rename(self.root.with_name("away"))
            self.root.mkdir()
        return result


@pytest_twisted.ensureDeferred
async def test_it_is_kept_on_the_disk_or_nowhere(swept: Sweeping) -> None:
    volume = swept.store.volume
    anything: Any = volume
    root = volume.disk.root
    anything.pool = pool = Unmounting(root, 10_000)
    await swept.sweeps.round()
    for left in count(10_000 - pool.left - 20):
        swept.keeping.clock.advance(6 * HOUR)
        anything.pool = pool = Unmounting(root, left)
        await swept.sweeps.round()
        if pool.left > 0:
            break
        assert list(root.iterdir()) == []
        root.rmdir()
        root.with_name("away").rename(root)


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_read_of_it_begins_anew(
    swept: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk_sweeps, "load", refuse)
    with logged("warn") as warned:
        await swept.sweeps.round()
    assert "Input/output error" in warned[0]
    assert list(await swept.records()) == [A]


# Asked for.


@pytest_twisted.ensureDeferred
async def test_whoever_asks_joins_the_sweep_under_way(swept: Sweeping) -> None:
    held = Held(swept, "before held")
    first = await swept.sweeps.scan("native", fast=False)
    assert (first["state"], first["slice"], first["store"]) == ("running", 0, "p1:s1")
    assert swept.sweeps.describe()["running"] is True
    swept.keeping.clock.advance(2)
    second = await swept.sweeps.scan("unix", fast=False)
    assert (second["begunAt"], second["driver"], second["seconds"]) == (
        first["begunAt"],
        "native",
        2,
    )
    await swept.sweeps.round()  # one is enough
    assert swept.hooked.asked == {"held": 1}
    held.let_go()
    await swept.sweeps.ended()
    assert (await swept.sweeps.status())["state"] == "finished"


@pytest_twisted.ensureDeferred
async def test_who_asks_while_it_ends_is_told_how_it_ended(swept: Sweeping) -> None:
    held = Held(swept, "after load")
    asked = Deferred.fromCoroutine(swept.sweeps.status())
    swept.hooked.hook = nothing
    await swept.scan()
    held.let_go()
    assert (await asked)["state"] == "finished"


@pytest_twisted.ensureDeferred
async def test_those_who_ask_at_once_get_one_sweep(swept: Sweeping) -> None:
    choosing, sweeping = Held(swept, "before choose"), Held(swept, "before held")

    async def both(name: str) -> None:
        await choosing(name)
        await sweeping(name)

    swept.hooked.hook = both
    asked: list[Deferred[Any]] = [
        Deferred.fromCoroutine(swept.sweeps.scan("native", fast=False)),
        Deferred.fromCoroutine(swept.sweeps.round()),
        Deferred.fromCoroutine(swept.sweeps.scan("native", fast=True)),
    ]
    choosing.let_go()
    assert [each.called for each in asked] == [True, False, True]
    sweeping.let_go()
    await asked[1]
    assert swept.hooked.asked["held"] == 1


@pytest_twisted.ensureDeferred
async def test_who_is_in_a_hurry_hurries_all(tmp_path: Path) -> None:
    swept = await Sweeping.begin(tmp_path, files=1, requests=1)
    for number in range(30):
        swept.file(relative_path(hashlib.sha1(b"%d" % number).hexdigest(), "mp4"))
    await swept.sweeps.scan("native", fast=False)
    assert (await swept.sweeps.status())["state"] == "running"
    await swept.sweeps.scan("native", fast=True)
    swept.keeping.clock.advance(5)  # what is waited for already
    assert (await swept.sweeps.status())["state"] == "finished"
    assert len(await swept.records()) == 30


@pytest_twisted.ensureDeferred
async def test_who_believes_the_disk_does_so_for_all(swept: Sweeping) -> None:
    for number in range(30):
        content_hash = hashlib.sha1(b"%d" % number).hexdigest()
        await swept.record(content_hash, relative_path(content_hash, "mp4"))
    held = Held(swept, "before held")
    await swept.sweeps.scan("native", fast=False)
    await swept.sweeps.scan("native", fast=False, empty=True)
    held.let_go()
    await swept.sweeps.ended()
    assert list(await swept.records()) == [A]


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_done_is_refused(swept: Sweeping) -> None:
    with pytest.raises(BadInput, match="'windows'"):
        await swept.sweeps.scan("windows", fast=False)
    root = swept.store.volume.disk.root
    root.rename(root.with_name("away"))
    await swept.store.look()
    with pytest.raises(Unavailable, match="is not there"):
        await swept.sweeps.scan("native", fast=False)
    root.with_name("away").rename(root)
    await swept.store.look()
    await swept.sweeps.stop()
    with pytest.raises(Unavailable, match="stopping"):
        await swept.sweeps.scan("native", fast=False)
    await swept.sweeps.round()
    assert not state_file(swept).exists()


# The end.


@pytest_twisted.ensureDeferred
async def test_a_stop_cuts_it_short_and_waits(swept: Sweeping) -> None:
    Held(swept, "before held")
    await swept.sweeps.scan("unix", fast=False)
    waiting = Deferred.fromCoroutine(swept.sweeps.ended())
    left = Deferred.fromCoroutine(swept.sweeps.ended())
    left.cancel()
    _ = left.addErrback(lambda failure: failure.trap(CancelledError))
    with logged("warn") as warned, logged("critical") as said:
        await swept.sweeps.stop()
    assert waiting.called
    assert (warned, said) == ([], [])
    assert (await swept.sweeps.status())["state"] == "interrupted"


# The service.


@pytest_twisted.ensureDeferred
async def test_all_disks_are_asked_every_ten_seconds(tmp_path: Path) -> None:
    swept = await Sweeping.begin(tmp_path)
    swept.file(relative_path(A, "mp4"))
    other = await swept.keeping.start("s2")
    service = Inventory([swept.store, other], swept.means)
    service.start()
    swept.keeping.clock.advance(9)
    assert await swept.records() == {}
    swept.keeping.clock.advance(1)
    assert list(await swept.records()) == [A]
    for sweeps in service.sweeps.values():
        assert sweeps.describe()["finishedAt"] == swept.keeping.now()
    swept.keeping.clock.advance(60)
    Held(swept, "before held")
    asked = service.sweeps["p1:s1"]
    await asked.scan("native", fast=False)
    await service.stop()
    assert not asked.describe()["running"]
    assert swept.keeping.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_where_it_is_not_enabled_only_what_is_asked_for_is_done(tmp_path: Path) -> None:
    swept = await Sweeping.begin(tmp_path, enabled=False)
    swept.file(relative_path(A, "mp4"))
    service = Inventory([swept.store], swept.means)
    service.start()
    swept.keeping.clock.advance(600)
    assert await swept.records() == {}
    await service.sweeps["p1:s1"].scan("native", fast=True)
    assert list(await swept.records()) == [A]
    await service.stop()


# In words.


@pytest_twisted.ensureDeferred
async def test_a_sweep_ends_with_one_line(swept: Sweeping) -> None:
    with logged("info") as said:
        await swept.sweeps.round()
    assert said == ["p1:s1: 1 file, 0.0 GB, swept in 0 s (0 files/s): 1 recorded"]
    report = Report(0, seconds=10, counts=Counts(files=5000, bytes=2 * 10**9))
    assert in_words(report) == "5000 files, 2.0 GB, swept in 10 s (500 files/s): all as recorded"
    report.counts = Counts(0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
    assert in_words(report).endswith(
        "1 recorded, 2 corrected, 3 gone, 4 corrupt, 5 removed before, 7 twice there, 6 foreign,"
        " 8 not to be read"
    )
