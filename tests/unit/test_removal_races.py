"""Uploads, removals and stores that come back, all at once, in every order that chance finds."""

import os
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from oose.contents import Contents
from oose.embedded import EmbeddedDocuments
from oose.errors import NotFound, OoseError, Unavailable
from oose.existence import Existence
from oose.holdings import Holdings
from oose.keepers import Keeper
from oose.metadata.records import InventoryRecord
from oose.pool import Inline
from oose.purchasing import PurchaseDesk
from oose.removal import Removal
from oose.tombstones import Tombstones
from oose.uploads import Uploads
from tests.unit.keeping import Keeping
from tests.unit.kept import MemoryPurchases
from tests.unit.removing import DATA, HASH, SomeAway

Choose = Callable[[int], int]  # a number below another
Work = Coroutine[Deferred[Any], Any, Any]
NAMES = ("s1", "s2", "s3")
FUTURE = 10**9  # seconds: the time is later than any that a file's system says, all files are old


@define
class Steps:
    """Where work waits until it is chosen to go on."""

    clock: Clock
    waiting: list[Deferred[None]] = field(factory=list)
    is_free: bool = True  # nothing waits

    async def step(self) -> None:
        if not self.is_free:
            turn: Deferred[None] = Deferred()
            self.waiting.append(turn)
            await turn

    def go_on(self, choose: Choose) -> None:
        """One goes on, or what it waits for has failed."""
        self.clock.advance(0.002)
        turn = self.waiting.pop(choose(len(self.waiting)))
        if choose(40) == 39:
            turn.errback(Failure(Unavailable("away")))
        else:
            turn.callback(None)


class Stepping:
    """Documents whose questions and answers take their time."""

    def __init__(self, documents: Any, steps: Steps) -> None:
        self._documents = documents
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._documents, name)

        async def call(*args: Any, **more: Any) -> Any:
            await self._steps.step()
            answer = await real(*args, **more)
            if name != "put_many":  # else it would be done although it was said to have failed
                await self._steps.step()
            return answer

        return call


class SlowDisk(Inline):
    """A pool of threads that all take their time."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        await self._steps.step()
        return call(*args, **kwargs)


class Later(Clock):
    """The time of uploads, as the stores have it."""

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__()
        self._now = now

    def seconds(self) -> float:
        return self._now() / 1000


class Reachable(SomeAway):
    """Those that are away take nothing either."""

    def all(self) -> Sequence[Keeper]:
        return [each for each in super().all() if self.get(each.place) is not None]  # type: ignore[attr-defined]


@define(eq=False)
class Happening:
    """A piece of work: from when to when, and whether it was done."""

    kind: str
    begun: int
    ended: int | None = None
    is_done: bool = False

    def ends_after(self, other: "Happening") -> bool:
        """Whether it was not over when the other one began."""
        return self.ended is None or self.ended >= other.begun


@define(eq=False)
class World:
    """Three stores, and everything that happens to one content."""

    keeping: Keeping
    steps: Steps
    stores: dict[str, Holdings]
    contents: Contents
    away: set[str] = field(factory=set)
    happenings: list[Happening] = field(factory=list)
    turn: int = 0
    uploads: Uploads = field(init=False)
    removal: Removal = field(init=False)

    @classmethod
    async def begin(cls, folder: Path) -> "World":
        keeping = await Keeping.begin(folder)
        keeping.clock.advance(FUTURE)
        steps = Steps(keeping.clock)
        inventory: Any = Stepping(keeping.inventory, steps)
        keeping.inventory = inventory
        keeping.existence = Existence(inventory, keeping.registry, keeping.clock, 30.0)
        stores = {}
        for name in NAMES:
            stores[f"p1:{name}"] = await keeping.start(name, SlowDisk(steps))
        documents: Any = Stepping(EmbeddedDocuments(keeping.database, "content"), steps)
        world = cls(keeping, steps, stores, Contents(documents))
        keepers = Reachable(stores, world.away)
        world.uploads = Uploads(
            keepers,
            inventory,
            keeping.existence,
            world.contents,
            wanted=2,
            hashing=Inline(),
            clock=Later(keeping.now),
            chance=lambda: 0.5,
        )
        desk = PurchaseDesk(MemoryPurchases(), 0)
        world.removal = Removal(
            world.contents, inventory, keeping.existence, keepers, desk, keeping.now
        )
        return world

    def begin_one(self, kind: str) -> None:
        happening = Happening(kind, self.turn)
        self.happenings.append(happening)
        work: Work = self.upload() if kind == "upload" else self.remove()

        def ended(result: object) -> None:
            happening.ended = self.turn
            happening.is_done = not isinstance(result, Failure)
            if isinstance(result, Failure):
                result.trap(OoseError)

        _ = Deferred.fromCoroutine(work).addBoth(ended)

    async def upload(self) -> None:
        upload = self.uploads.open("sha1", len(DATA))
        try:
            upload.sink.feed(DATA)
            await upload.settle("mp4", "video/mp4")
        finally:
            await upload.abandon()

    async def remove(self) -> None:
        try:
            await self.removal.remove(HASH)
        except NotFound:
            return

    async def look(self, place: str) -> None:
        tombstones = Tombstones(
            self.stores[place], self.contents, self.keeping.inventory, self.keeping.now
        )
        await tombstones.honour()

    def come_back(self, place: str) -> None:
        self.away.discard(place)
        _ = Deferred.fromCoroutine(self.look(place)).addErrback(lambda f: f.trap(OoseError))

    async def records(self) -> Sequence[InventoryRecord]:
        return await self.keeping.existence.records(HASH, fresh=True)

    def files(self) -> set[str]:
        return {
            place
            for place, holdings in self.stores.items()
            if holdings.volume.disk.find(HASH) is not None
        }


def run(world: World, choose: Choose, kinds: Sequence[str], most: int) -> None:
    """Let up to so many things happen, and all of them end."""
    begun = 0
    while world.steps.waiting or begun < most:
        world.turn += 1
        if begun < most and choose(6) == 0:
            begun += 1
            happen(world, kinds[choose(len(kinds))], f"p1:{NAMES[choose(3)]}")
        elif world.steps.waiting:
            world.steps.go_on(choose)
    world.turn += 1


def happen(world: World, kind: str, place: str) -> None:
    if kind == "go":
        world.away.add(place)
    elif kind == "come":
        world.come_back(place)
    else:
        world.begin_one(kind)


async def settle(world: World) -> None:
    """Quiet time: everybody comes back, nothing fails."""
    world.steps.is_free = True
    world.away.clear()
    for holdings in world.stores.values():
        await holdings.volume.settled()
    for place in world.stores:
        await world.look(place)


async def check(world: World) -> None:
    records = await world.records()
    places = {each.place for each in records}
    uploads = [each for each in world.happenings if each.kind == "upload"]
    removals = [each for each in world.happenings if each.kind == "remove"]
    if all(each.is_done for each in uploads):  # a failed one may leave a record to the sweep
        assert places <= world.files()
    for upload in uploads:
        # One that failed in the middle goes on when the stores find its tombstone.
        later = [each for each in removals if not each.is_done or each.ends_after(upload)]
        if upload.is_done and not later:
            assert records, "content that was uploaded after all removals is gone"
    for removal in removals:
        later = [each for each in uploads if each.ends_after(removal)]
        if removal.is_done and not later:
            assert (places, world.files()) == (set(), set()), "removed content is still there"


async def live(choose: Choose, folder: Path, *phases: tuple[Sequence[str], int]) -> None:
    """A life in phases: what may happen in each, and how much."""
    world = await World.begin(folder)
    try:
        world.steps.is_free = False
        for kinds, most in phases:
            run(world, choose, kinds, most)
        await settle(world)
        await check(world)
    finally:
        for holdings in world.stores.values():
            holdings.volume.release()
        await world.keeping.database.close()


def outcome(work: Work) -> None:
    results: list[object] = []
    _ = Deferred.fromCoroutine(work).addBoth(results.append)
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()


fast = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # syncs cost nothing


@fast
@given(st.randoms(use_true_random=False))
def test_whatever_the_order_nothing_is_lost_and_nothing_comes_back(random: Any) -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        anything = ["upload", "remove", "upload", "remove", "go", "come"]
        outcome(live(random.randrange, Path(folder), (anything, 8)))


@fast
@given(st.randoms(use_true_random=False))
def test_stores_that_come_back_leave_what_is_just_uploaded_again(random: Any) -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        before = (["upload", "go"], 4)
        removal = (["remove"], 1)
        after = (["upload", "come", "come"], 6)
        outcome(live(random.randrange, Path(folder), before, removal, after))
