"""Stores made equally full, over real connections."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest_twisted
from attrs import define, field

from oose.balance import Balance
from oose.errors import DiskFull
from oose.tending.levelling import Levelling, Rebalancing, levels
from oose.tending.placing import STAYS
from oose.tending.round import Round
from tests.machine.elsewhere import Cluster, cluster
from tests.machine.tended import Tended, reasons

FOUR = ("s1:m1", "s2:m2", "s3:m3", "s4:m4")
SIZE = 10  # bytes of each content
CAPACITY = 1000


async def fill(made: Cluster) -> None:
    """Say of each store how full it is: as full as its files make it, of a small disk."""
    for name, store in made.stores.items():
        used = sum(path.stat().st_size for path in store.files())
        await made.change(f"p1:{name}", capacity=CAPACITY, free=CAPACITY - used)


async def put(tended: Tended, count: int, *names: str, start: int = 0) -> list[str]:
    found = [
        await tended.put(str(n).encode().zfill(SIZE), *names) for n in range(start, start + count)
    ]
    await fill(tended.made)
    return found


@define(eq=False)
class Rebalance:
    """A rebalancing, and its rounds."""

    tended: Tended
    pretend: bool = False
    rounds: list[Round] = field(factory=list)
    balance: Balance = field(init=False)
    rebalancing: Rebalancing = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.balance = Balance(levels(self.tended.made.keeping.registry), 0.05)
        self.rebalancing = Rebalancing(self.balance, self.tended.picking(5), self.new_round)

    def new_round(self) -> Round:
        deed = Levelling(self.tended.clones, self.tended.repair, self.balance)
        self.rounds.append(Round(deed, 2, self.pretend))
        return self.rounds[-1]

    def count(self, name: str) -> int:
        return self.rebalancing.tally.counts[name]


def on_disks(made: Cluster) -> Mapping[str, int]:
    return {name: len(store.files()) for name, store in made.stores.items()}


@pytest_twisted.ensureDeferred
async def test_a_new_store_is_filled_from_the_others(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await put(tended, 20, "s1", "s2")
        await put(tended, 20, "s2", "s3", start=20)
        pretended = Rebalance(tended, pretend=True)
        await pretended.rebalancing.run()
        assert on_disks(made) == {"s1": 20, "s2": 40, "s3": 20, "s4": 0}
        done = Rebalance(tended)
        await done.rebalancing.run()
        assert done.balance.is_even
        assert done.rebalancing.tally.failed == 0
        assert done.count("made") == done.count("removed") == pretended.count("removed") == 15
        found = on_disks(made)
        assert {each.place: each.used // SIZE for each in done.balance.now()} == {
            f"p1:{name}": count for name, count in found.items()
        }
        assert found == {"s1": 20, "s2": 25, "s3": 20, "s4": 15}
        assert Counter(len(names) for names in (await tended.where()).values()) == {2: 40}


@pytest_twisted.ensureDeferred
async def test_stores_that_are_even_are_left_alone(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await put(tended, 2, "s1", "s2")
        done = Rebalance(tended)
        await done.rebalancing.run()
        assert done.rounds == []


@pytest_twisted.ensureDeferred
async def test_what_is_protected_or_has_too_few_clones_stays(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        for each in await put(tended, 10, "s1", "s2"):
            await tended.note(each, protected=True)
        await put(tended, 10, "s1", start=10)
        pretended = Rebalance(tended, pretend=True)
        await pretended.rebalancing.run()
        assert pretended.count("made") == 0
        done = Rebalance(tended)
        await done.rebalancing.run()
        assert not done.balance.is_even
        assert len(done.rounds) == 2
        assert (done.count("made"), done.rebalancing.tally.failed) == (0, 0)
        assert on_disks(made) == {"s1": 20, "s2": 10, "s3": 0, "s4": 0}


@pytest_twisted.ensureDeferred
async def test_clones_on_stores_that_are_away_take_their_place(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3", "s4:m3") as made:
        tended = Tended(made)
        await put(tended, 20, "s1", "s2", "s3")
        await made.change("p1:s3", available=False)
        done = Rebalance(tended)
        assert [each.place for each in done.balance.levels] == ["p1:s1", "p1:s2", "p1:s4"]
        await done.rebalancing.run()
        assert on_disks(made)["s4"] == 0  # s3 is on the same machine


@pytest_twisted.ensureDeferred
async def test_a_store_of_which_nobody_knows_any_more_does_not_hinder(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await put(tended, 20, "s1", "s2", "s3")
        await made.change("p1:s3", available=False)
        await made.keeping.registry.remove("store:p1:s3")
        done = Rebalance(tended)
        await done.rebalancing.run()
        assert done.balance.is_even


@pytest_twisted.ensureDeferred
async def test_a_move_that_failed_is_not_counted(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await put(tended, 20, "s1", "s2")

        class Full:
            async def send(self, *args: Any) -> None:
                raise DiskFull("full by now")

        tended.clones.sender = Full()
        done = Rebalance(tended)
        await done.rebalancing.run()
        assert done.balance.moves == 0
        assert done.balance.now() == done.balance.levels
        assert set(reasons(done.rounds[-1])) == {"full by now"}


@pytest_twisted.ensureDeferred
async def test_a_clone_that_stays_although_it_was_copied_is_said(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        [one, *_] = await put(tended, 20, "s1", "s2")
        done = Rebalance(tended)
        deed = Levelling(tended.clones, tended.repair, done.balance)
        picked = await tended.picked(one)
        await tended.note(one, wanted=9)  # by somebody, just now
        outcome = await deed.do(picked)
        assert (outcome.made, outcome.removed, outcome.why) == (1, 0, STAYS)
        used = {each.place: each.used for each in done.balance.now()}
        assert used[str(outcome.off)] == 200
        assert used[str(outcome.onto)] == 10


@pytest_twisted.ensureDeferred
async def test_what_is_gone_meanwhile_is_no_move(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        [one, *_] = await put(tended, 20, "s1", "s2")
        picked = await tended.picked(one)
        done = Rebalance(tended)
        deed = Levelling(tended.clones, tended.repair, done.balance)
        for name in ("s1", "s2"):
            await made.stores[name].holdings.remove(one)
        assert not (await deed.do(picked)).is_work
        assert done.balance.moves == 0


@pytest_twisted.ensureDeferred
async def test_stores_that_go_meanwhile_are_left_out(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await put(tended, 20, "s1", "s2")
        done = Rebalance(tended)
        await made.keeping.registry.set_writable("store:p1:s4", False)
        await done.rebalancing.run()
        assert on_disks(made)["s4"] == 0
        assert on_disks(made)["s3"] > 0


@pytest_twisted.ensureDeferred
async def test_it_may_be_told_to_stop(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await put(tended, 20, "s1", "s2")
        done = Rebalance(tended)
        done.rebalancing.stop()
        await done.rebalancing.run()
        assert done.rounds == []
        done = Rebalance(tended)
        for store in made.stores.values():
            holdings: Any = store.holdings
            real = holdings.remove

            async def remove(*args: Any, real: Any = real, **more: Any) -> None:
                done.rebalancing.stop()
                await real(*args, **more)

            holdings.remove = remove
        await done.rebalancing.run()
        assert 1 <= done.count("removed") <= 2
        assert len(done.rounds) == 1
        await Rebalance(tended).rebalancing.run()
        assert len(await tended.where()) == 20
