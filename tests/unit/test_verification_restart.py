"""All of a store verified on demand, over restarts of its process."""

import errno
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose.errors import Unavailable
from oose.metadata.records import InventoryRecord
from oose.pool import Inline
from oose.verifying.asked import FILE, VERSION, Asked, load, save
from oose.verifying.verification import Bounds
from tests.unit.faults import fail
from tests.unit.keeping import NOW, Keeping
from tests.unit.logged import logged
from tests.unit.test_verification import TICK, Scene, scene_of

SIZE = 131_072
RATE = 4 * SIZE  # bytes a second
NEVER = Bounds(None, None, None)
GOOD = {"version": VERSION, "since": 5, "begun": 7, "rate": None}


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    yield keeping
    await keeping.database.close()


def kept(scene: Scene) -> Path:
    return scene.store.volume.disk.root / FILE


async def restarted(scene: Scene) -> Scene:
    await scene.verification.stop()
    scene.store.volume.release()
    return await scene_of(scene.keeping, NEVER)


async def half_done(keeping: Keeping) -> tuple[Scene, list[InventoryRecord]]:
    """A store of which some was verified, and not yet all, when its process ended."""
    scene = await scene_of(keeping, NEVER)
    records = await scene.put(24, size=SIZE, age=1)
    await scene.verification.review(rate=RATE)
    keeping.clock.pump([0.125] * 60)
    said = await scene.verification.reviewed()
    assert (said["state"], 0 < said["ok"] < 24) == ("begun", True)
    stopping = Deferred.fromCoroutine(scene.verification.stop())
    keeping.clock.pump([0.125] * 4)
    assert stopping.called
    return scene, records


@pytest_twisted.ensureDeferred
async def test_a_restart_goes_on_where_it_was(keeping: Keeping) -> None:
    scene, records = await half_done(keeping)
    before = sum(age is not None and age >= 0 for age in await scene.ages(records))
    again = await restarted(scene)
    said = await again.verification.reviewed()
    assert (said["state"], said["begunAt"], said["since"]) == ("begun", NOW, NOW)
    assert (await again.verification.review())["begunAt"] == NOW  # it goes on already
    keeping.clock.pump([0.125] * 10)
    assert (await again.verification.reviewed())["state"] == "begun"  # at the same rate
    keeping.clock.pump([0.125] * 60)
    done = await again.verification.reviewed()
    assert (done["state"], done["ok"]) == ("done", 24 - before)
    assert not kept(again).exists()
    last = await restarted(again)
    keeping.clock.advance(TICK)
    assert await last.verification.reviewed() == {"state": "none"}
    await last.verification.stop()


@pytest_twisted.ensureDeferred
async def test_it_goes_on_by_itself_and_nobody_need_ask(keeping: Keeping) -> None:
    scene = await scene_of(keeping, NEVER)
    records = await scene.put(3, age=1)
    await scene.verification.review()
    with logged("info") as said:
        again = await restarted(scene)
        keeping.clock.advance(TICK)
    assert "All of p1:s1 is verified further, as before" in said
    assert await again.ages(records) == [5, 5, 5]
    await again.verification.stop()


@pytest_twisted.ensureDeferred
async def test_what_is_stopped_stays_so_whoever_is_asked(keeping: Keeping) -> None:
    scene, _ = await half_done(keeping)
    again = await restarted(scene)
    assert (await again.verification.stop_review())["state"] == "stopped"
    assert not kept(again).exists()
    last = await restarted(again)
    assert await last.verification.stop_review() == {"state": "none"}
    await last.verification.stop()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\xff",
        "[]",
        "7",
        "{}",
        json.dumps({**GOOD, "version": VERSION + 1}),
        json.dumps({**GOOD, "since": 0}),
        json.dumps({**GOOD, "since": float("inf")}),
        json.dumps({**GOOD, "rate": -1}),
        json.dumps({**GOOD, "rate": "fast"}),
        json.dumps({**GOOD, "begun": None}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_understood_is_no_wish(text: str, keeping: Keeping) -> None:
    scene = await scene_of(keeping, NEVER)
    kept(scene).write_text(text, encoding="latin-1")
    keeping.clock.advance(TICK)
    assert await scene.verification.reviewed() == {"state": "none"}
    await scene.verification.review(rate=7)
    assert load(kept(scene).parent) == Asked(NOW + 5000, NOW + 5000, 7)
    await scene.verification.stop()


@pytest_twisted.ensureDeferred
async def test_what_is_kept_is_read_back(keeping: Keeping) -> None:
    disk = (await keeping.start()).volume.disk
    draft = disk.root / f".{FILE}.0badcafe"
    for asked in (Asked(5, 7, None), Asked(1, 2, 0), None, None):
        draft.write_text("left by a crash")
        save(asked, disk)
        assert load(disk.root) == asked
        assert not draft.exists()
    disk.root.rename(disk.root.with_name("away"))
    with pytest.raises(Unavailable):
        save(Asked(5, 7, None), disk)


@pytest_twisted.ensureDeferred
async def test_a_disk_that_cannot_keep_it_is_said_once_and_tried_again(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await scene_of(keeping, Bounds(None, 1, None))
    await scene.put(3, age=1)
    with monkeypatch.context() as broken, logged("warn") as said:
        fail(broken, "fsync", errno.EIO)
        assert (await scene.verification.review())["state"] == "begun"
        scene.verification._rests_until = 8.0
        keeping.clock.pump([1.0] * 3)
    assert not kept(scene).exists()
    assert said == [
        "What was asked of the verification of s1 cannot be kept: [Errno 5] Input/output error"
    ]
    keeping.clock.advance(1.0)
    assert kept(scene).exists()
    await scene.verification.stop_review()
    assert not kept(scene).exists()
    await scene.verification.stop()


@pytest_twisted.ensureDeferred
async def test_one_that_cannot_be_read_is_read_when_it_can(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await scene_of(keeping, NEVER)
    kept(scene).mkdir()
    with logged("warn") as said:
        keeping.clock.pump([1.0] * 3)
    assert len(said) == 1
    assert "Is a directory" in said[0]
    assert await scene.verification.reviewed() == {"state": "none"}
    kept(scene).rmdir()
    kept(scene).write_text(json.dumps(GOOD))
    keeping.clock.advance(1.0)
    done = await scene.verification.reviewed()
    assert (done["state"], done["begunAt"], done["since"]) == ("done", 7, 5)
    await scene.verification.stop()


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_away_at_the_start_says_it_when_it_comes(keeping: Keeping) -> None:
    scene = await scene_of(keeping, NEVER)
    records = await scene.put(2, age=1)
    await scene.verification.review()
    scene.store.volume.usable = False
    again = await restarted(scene)
    again.store.volume.usable = False
    keeping.clock.advance(TICK)
    assert await again.verification.reviewed() == {"state": "none"}
    again.store.volume.usable = True
    keeping.clock.advance(TICK)
    assert await again.ages(records) == [10, 10]
    await again.verification.stop()


@pytest.mark.parametrize("wish", ["stop_review", "review"])
@pytest_twisted.ensureDeferred
async def test_what_is_asked_while_it_is_away_counts_more_than_what_it_kept(
    wish: str, keeping: Keeping
) -> None:
    scene = await scene_of(keeping, NEVER)
    await scene.put(2, age=1)
    save(Asked(5, 7, None), scene.store.volume.disk)
    scene.store.volume.usable = False
    await getattr(scene.verification, wish)()
    assert kept(scene).exists()
    scene.store.volume.usable = True
    keeping.clock.advance(TICK)
    assert not kept(scene).exists()
    said = await scene.verification.reviewed()
    assert said["state"] == {"stop_review": "none", "review": "done"}[wish]
    assert said.get("begunAt") != 7
    await scene.verification.stop()


class Slow(Inline):
    """A pool whose calls end when they are told to."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []
        self.is_slow = False

    async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        if self.is_slow:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        return await super().run(call, *args, **kwargs)


@pytest_twisted.ensureDeferred
async def test_of_two_who_read_it_at_once_one_begins(keeping: Keeping) -> None:
    pool = Slow()
    scene = await scene_of(keeping, NEVER)
    scene.store.volume.pool = pool
    save(Asked(5, 7, None), scene.store.volume.disk)
    pool.is_slow = True
    asking = [Deferred.fromCoroutine(scene.verification.reviewed()) for _ in range(2)]
    pool.is_slow = False
    for each in pool.waiting:
        each.callback(None)
    first, second = [await each for each in asking]
    assert first == second
    assert first["begunAt"] == 7
    await scene.verification.stop()


@pytest_twisted.ensureDeferred
async def test_what_changes_while_it_is_being_kept_is_kept_afterwards(keeping: Keeping) -> None:
    pool = Slow()
    scene = await scene_of(keeping, NEVER)
    await scene.verification.reviewed()
    scene.store.volume.pool = pool
    pool.is_slow = True
    begun = Deferred.fromCoroutine(scene.verification.review())
    stopped = [Deferred.fromCoroutine(scene.verification.stop_review()) for _ in range(2)]
    assert len(pool.waiting) == 1
    pool.waiting[0].callback(None)
    assert (await begun)["state"] == "stopped"
    pool.waiting[1].callback(None)
    assert [(await each)["state"] for each in stopped] == ["stopped", "stopped"]
    assert len(pool.waiting) == 2
    assert not kept(scene).exists()
    await scene.verification.stop()
