"""Repair of content on stores over real connections, with time in the test's hands."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve, field
from twisted.internet.defer import Deferred

from oose.errors import DiskFull, Unavailable
from oose.metadata.records import InventoryRecord
from oose.registry import Peer
from oose.repairing import Repairing
from oose.repairing.retries import FIRST
from oose.repairing.service import AT_ONCE
from oose.settings import Settings
from oose.settings.model import CloneSettings, PrismSettings
from tests.machine.elsewhere import Cluster, cluster, turns
from tests.unit.keeping import NOW
from tests.unit.logged import logged

FOUR = ("s1:m1:g1", "s2:m2:g1", "s3:m3:g2", "s4:m4:g2")
CLONES = CloneSettings(minimum=2, maximum=4, repair_after=600.0, repair_frequency=900.0)
SETTINGS = Settings(
    path=None, root=Path("/"), machine="m", prism=PrismSettings(), stores=(), clones=CLONES
)
HELLO = hashlib.sha1(b"hello").hexdigest()
ONE_OF_TWO = "1 of 2 clones: no other store could take one"


def name_of(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@define
class Sending:
    """Notes what is sent; lets it wait where it is told to."""

    real: Any
    sent: list[tuple[str, str]] = field(factory=list)
    waits: Deferred[None] | None = None
    raises: Exception | None = None

    async def send(self, record: InventoryRecord, target: str) -> None:
        self.sent.append((record.hash, target))
        if self.waits is not None:
            await self.waits
        if self.raises is not None:
            raise self.raises
        await self.real.send(record, target)


@define(eq=False)
class Mending:
    """Prisms that repair what is on a cluster's stores."""

    made: Cluster
    prisms: list[Repairing] = field(factory=list)
    sending: Sending = field(init=False)
    is_ready: bool = True

    def __attrs_post_init__(self) -> None:
        self.made.claiming.rightNow = NOW / 1000
        self.sending = Sending(self.made.clones().sender)

    def now(self) -> int:
        return int(self.made.claiming.seconds() * 1000)

    def ready(self) -> None:
        if not self.is_ready:
            raise Unavailable("The database is away")

    def begin(self, name: str = "p1", *, follows: bool = True, **clones: Any) -> Repairing:
        prism = Repairing(
            name,
            self.made.clones(name, sender=self.sending),
            evolve(SETTINGS, clones=evolve(CLONES, **clones)),
            follows=follows,
            now=self.now,
            ready=self.ready,
        )
        prism.start()
        self.prisms.append(prism)
        return prism

    async def stop(self) -> None:
        for prism in self.prisms:
            await prism.stop()

    @property
    def is_at_work(self) -> bool:
        """Whether something is under way: then it is the stores that are waited for."""
        return self.sending.waits is None and any(
            prism._crew.busy or prism._hinting.is_under_way or prism._surveying.is_under_way
            for prism in self.prisms
        )

    async def until(self, holds: Callable[[], bool], seconds: float = 3600.0) -> float:
        """Let time pass until something is so; how many seconds, but for those of work."""
        passed = 0.0
        while not holds():
            assert passed < seconds, "it does not come to be"
            step = 0.001 if self.is_at_work else 0.25
            passed += step if step == 0.25 else 0.0
            self.made.claiming.advance(step)
            # The stores' time too, without what they would do as it passes.
            self.made.keeping.clock.rightNow = self.made.claiming.seconds() - NOW / 1000
            await turns(2)
        return passed

    async def quiet(self, seconds: float = 30.0) -> None:
        """Let so much time pass, and what is under way end."""
        end = self.made.claiming.seconds() + seconds
        await self.until(lambda: self.made.claiming.seconds() >= end and not self.is_at_work)
        await turns()

    async def put(self, data: bytes, *stores: str, **more: Any) -> str:
        """Content with clones on stores."""
        for name in stores:
            record = await self.made.keeping.put(self.made.stores[name].holdings, data, ext="txt")
            document = await self.made.keeping.inventory.get(record.id)
            assert document is not None
            record = evolve(record, **{"verified": 1, **more})
            await self.made.keeping.inventory.put(record.id, record.to_body(), document.rev)
        return name_of(data)

    def on(self, data: bytes = b"hello") -> set[str]:
        """The stores with the file."""
        stores = self.made.stores
        return {
            name
            for name, store in stores.items()
            if any(path.read_bytes() == data for path in store.files())
        }

    async def records(self, content_hash: str = HELLO) -> set[str]:
        return {each.store for each in await self.made.records(content_hash)}

    def has(self, count: int, data: bytes = b"hello") -> Callable[[], bool]:
        return lambda: len(self.on(data)) == count


class mending:  # noqa: N801 # a context
    """Stores, and what repairs them; all of it stops in the end."""

    def __init__(self, folder: Path, *stores: str) -> None:
        self.cluster = cluster(folder, *(stores or FOUR))

    async def __aenter__(self) -> Mending:
        self.mending = Mending(await self.cluster.__aenter__())
        return self.mending

    async def __aexit__(self, *how: Any) -> None:
        stopping = Deferred.fromCoroutine(self.mending.stop())
        await turns()
        assert stopping.called
        await stopping
        assert self.mending.made.claiming.getDelayedCalls() == []
        await self.cluster.__aexit__(*how)


# What is repaired.


@pytest_twisted.ensureDeferred
async def test_content_with_too_few_clones_has_enough_soon_after_the_start(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1", note=ONE_OF_TWO)
        prism = at.begin()
        assert await at.until(at.has(2)) < 20
        await at.quiet()
        records = await at.made.records(HELLO)
        assert at.on() == {each.store for each in records} == {"s1", "s3"}
        assert [each.note for each in records] == [None, None]
        told = prism.describe()
        assert (told["repaired"], told["repairedBytes"], told["tasks"]) == (1, 5, 0)
        assert (told["endangered"], told["lost"], told["secondsLeft"]) == ({}, 0, 0)
        assert told["lookedAt"] >= NOW


@pytest_twisted.ensureDeferred
async def test_a_dead_store_is_waited_for_and_then_made_up_for(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1", "s2")
        at.begin(repair_frequency=100_000.0)
        await at.quiet()
        await at.made.stores["s2"].die()
        await at.made.keeping.registry.vote_down("store:p1:s2")
        assert at.prisms[0].describe()["endangered"] == {}
        await at.quiet()
        assert at.prisms[0].describe()["endangered"] == {"1": 1}
        took = await at.until(lambda: bool(at.sending.sent))
        assert 500 < took < 620
        await at.quiet()
        assert len(await at.records()) == 3
        assert at.prisms[0].describe()["endangered"] == {}


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_deactivated_is_made_up_for_at_once_and_trimmed_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1", "s2")
        at.begin(repair_frequency=100_000.0)
        await at.quiet()
        await at.made.keeping.registry.deactivate("store:p1:s2")
        assert await at.until(at.has(3)) < 20
        await at.made.keeping.registry.activate("store:p1:s2")
        assert await at.until(at.has(2)) < 20
        await at.quiet()
        assert await at.records() == at.on()
        assert at.prisms[0].describe()["removed"] == 1


@pytest.mark.parametrize("follows", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_corrupt_clone_is_replaced_within_seconds(tmp_path: Path, follows: bool) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1", "s2")
        prism = at.begin(follows=follows, repair_frequency=100_000.0)
        await at.quiet()
        store = at.made.stores["s1"]
        store.files()[0].write_bytes(b"hellO")
        assert await store.holdings.verify(HELLO) == "corrupt"
        if not follows:
            prism.hint([f"{HELLO}:p1:s1"])
        assert await at.until(at.has(2)) < 10
        assert await at.records() == at.on()


@pytest_twisted.ensureDeferred
async def test_a_lost_file_is_replaced_from_the_clone_that_is_good(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1", "s2", "s3", verified=None)
        await at.made.clones().contents.change(HELLO, lambda known: evolve(known, wanted=3))
        at.made.stores["s1"].files()[0].unlink()
        at.made.stores["s2"].files()[0].write_bytes(b"hellO")
        at.begin()
        assert await at.made.stores["s1"].holdings.verify(HELLO) == "missing"
        await at.until(at.has(3))
        await at.quiet()
        assert await at.records() == at.on()
        quarantine = at.made.stores["s2"].holdings.volume.disk.root / "quarantine"
        assert list(quarantine.iterdir()) != []


@pytest_twisted.ensureDeferred
async def test_a_clone_too_many_is_left_to_who_made_it_until_all_content_is_looked_at(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        prism = at.begin(follows=False)
        await at.quiet()
        await at.put(b"hello", "s1", "s2", "s3")
        prism.hint([HELLO])
        await at.quiet()
        assert len(at.on()) == 3
        await at.made.keeping.registry.set_writable("store:p1:s2", False)  # it is being emptied
        assert 800 < await at.until(at.has(2)) < 900
        await at.quiet()
        assert await at.records() == at.on() == {"s1", "s3"}


@pytest_twisted.ensureDeferred
async def test_clones_on_one_machine_are_spread_when_there_is_another(tmp_path: Path) -> None:
    async with mending(tmp_path, "s1:m1", "s2:m1") as at:
        await at.put(b"hello", "s1", "s2", note="Clones share a machine: there is no other")
        at.begin()
        await at.quiet()
        assert at.on() == {"s1", "s2"}
        await at.made.add("s3", "m2")
        await at.until(lambda: "s3" in at.on() and len(at.on()) == 2)
        await at.quiet()
        assert [each.note for each in await at.made.records(HELLO)] == [None, None]


@pytest_twisted.ensureDeferred
async def test_what_viewers_demand_does_not_wait_for_all_else(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        cold = [await at.put(f"cold {number}".encode(), "s1") for number in range(5)]
        await at.put(b"hello", "s1", "s2")
        at.sending.waits = Deferred()
        prism = at.begin(repair_concurrency=1)
        await at.until(lambda: bool(at.sending.sent))
        said = {"prisms": {"p1": {"perMinute": 3 * CLONES.bear, "at": at.now()}}}
        await at.made.clones().contents.change(HELLO, lambda known: evolve(known, demand=said))
        prism.hint([HELLO])
        await at.until(lambda: len(at.sending.sent) == 2)
        assert at.sending.sent[0][0] in cold
        assert at.sending.sent[1][0] == HELLO
        at.sending.waits.callback(None)
        at.sending.waits = None
        await at.until(at.has(3))


@pytest_twisted.ensureDeferred
async def test_the_most_endangered_comes_first(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        contents = at.made.clones().contents
        two = await at.put(b"two", "s1", "s2")
        await contents.change(two, lambda known: evolve(known, wanted=3))
        one = await at.put(b"one", "s1")
        await at.put(b"too many", "s1", "s2", "s3")
        prism = at.begin(repair_concurrency=1)
        at.is_ready = False
        await at.quiet()
        assert at.sending.sent == []
        assert prism.describe()["lookedAt"] is None
        at.is_ready = True
        prism._crew.at_once = 0
        await at.quiet()
        told = prism.describe()
        assert (told["endangered"], told["surplus"], told["toDo"]) == ({"1": 1, "2": 1}, 1, 6)
        prism._crew.at_once = 1
        await at.until(lambda: at.has(3, b"two")() and at.has(2, b"too many")())
        assert [content_hash for content_hash, _ in at.sending.sent] == [one, two]


# Two prisms.


async def a_prism(at: Mending, name: str) -> None:
    """Register a prism that repairs."""
    peer = Peer("prism", name, name, "h", 1, "u", "g", "m", "3", NOW, care={"repair": {}})
    await at.made.keeping.registry.register(peer)


@pytest_twisted.ensureDeferred
async def test_two_prisms_share_the_work(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await a_prism(at, "p1")
        await a_prism(at, "p2")
        data = [f"content {number}".encode() for number in range(20)]
        hashes = [await at.put(each, "s1") for each in data]
        first, second = at.begin("p1"), at.begin("p2")
        await at.until(lambda: all(at.has(2, each)() for each in data))
        await at.quiet()
        assert sorted(content_hash for content_hash, _ in at.sending.sent) == sorted(hashes)
        told = [each.describe() for each in (first, second)]
        assert sum(each["repaired"] for each in told) == 20
        assert all(each["repaired"] > 0 for each in told)
        registry = at.made.keeping.registry
        peer = registry.peer("prism:p2")
        assert peer is not None
        await registry.update(evolve(peer, care=second.care()))
        both = first.describe_all()
        assert (both["prisms"], both["contents"], both["repaired"]) == (2, 20, 20)


@pytest_twisted.ensureDeferred
async def test_two_prisms_that_mend_the_same_leave_as_many_clones_as_wanted(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1")
        prisms = [at.begin(name, repair_frequency=100.0) for name in ("p1", "p2")]
        for prism in prisms:
            object.__setattr__(prism, "_look_around", alone(prism))
        at.sending.waits = Deferred()
        await at.until(lambda: len(at.sending.sent) == 2)
        at.sending.waits.callback(None)
        at.sending.waits = None
        await at.quiet(240)
        assert len(at.on()) == 2
        assert await at.records() == at.on()


def alone(prism: Repairing) -> Callable[[float], None]:
    """A prism that does not know of the other."""
    real = prism._look_around

    def look(now: float) -> None:
        real(now)
        prism._slices = frozenset(f"{number:02x}" for number in range(256))

    return look


@pytest_twisted.ensureDeferred
async def test_a_prism_that_leaves_has_its_share_looked_after_by_the_other(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await a_prism(at, "p1")
        await a_prism(at, "p2")
        data = [f"content {number}".encode() for number in range(20)]
        at.begin("p1", repair_frequency=100_000.0)
        await at.quiet()
        for each in data:
            await at.put(each, "s1")
        await at.quiet()
        done = len(at.sending.sent)
        assert 0 < done < 20
        await at.made.keeping.registry.vote_down("prism:p2")
        await at.until(lambda: all(at.has(2, each)() for each in data))


# What fails, and ends.


@pytest_twisted.ensureDeferred
async def test_it_may_be_stopped_at_any_moment_and_begun_again(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1", "s2")
        await at.put(b"three", "s1", "s2", "s3")
        moment = 0
        await at.made.keeping.registry.deactivate("store:p1:s2")
        while len(at.on()) < 3 or moment < 30:
            prism = at.begin()
            for _ in range(6):
                at.made.claiming.advance(1)
            for _ in range(moment):
                await turns(1)
                at.made.claiming.advance(0.1)
            at.prisms.remove(prism)
            await prism.stop()
            assert len(at.on() - {"s2"}) >= 1
            assert len(at.on(b"three") - {"s2"}) >= 2
            content = await at.made.clones().contents.get(HELLO)
            assert "claim" not in content.others
            moment += 1
        await at.made.keeping.registry.activate("store:p1:s2")
        at.begin()
        await at.until(lambda: at.has(2)() and at.has(2, b"three")())


@pytest_twisted.ensureDeferred
async def test_what_fails_is_said_once_and_tried_again_later(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1")
        other = await at.put(b"other", "s2")
        at.sending.raises = DiskFull("There is no room")
        with logged("warn") as lines:
            prism = at.begin(repair_frequency=100_000.0)
            await at.quiet(FIRST / 2)
            first = len(at.sending.sent)
            assert {content_hash for content_hash, _ in at.sending.sent} == {HELLO, other}
            prism.hint([HELLO])
            await at.quiet(FIRST / 4)
            assert len(at.sending.sent) == first
        said = [line for line in lines if "could not be mended" in line]
        assert len(said) == 1
        assert prism.describe()["failed"] == 2
        assert prism.describe()["endangered"] == {"1": 2}
        at.sending.raises = None
        assert await at.until(at.has(2)) < 2 * FIRST
        await at.until(at.has(2, b"other"))
        await at.quiet()
        assert prism.describe()["failed"] == 0
        assert prism.describe()["endangered"] == {}


@pytest_twisted.ensureDeferred
async def test_what_fails_is_tried_again_soon_where_stores_have_come_or_gone(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1")
        at.sending.raises = Unavailable("It does not answer")
        at.begin(repair_frequency=100_000.0)
        await at.quiet(20 * FIRST)
        at.sending.raises = None
        await at.made.keeping.registry.deactivate("store:p1:s4")
        assert await at.until(at.has(2)) < FIRST / 2


@pytest_twisted.ensureDeferred
async def test_what_nobody_thought_of_is_in_the_log_and_tried_again_later(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1")
        at.sending.raises = ValueError("oh")
        with logged("critical") as lines:
            prism = at.begin()
            await at.until(lambda: prism.describe()["failed"] == 1)
        assert any(f"{HELLO} could not be mended" in line for line in lines)
        at.sending.raises = None
        await at.until(at.has(2))


@pytest_twisted.ensureDeferred
async def test_what_is_done_in_part_is_gone_on_with_later(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1", "s2", "s3")
        verify = at.made.stores["s1"].holdings.verify

        async def away(content_hash: str) -> Any:
            raise Unavailable("away")

        stores: list[Any] = [each.holdings for each in at.made.stores.values()]
        for each in stores:
            each.verify = away
        prism = at.begin()
        await at.until(lambda: prism.describe()["failed"] == 1)
        assert len(at.on()) == 3
        for each in stores:
            del each.verify
        assert verify is not None
        assert await at.until(at.has(2)) < 2 * FIRST


@pytest_twisted.ensureDeferred
async def test_a_database_that_fails_is_asked_again(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1")
        inventory: Any = at.made.keeping.inventory
        ranged, under = inventory.range, inventory.under

        async def away(*args: Any, **more: Any) -> Any:
            raise Unavailable("away")

        inventory.range = inventory.under = away
        prism = at.begin(repair_frequency=100_000.0)
        await at.quiet(20)
        prism.hint([HELLO])
        await at.quiet(20)
        assert len(prism._hints) == 1
        assert prism.describe()["lookedAt"] is None
        inventory.under = under
        await at.until(at.has(2))
        inventory.range = ranged
        await at.until(lambda: prism.describe()["lookedAt"] is not None)


@pytest_twisted.ensureDeferred
async def test_it_is_said_how_much_of_what_was_written_is_still_to_be_looked_at(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        prism = at.begin(follows=False, repair_frequency=100_000.0)
        await at.until(lambda: prism.describe()["lookedAt"] is not None)
        await at.quiet(20)
        mine, prism._slices = prism._slices, frozenset({"00"})
        prism.hint([HELLO])
        assert prism.describe()["unseen"] == 0  # others look after it
        prism._slices = mine
        prism.hint([HELLO])
        assert prism.describe()["unseen"] == prism.describe_all()["unseen"] == 1
        await at.until(lambda: prism.describe()["unseen"] == 0, 10.0)
        assert prism.describe()["hinted"] is False  # it was looked at: all is known


@pytest_twisted.ensureDeferred
async def test_content_that_was_written_and_is_whole_does_not_keep_all_from_being_called_whole(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        prism = at.begin(repair_frequency=100_000.0)
        await at.until(lambda: prism.describe()["lookedAt"] is not None)
        await at.quiet(20)
        await at.put(b"hello", "s1", "s2")
        await at.quiet(20)
        told = prism.describe()
        assert (told["endangered"], told["hinted"], told["unseen"]) == ({}, False, 0)


@pytest_twisted.ensureDeferred
async def test_endangered_content_for_which_nothing_can_be_done_yet_is_not_called_whole(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        prism = at.begin(repair_frequency=100_000.0)
        for name in ("s2", "s3", "s4"):
            await at.made.keeping.registry.deactivate(f"store:p1:{name}")
        await at.until(lambda: not prism.describe()["hinted"])
        await at.quiet(20)
        assert not prism.describe()["hinted"]
        await at.put(b"hello", "s1")
        await at.until(lambda: bool(prism.describe()["hinted"]), 20.0)
        assert prism.describe()["endangered"] == {}


@pytest_twisted.ensureDeferred
async def test_what_becomes_endangered_while_all_is_looked_at_is_not_called_whole(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        inventory: Any = at.made.keeping.inventory
        prism = at.begin(repair_frequency=100_000.0)
        await at.until(lambda: prism.describe()["lookedAt"] is not None)
        await at.quiet(20)
        looked, ranged, going_on = prism.describe()["lookedAt"], inventory.range, Deferred[None]()

        async def slow(*args: Any, **more: Any) -> Any:
            found = await ranged(*args, **more)
            if not going_on.called:
                await going_on
            return found

        inventory.range = slow
        prism.missed()
        await at.until(lambda: prism._surveying.is_under_way)
        at.sending.raises = Unavailable("away")
        await at.put(b"hello", "s1")
        await at.until(lambda: prism.describe()["failed"] == 1)
        going_on.callback(None)
        await at.until(lambda: prism.describe()["lookedAt"] > looked)
        assert prism.describe()["hinted"] is True


@pytest_twisted.ensureDeferred
async def test_it_is_said_that_stores_have_come_or_gone_since_all_was_looked_at(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        prism = at.begin(repair_frequency=100_000.0)
        await at.quiet()
        assert prism.describe()["hinted"] is False
        looked = prism.describe()["lookedAt"]
        await at.made.keeping.registry.deactivate("store:p1:s2")
        await at.until(lambda: bool(prism.describe()["hinted"]), 2.0)
        await at.until(lambda: prism.describe()["lookedAt"] > looked, 20.0)
        assert prism.describe()["hinted"] is False


@pytest_twisted.ensureDeferred
async def test_what_is_lost_is_said_and_counted(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1")
        await at.made.keeping.registry.deactivate("store:p1:s1")
        with logged("error") as lines:
            prism = at.begin()
            await at.until(lambda: prism.describe()["lost"] == 1)
        assert any(f"{HELLO} is lost" in line for line in lines)
        assert prism.describe()["endangered"] == {"0": 1}
        assert at.sending.sent == []


@pytest_twisted.ensureDeferred
async def test_too_much_at_once_has_all_looked_at_again(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        data = [f"content {number}".encode() for number in range(6)]
        prism = at.begin(repair_frequency=100_000.0)
        prism._worklist.most = prism._hints.most = 2
        await at.quiet()
        for each in data:
            await at.put(each, "s1")
        await at.until(lambda: all(at.has(2, each)() for each in data))


@pytest_twisted.ensureDeferred
async def test_what_is_being_mended_is_not_begun_again(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        await at.put(b"hello", "s1")
        at.sending.waits = Deferred()
        prism = at.begin(repair_frequency=200.0)
        await at.until(lambda: bool(at.sending.sent))
        prism.hint([HELLO])
        await at.until(lambda: prism.describe()["lookedAt"] > NOW + 150_000)
        assert len(at.sending.sent) == 1
        assert (prism.describe()["tasks"], prism.describe()["secondsLeft"]) == (1, None)
        assert prism.describe()["endangered"] == {"1": 1}
        at.sending.waits.callback(None)
        at.sending.waits = None
        looked = prism.describe()["lookedAt"]
        await at.until(lambda: prism.describe()["tasks"] == 0)
        assert (prism.describe()["endangered"], prism.describe()["lookedAt"]) == ({}, looked)
        assert len(at.on()) == 2


@pytest_twisted.ensureDeferred
async def test_a_range_that_misses_what_was_written_just_now_is_not_believed(
    tmp_path: Path,
) -> None:
    async with mending(tmp_path) as at:
        prism = at.begin(follows=False, repair_frequency=100_000.0)
        await at.quiet()
        await at.put(b"hello", "s1", "s2")
        inventory: Any = at.made.keeping.inventory
        under = inventory.under

        async def late(prefixes: Sequence[str]) -> Any:
            found = await under(prefixes)
            return {key: rows[:1] for key, rows in found.items()}

        inventory.under = late
        prism.hint([f"{HELLO}:p1:s1", f"{HELLO}:p1:s2"])
        await at.quiet()
        assert at.sending.sent == []


@pytest_twisted.ensureDeferred
async def test_what_is_written_one_after_the_other_is_looked_at_together(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        prism = at.begin(follows=False, repair_frequency=100_000.0)
        await at.quiet()
        inventory: Any = at.made.keeping.inventory
        under, asked = inventory.under, []

        async def counted(prefixes: Sequence[str]) -> Any:
            asked.append(len(prefixes))
            return await under(prefixes)

        inventory.under = counted
        for number in range(10):
            prism.hint([name_of(b"%d" % number)])
            await at.quiet(1.0)
        await at.quiet(10.0)
        assert sum(asked) == 10
        assert len(asked) <= 4
        assert asked[0] == 1  # the first is not waited with


@pytest_twisted.ensureDeferred
async def test_where_much_is_written_nothing_waits(tmp_path: Path) -> None:
    async with mending(tmp_path) as at:
        prism = at.begin(follows=False, repair_frequency=100_000.0)
        await at.quiet()
        prism.hint([name_of(b"%d" % number) for number in range(3 * AT_ONCE)])
        assert await at.until(lambda: not len(prism._hints)) < 4.0
