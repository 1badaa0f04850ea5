"""A store emptied, over real connections."""

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred

from oose.errors import Unavailable
from oose.tending.draining import Draining, Left
from oose.tending.placing import Off
from oose.tending.round import Heard, Round, nobody
from tests.machine.elsewhere import cluster, until
from tests.machine.tended import Tended
from tests.unit.keeping import NOW

FIRST = b"first6"  # by its hash
FOUR = ("s1:m1:g1", "s2:m2:g1", "s3:m3:g2", "s4:m4:g2")


@define(eq=False)
class Drain:
    """A draining of `s1`, and what was seen of it."""

    tended: Tended
    notice: float = 0.0
    pretend: bool = False
    rounds: list[Round] = field(factory=list)
    waits: list[float] = field(factory=list)
    heard: Heard = nobody
    draining: Draining = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = self.tended.made.keeping.clock
        self.draining = Draining(
            "p1:s1",
            self.tended.picking(),
            self.new_round,
            clock.seconds() + self.notice,
            clock,
            self.waits.append,
        )

    def new_round(self) -> Round:
        off = Off(self.tended.clones, self.tended.repair, "p1:s1", NOW)
        self.rounds.append(Round(off, 2, self.pretend, self.heard))
        return self.rounds[-1]

    async def left(self) -> Left:
        return await self.draining.left(self.tended.settings)

    def count(self, name: str) -> int:
        return self.draining.tally.counts[name]


@pytest_twisted.ensureDeferred
async def test_a_store_is_emptied_and_what_came_meanwhile_too(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        hashes = [await tended.put(str(n).encode(), "s1", "s3") for n in range(5)]
        drain = Drain(tended)
        putting: list[Deferred[str]] = []

        def heard(picked: object, outcome: object) -> None:
            if drain.rounds[0].tally.counts["contents"] == 5 and not putting:
                putting.append(Deferred.fromCoroutine(tended.put(FIRST, "s1", "s2")))

        drain.heard = heard
        await drain.draining.run()
        hashes.append(await putting[0])
        assert hashes[-1] < min(hashes[:-1])  # so that the first round was past it
        assert len(drain.rounds) == 3
        assert drain.waits == []
        assert (drain.count("made"), drain.count("removed"), drain.count("contents")) == (6, 6, 5)
        assert await drain.left() == Left()
        assert Left().is_safe
        where = await tended.where()
        assert set(where) == set(hashes)
        assert all(len(names) == 2 and "s1" not in names for names in where.values())


@pytest_twisted.ensureDeferred
async def test_what_is_left_is_protected_or_failed(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        tended = Tended(made)
        await tended.put(b"easy", "s1", "s2")
        protected = await tended.put(b"kept", "s1", "s2")
        await tended.note(protected, protected=True)
        drain = Drain(tended)
        await drain.draining.run()
        assert len(drain.rounds) == 2  # the last finds nothing more to do
        left = await drain.left()
        assert (left, left.is_safe) == (Left(contents=1, protected=1), True)
        assert drain.draining.tally.failed == 0
        wished = await tended.put(b"wished", "s1", "s2")
        await tended.note(wished, wanted=3)
        alone = await tended.put(b"alone", "s1")
        [path] = [each for each in made.stores["s1"].files() if each.stem == alone]
        path.write_bytes(b"spoilt")
        again = Drain(tended)
        await again.draining.run()
        left = await again.left()
        assert (left, left.is_safe) == (Left(contents=2, protected=1, few=1), False)
        assert sorted(which for which, _ in again.draining.tally.failures) == [wished]


@pytest_twisted.ensureDeferred
async def test_what_nobody_else_has_is_counted(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        tended = Tended(made)
        await tended.put(b"one", "s1")
        await made.keeping.registry.set_writable("store:p1:s2", False)
        drain = Drain(tended)
        await drain.draining.run()
        assert await drain.left() == Left(contents=1, few=1, alone=1)
        assert drain.draining.tally.failed == 1


@pytest_twisted.ensureDeferred
async def test_records_that_only_a_range_still_has_are_not_left(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s2")
        inventory: Any = made.keeping.inventory
        held = await inventory.held("p1:s1")
        rows = await inventory.under([f"{content_hash}:"])
        await made.stores["s1"].holdings.remove(content_hash)

        async def late(place: str, *, after: str, limit: int) -> Any:
            return () if after else held

        async def under(prefixes: Any) -> Any:
            return rows

        inventory.held, inventory.under = late, under
        assert await Drain(tended).left() == Left()


@pytest_twisted.ensureDeferred
async def test_to_pretend_one_round_is_enough(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await tended.put(b"one", "s1", "s3")
        drain = Drain(tended, 60.0, pretend=True)
        await drain.draining.run()
        assert (len(drain.rounds), drain.count("removed"), drain.waits) == (1, 1, [])
        assert await drain.left() == Left(contents=1, few=1)


@pytest_twisted.ensureDeferred
async def test_it_waits_until_all_know_that_the_store_takes_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        clock = made.keeping.clock
        drain = Drain(tended, 60.0)
        running = Deferred.fromCoroutine(drain.draining.run())
        await until(lambda: drain.waits)
        await tended.put(b"late", "s1", "s2")
        clock.advance(59)
        assert not running.called
        clock.advance(1)
        await running
        assert (drain.waits, len(drain.rounds)) == ([60.0], 3)
        assert await drain.left() == Left()


@pytest_twisted.ensureDeferred
async def test_a_round_may_last_longer_than_that(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s2", "s3")
        await tended.note(content_hash, protected=True)
        drain = Drain(tended, 60.0)
        drain.heard = lambda picked, outcome: made.keeping.clock.advance(100)
        await drain.draining.run()
        assert (drain.waits, len(drain.rounds)) == ([], 2)


@pytest_twisted.ensureDeferred
async def test_it_may_be_told_to_stop(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        for n in range(5):
            await tended.put(str(n).encode(), "s1", "s3")
        drain = Drain(tended)
        drain.draining.stop()
        await drain.draining.run()
        assert drain.rounds == []
        drain = Drain(tended)
        holdings: Any = made.stores["s1"].holdings
        real = holdings.remove

        async def remove(*args: Any, **more: Any) -> None:
            drain.draining.stop()
            await real(*args, **more)

        holdings.remove = remove
        await drain.draining.run()
        assert len(drain.rounds) == 1
        assert 1 <= drain.count("removed") <= 2  # what was under way
        assert (await drain.left()).contents == 5 - drain.count("removed")


@pytest_twisted.ensureDeferred
async def test_the_wait_is_cut_short_by_who_stops_it_or_ends_all(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        drain = Drain(Tended(made), 60.0)
        running = Deferred.fromCoroutine(drain.draining.run())
        await until(lambda: drain.waits)
        drain.draining.stop()
        await running
        drain = Drain(Tended(made), 60.0)
        running = Deferred.fromCoroutine(drain.draining.run())
        await until(lambda: drain.waits)
        running.cancel()
        with pytest.raises(CancelledError):
            await running


@pytest_twisted.ensureDeferred
async def test_a_store_that_goes_ends_it_and_what_was_done_is_known(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await tended.put(b"one", "s1", "s3")
        drain = Drain(tended)
        await made.change("p1:s1", available=False)
        with pytest.raises(Unavailable, match="p1:s1 is not available"):
            await drain.draining.run()
        assert drain.count("contents") == 0
