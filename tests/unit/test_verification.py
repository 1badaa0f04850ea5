"""The service, on a real folder and database, with time in the test's hands."""

import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve, field
from twisted.internet.defer import Deferred

from oose.disk import IDENTITY
from oose.errors import BadInput, Unavailable
from oose.holdings import Holdings
from oose.metadata.records import InventoryRecord
from oose.settings.model import InventorySettings
from oose.verifying import due, verification
from oose.verifying.verification import DAY, REST, Bounds, Verification
from oose.verifying.verifier import IN_A_ROW
from tests.unit.faults import fail_reading
from tests.unit.keeping import NOW, Keeping
from tests.unit.logged import logged
from tests.unit.test_verifier import path_of, rewrite, uploaded

WEEK = 7 * DAY
TICK = 5.0  # seconds in which whoever verifies has looked what is due
EACH_WEEK = Bounds(WEEK, None, None)


@define
class Scene:
    """A store with files, and what verifies it."""

    keeping: Keeping
    store: Holdings
    verification: Verification
    asked: list[str] = field(factory=list)

    async def put(self, count: int, *, size: int = 10, age: float = 0.0) -> list[InventoryRecord]:
        """Files that were verified so many seconds ago, in the order of their hashes."""
        records = []
        for number in range(count):
            data = b"%d" % number
            record = await uploaded(self.keeping, self.store, data + b"x" * (size - len(data)))
            old = evolve(record, verified=self.keeping.now() - int(age * 1000))
            await rewrite(self.keeping, self.store, old)
            records.append(old)
        return sorted(records, key=lambda record: record.hash)

    async def verified(self, record: InventoryRecord) -> int | None:
        kept = await self.store.record(record.hash)
        return kept.verified if kept is not None else None

    async def ages(self, records: list[InventoryRecord]) -> list[int | None]:
        """When each was verified, in seconds since the test began."""
        whens = [await self.verified(each) for each in records]
        return [None if when is None else (when - NOW) // 1000 for when in whens]

    def count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for call in ("held", "get", "get_many", "put", "put_many", "delete"):
            self._count(monkeypatch, call)

    def _count(self, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
        inventory: Any = self.keeping.inventory
        real = getattr(inventory, call)

        async def counting(*args: Any, **kwargs: Any) -> Any:
            self.asked.append(call)
            return await real(*args, **kwargs)

        monkeypatch.setattr(inventory, call, counting)


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    yield keeping
    await keeping.database.close()


async def scene_of(keeping: Keeping, bounds: Bounds = EACH_WEEK) -> Scene:
    store = await keeping.start()
    made = Verification(
        store.verifier,
        store.volume,
        keeping.inventory,
        bounds,
        clock=keeping.clock,
        now=keeping.now,
    )
    made.start()
    return Scene(keeping, store, made)


@pytest_twisted.async_yield_fixture
async def scene(keeping: Keeping) -> AsyncIterator[Scene]:
    scene = await scene_of(keeping)
    yield scene
    await scene.verification.stop()


def test_the_configuration_has_the_bounds() -> None:
    assert Bounds.of(InventorySettings()) == Bounds(180 * DAY, 32_000_000, 20)
    settings = InventorySettings(verify_frequency=None, verify_rate=None, requests=None)
    assert Bounds.of(settings) == Bounds(None, None, None)
    assert Bounds.of(InventorySettings(enabled=False)) == Bounds(None, 32_000_000, 20)


# What is due


@pytest_twisted.ensureDeferred
async def test_what_was_not_verified_for_long_is(scene: Scene) -> None:
    old = await scene.put(3, age=WEEK + 1)
    new = await scene.put(2, size=20, age=WEEK - 60)
    scene.keeping.clock.advance(TICK)
    assert await scene.ages(old) == [5, 5, 5]
    assert await scene.ages(new) == [60 - WEEK, 60 - WEEK]
    said = scene.verification.describe()
    assert (said["ok"], said["bytes"], said["listed"]) == (3, 30, 2)
    assert said["oldest"] == NOW + (60 - WEEK) * 1000
    scene.keeping.clock.pump([TICK] * 12)
    assert await scene.ages(new) == [65, 65]


@pytest_twisted.ensureDeferred
async def test_files_are_verified_again_and_again(scene: Scene) -> None:
    records = await scene.put(2)
    for _ in range(3):
        scene.keeping.clock.advance(WEEK + TICK)
        scene.keeping.clock.advance(TICK)
    now = int(scene.keeping.clock.seconds())
    assert await scene.ages(records) in ([now, now], [now - 5, now - 5])
    assert scene.verification.describe()["ok"] == 6


@pytest_twisted.ensureDeferred
async def test_what_is_corrupt_or_missing_is_found(scene: Scene) -> None:
    records = await scene.put(4, age=2 * WEEK)
    path_of(scene.store, records[1]).write_bytes(b"")
    path_of(scene.store, records[2]).unlink()
    scene.keeping.clock.advance(TICK)
    assert await scene.ages(records) == [5, None, None, 5]
    said = scene.verification.describe()
    assert (said["ok"], said["corrupt"], said["missing"]) == (2, 1, 1)


@pytest_twisted.ensureDeferred
async def test_records_that_come_later_are_found_within_a_day(scene: Scene) -> None:
    scene.keeping.clock.advance(TICK)
    [record] = await scene.put(1, age=2 * WEEK)
    await rewrite(scene.keeping, scene.store, evolve(record, verified=None))
    scene.keeping.clock.advance(DAY - TICK)
    assert await scene.verified(record) is None
    scene.keeping.clock.advance(TICK)
    assert await scene.verified(record) == scene.keeping.now()


@pytest_twisted.ensureDeferred
async def test_while_nothing_is_due_the_database_is_not_asked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.put(3)
    scene.count(monkeypatch)
    scene.keeping.clock.pump([TICK] * 100)
    assert scene.asked == ["held"]


@pytest_twisted.ensureDeferred
async def test_what_was_verified_meanwhile_is_not_read_again(scene: Scene) -> None:
    [record] = await scene.put(1)
    scene.keeping.clock.advance(TICK)  # it is in the list
    scene.keeping.clock.advance(DAY - 2 * TICK)
    await scene.store.verify(record.hash)
    scene.verification._look_at = 2 * WEEK
    scene.keeping.clock.advance(WEEK - DAY + 2 * TICK)
    assert scene.verification.describe()["ok"] == 1
    assert scene.verification.describe()["bytes"] == 10


@pytest_twisted.ensureDeferred
async def test_more_than_a_list_holds_is_verified_one_list_after_the_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PAGE", 3)
    monkeypatch.setattr(scene.verification._due, "_most", 4)
    monkeypatch.setattr(verification, "FILES", 3)
    never = [evolve(each, verified=None) for each in await scene.put(10)]
    for each in never:
        await rewrite(scene.keeping, scene.store, each)
    scene.count(monkeypatch)
    scene.keeping.clock.advance(TICK)
    assert scene.asked.count("get_many") == scene.asked.count("put_many") == 5
    # Once over the records, and once more for those that were verified some time ago.
    assert scene.asked.count("held") == 5 + 4
    assert await scene.ages(never) == [5] * 10


@pytest_twisted.ensureDeferred
async def test_so_many_bytes_are_written_down_together(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "PIECES", 1)
    scene.verification._manner = evolve(scene.verification._manner, piece=25)
    await scene.put(5, age=2 * WEEK)
    scene.count(monkeypatch)
    scene.keeping.clock.advance(TICK)
    assert scene.asked.count("put_many") == 3


@pytest_twisted.ensureDeferred
async def test_the_rate_is_limited(keeping: Keeping) -> None:
    rate = 524_288
    scene = await scene_of(keeping, Bounds(WEEK, rate, None))
    await scene.put(8, size=262_144, age=2 * WEEK)
    keeping.clock.advance(TICK)
    for second in range(5):
        read = scene.verification.describe()["bytes"]
        assert (second - 1) * rate * 0.8 <= read <= second * rate + 131_072
        keeping.clock.pump([0.125] * 8)
    assert scene.verification.describe()["ok"] == 8
    await scene.verification.stop()


# When nothing is verified


@pytest_twisted.ensureDeferred
async def test_without_a_frequency_nothing_is_verified(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await scene_of(keeping, Bounds(None, None, None))
    await scene.put(1, age=2 * WEEK)
    scene.count(monkeypatch)
    keeping.clock.pump([TICK] * 3)
    assert scene.asked == []
    await scene.verification.stop()


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_not_there_is_waited_for(scene: Scene) -> None:
    records = await scene.put(1, age=2 * WEEK)
    identity = scene.store.volume.disk.root / IDENTITY
    identity.rename(identity.with_suffix(".away"))
    await scene.store.look()
    scene.keeping.clock.advance(TICK)
    assert scene.verification.describe()["listed"] == 0
    identity.with_suffix(".away").rename(identity)
    await scene.store.look()
    scene.keeping.clock.advance(TICK)
    assert await scene.ages(records) == [10]


@pytest_twisted.ensureDeferred
async def test_a_disk_that_goes_meanwhile_ends_the_round(scene: Scene) -> None:
    records = await scene.put(2, age=2 * WEEK)
    scene.verification._manner = evolve(scene.verification._manner, piece=10)
    await scene.verification.reviewed()  # the disk has said what was asked before
    volume, real = scene.store.volume, scene.store.volume.pool.run

    async def run(*args: Any) -> Any:
        result = await real(*args)
        volume.usable = False
        return result

    volume.pool.run = run  # type: ignore[assignment, method-assign]
    scene.keeping.clock.advance(TICK)
    assert await scene.ages(records) == [5, -2 * WEEK]
    volume.pool.run = real  # type: ignore[method-assign]
    volume.usable = True
    scene.keeping.clock.advance(TICK)
    assert await scene.ages(records) == [5, 10]


@pytest_twisted.ensureDeferred
async def test_a_disk_that_goes_while_its_records_are_listed_is_listed_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PAGE", 1)
    records = await scene.put(2, age=2 * WEEK)
    real = scene.keeping.inventory.held

    async def held(*args: Any, **more: Any) -> Any:
        scene.store.volume.usable = False
        return await real(*args, **more)

    with monkeypatch.context() as going:
        going.setattr(scene.keeping.inventory, "held", held)
        scene.keeping.clock.advance(TICK)
    scene.store.volume.usable = True
    scene.keeping.clock.advance(TICK)
    assert await scene.ages(records) == [10, 10]


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_away_is_waited_for_and_told_of_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = await scene.put(2, age=2 * WEEK)

    async def away(*args: Any, **kwargs: Any) -> Any:
        raise Unavailable("CouchDB is away")

    with logged("warn") as messages:
        for call in ("held", "get_many", "put_many"):
            with monkeypatch.context() as faulty:
                faulty.setattr(scene.keeping.inventory, call, away)
                scene.keeping.clock.pump([TICK] * 3)
            if call == "held":
                assert scene.verification.describe()["listed"] == 0
    assert messages == ["Verification of p1:s1 waits: CouchDB is away"]
    scene.keeping.clock.advance(TICK)
    assert await scene.ages(records) == [50, 50]


@pytest.mark.parametrize("call", ["put_many", "get_many"])
@pytest_twisted.ensureDeferred
async def test_what_the_database_does_not_take_is_passed_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Else it would be tried again and again, and nothing else."""
    monkeypatch.setattr(verification, "FILES", 1)
    records = await scene.put(2, age=2 * WEEK)
    real = getattr(scene.keeping.inventory, call)

    async def refuse(asked: Any) -> Any:
        if asked and records[0].id in (asked[0], getattr(asked[0], "id", None)):
            raise BadInput("No such document, please")
        return await real(asked)

    with monkeypatch.context() as refusing:
        refusing.setattr(scene.keeping.inventory, call, refuse)
        with logged("warn") as messages:
            scene.keeping.clock.pump([TICK] * 2)
    assert messages == ["Verification of p1:s1 waits: No such document, please"]
    assert await scene.ages(records) == [-2 * WEEK, 10]


@pytest_twisted.ensureDeferred
async def test_a_dying_disk_is_said_loudly_and_left_alone_for_a_while(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = await scene.put(IN_A_ROW + 5, age=2 * WEEK)
    with monkeypatch.context() as faulty, logged("error") as messages:
        fail_reading(faulty, errno.EIO, on="content")
        scene.keeping.clock.advance(TICK)
        assert len(messages) == IN_A_ROW + 1
        assert "6 files in a row cannot be read on p1:s1" in messages[-1]
        assert scene.verification.describe()["resting"]
        scene.keeping.clock.pump([TICK] * 100)
        assert len(messages) == IN_A_ROW + 1
        scene.keeping.clock.advance(REST)
        assert "7 files in a row" in messages[-1]
        assert len(messages) == IN_A_ROW + 2
    scene.keeping.clock.advance(REST)
    ages = await scene.ages(records)
    assert ages[:IN_A_ROW] == [None] * IN_A_ROW
    assert None not in ages[IN_A_ROW:]
    assert not scene.verification.describe()["resting"]


# Stopping


@pytest_twisted.ensureDeferred
async def test_a_stop_does_not_wait_for_a_file_and_writes_down_what_was_found(
    keeping: Keeping,
) -> None:
    scene = await scene_of(keeping, Bounds(WEEK, 524_288, None))
    records = await scene.put(3, size=262_144, age=2 * WEEK)
    keeping.clock.advance(TICK)
    keeping.clock.pump([0.125] * 4)
    stopping = Deferred.fromCoroutine(scene.verification.stop())
    keeping.clock.advance(0.125)
    assert stopping.called
    assert await scene.ages(records) == [5, -2 * WEEK, -2 * WEEK]
    keeping.clock.pump([TICK] * 3)
    assert await scene.ages(records) == [5, -2 * WEEK, -2 * WEEK]


@pytest_twisted.ensureDeferred
async def test_one_that_was_never_started_can_be_stopped(keeping: Keeping) -> None:
    store = await keeping.start()
    never = Verification(
        store.verifier,
        store.volume,
        keeping.inventory,
        EACH_WEEK,
        clock=keeping.clock,
        now=keeping.now,
    )
    await never.stop()


# All of it, on demand


@pytest_twisted.ensureDeferred
async def test_all_of_a_store_is_verified_however_new(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "FILES", 2)
    scene = await scene_of(keeping, Bounds(None, None, None))
    records = await scene.put(5, age=1)
    path_of(scene.store, records[4]).unlink()
    assert await scene.verification.reviewed() == {"state": "none"}
    assert await scene.verification.stop_review() == {"state": "none"}
    begun = await scene.verification.review()
    assert begun == {
        "state": "begun",
        "begunAt": NOW,
        "endedAt": None,
        "since": NOW,
        "seconds": 0.0,
        "passed": 0.0,
        "ok": 0,
        "corrupt": 0,
        "missing": 0,
        "failed": 0,
        "bytes": 0,
    }
    assert await scene.verification.review() == begun  # it goes on already
    keeping.clock.advance(TICK)
    assert await scene.ages(records) == [5, 5, 5, 5, None]
    done = {
        **begun,
        "state": "done",
        "endedAt": NOW + 5000,
        "passed": 1.0,
        "ok": 4,
        "missing": 1,
        "bytes": 40,
    }
    assert await scene.verification.reviewed() == done
    assert scene.verification.describe()["review"] == done
    assert await scene.verification.stop_review() == done
    keeping.clock.advance(TICK)
    await scene.verification.review()
    keeping.clock.advance(TICK)
    assert await scene.ages(records) == [15, 15, 15, 15, None]
    await scene.verification.stop()


@pytest_twisted.ensureDeferred
async def test_a_review_passes_over_the_records_once(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PAGE", 2)
    defaults: Any = due.Due.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "most", 4)
    monkeypatch.setattr(verification, "FILES", 3)
    scene = await scene_of(keeping, Bounds(None, None, None))
    records = await scene.put(11, age=1)
    fail_reading(monkeypatch, errno.EACCES, on=records[5].hash)
    scene.count(monkeypatch)
    await scene.verification.review()
    keeping.clock.advance(TICK)
    said = await scene.verification.reviewed()
    assert (said["state"], said["ok"], said["failed"]) == ("done", 10, 1)
    assert scene.asked.count("held") == 8  # 6 pages, two of them seen again where a list was full


@pytest_twisted.ensureDeferred
async def test_a_review_has_a_rate_of_its_own_says_how_far_it_is_and_can_be_stopped(
    keeping: Keeping,
) -> None:
    scene = await scene_of(keeping, Bounds(WEEK, 1, None))
    records = await scene.put(24, size=131_072, age=1)
    first = int(records[0].hash[:8], 16) / 16**8
    scene.verification._requests._rate = None
    await scene.verification.review(rate=524_288)
    keeping.clock.advance(TICK)
    keeping.clock.pump([0.125] * 60)
    said = await scene.verification.reviewed()
    assert said["state"] == "begun"
    assert first < said["passed"] < 1.0
    stopped = await scene.verification.stop_review()
    assert stopped["state"] == "stopped"
    keeping.clock.pump([0.125] * 24)
    assert (await scene.verification.reviewed())["ok"] < 24
    await scene.verification.review(older=100, rate=0)  # so that nothing is left to be done
    keeping.clock.pump([TICK] * 2)
    assert (await scene.verification.reviewed())["state"] == "done"
    assert (await scene.verification.reviewed())["ok"] == 0
    await scene.verification.review(rate=0)
    keeping.clock.pump([TICK] * 2)
    assert (await scene.verification.reviewed())["ok"] > 0
    await scene.verification.stop()
