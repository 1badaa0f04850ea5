"""What an operator has done to the clones of much content, on stores over real connections."""

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose.errors import DiskFull, NotFound, Unavailable
from oose.settings.model import CloneSettings
from oose.tending.picking import Choice
from oose.tending.placing import STAYS, Off, Onto
from oose.tending.reading import Reading
from oose.tending.wishing import Wishing
from tests.machine.elsewhere import cluster
from tests.machine.tended import Tended, counts, reasons
from tests.unit.keeping import NOW

FOUR = ("s1:m1:g1", "s2:m2:g1", "s3:m3:g2", "s4:m4:g2")


async def away(*args: Any, **more: Any) -> Any:
    raise Unavailable("away")


def wishing(tended: Tended, wanted: int | None, *, later: bool = False) -> Wishing:
    return Wishing(tended.clones.contents, tended.repair, tended.made.keeping.clock, wanted, later)


# Wishes.


@pytest_twisted.ensureDeferred
async def test_content_gets_and_loses_clones_until_there_are_as_many_as_wished(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        hashes = [await tended.put(data, "s1", "s3") for data in (b"one", b"other")]
        pretended = await tended.do(wishing(tended, 3), pretend=True)
        assert counts(pretended) == {"contents": 2, "made": 2, "bytes": 8}
        assert (await tended.clones.contents.get(hashes[0])).wanted is None
        assert counts(await tended.do(wishing(tended, 3))) == counts(pretended)
        assert [len(names) for names in (await tended.where()).values()] == [3, 3]
        assert (await tended.clones.contents.get(hashes[0])).wanted == 3
        pretended = await tended.do(wishing(tended, None), pretend=True)
        assert counts(pretended) == {"contents": 2, "removed": 2}
        assert counts(await tended.do(wishing(tended, None))) == {"contents": 2, "removed": 2}
        assert [len(names) for names in (await tended.where()).values()] == [2, 2]
        assert (await tended.clones.contents.get(hashes[0])).wanted is None


@pytest_twisted.ensureDeferred
async def test_a_wish_may_be_left_to_repair(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s3")
        for pretend in (True, False):
            later = wishing(tended, 4, later=True)
            assert counts(await tended.do(later, pretend)) == {"contents": 1, "later": 1}
        assert (await tended.clones.contents.get(content_hash)).wanted == 4
        assert await tended.where() == {content_hash: {"s1", "s3"}}


@pytest_twisted.ensureDeferred
async def test_where_there_are_too_few_stores_that_is_said(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1")
        expected = "4 of 6 clones: no other store could take one"
        pretended = await tended.do(wishing(tended, 6), pretend=True)
        assert (counts(pretended)["made"], reasons(pretended)) == (3, [expected])
        assert reasons(await tended.do(wishing(tended, 6))) == [expected]
        assert len((await tended.where())[content_hash]) == 4


@pytest_twisted.ensureDeferred
async def test_what_is_protected_loses_no_clone(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s2", "s3")
        await tended.note(content_hash, protected=True)
        for pretend in (True, False):
            done = await tended.do(wishing(tended, 1), pretend)
            assert counts(done) == {"contents": 1, "protected": 1}
        assert len((await tended.where())[content_hash]) == 3


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s3")
        await made.change("p1:s3", available=False)
        assert counts(await tended.do(wishing(tended, 2))) == {"contents": 1, "waiting": 1}
        await tended.put(b"one", "s2")
        done = await tended.do(wishing(tended, 1))
        assert counts(done) == {"contents": 1, "waiting": 1}
        assert len((await tended.where())[content_hash]) == 3


@pytest_twisted.ensureDeferred
async def test_viewers_may_ask_for_more(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made, CloneSettings(minimum=1))
        content_hash = await tended.put(b"one", "s1", "s2", "s3")
        word = {"perMinute": 1500, "at": made.keeping.now()}
        await tended.note(content_hash, demand={"prisms": {"p1": word}})
        assert counts(await tended.do(wishing(tended, 1))) == {"contents": 1, "demand": 1}


@pytest_twisted.ensureDeferred
async def test_clones_too_many_that_stay_are_said(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await tended.put(b"one", "s1", "s2", "s3")
        for name in ("s1", "s2"):
            holdings: Any = made.stores[name].holdings
            holdings.verify = away
        done = await tended.do(wishing(tended, 2))
        [why] = reasons(done)
        assert why.startswith("1 of 3 clones too many: not enough of the others")


@pytest_twisted.ensureDeferred
async def test_clones_that_share_a_machine_are_spread(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m1", "s3:m2") as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s2")
        for pretend in (True, False):
            done = await tended.do(wishing(tended, 2), pretend)
            assert counts(done) == {"contents": 1, "made": 1, "removed": 1, "bytes": 3}
        assert "s3" in (await tended.where())[content_hash]


# Onto a store.


@pytest_twisted.ensureDeferred
async def test_one_more_clone_comes_onto_a_store_and_is_wished(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s3")
        onto = Onto(tended.clones, tended.repair, "p1:s2")
        for pretend in (True, False):
            done = await tended.do(onto, pretend)
            assert counts(done) == {"contents": 1, "made": 1, "bytes": 3}
        assert (await tended.where())[content_hash] == {"s1", "s2", "s3"}
        assert (await tended.clones.contents.get(content_hash)).wanted == 3
        for pretend in (True, False):
            assert counts(await tended.do(onto, pretend)) == {"contents": 1}


@pytest_twisted.ensureDeferred
async def test_one_that_was_missing_anyway_needs_no_wish(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1")
        await tended.do(Onto(tended.clones, tended.repair, "p1:s2"))
        assert (await tended.clones.contents.get(content_hash)).wanted is None


@pytest_twisted.ensureDeferred
async def test_a_wish_for_a_clone_that_was_not_made_is_taken_back(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s3")
        onto = Onto(tended.clones, tended.repair, "p1:s2")
        await made.change("p1:s2", free=1)
        with pytest.raises(DiskFull):
            await onto.do(await tended.picked(content_hash))
        assert (await tended.clones.contents.get(content_hash)).wanted is None
        await made.change("p1:s2", free=1000)

        class Late:
            async def send(self, *args: Any) -> None:
                await tended.note(content_hash, wanted=5)
                raise DiskFull("full by now")

        tended.clones.sender = Late()
        with pytest.raises(DiskFull):
            await onto.do(await tended.picked(content_hash))
        assert (await tended.clones.contents.get(content_hash)).wanted == 5


@pytest_twisted.ensureDeferred
async def test_a_store_that_takes_nothing_ends_it(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await tended.put(b"one", "s1", "s3")
        await made.keeping.registry.set_writable("store:p1:s2", False)
        for place in ("p1:s2", "p1:s9"):
            with pytest.raises(Unavailable, match=f"{place} takes nothing now"):
                await tended.do(Onto(tended.clones, tended.repair, place))


# Off a store.


def off(tended: Tended, place: str, since: int = NOW) -> Off:
    return Off(tended.clones, tended.repair, place, since)


@pytest_twisted.ensureDeferred
async def test_a_clone_goes_off_a_store_when_another_is_elsewhere(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        one = await tended.put(b"one", "s1", "s3")
        other = await tended.put(b"other", "s2", "s3")
        three = await tended.put(b"three", "s1", "s2", "s3")
        for pretend in (True, False):
            done = await tended.do(off(tended, "p1:s1"), pretend)
            assert counts(done) == {"contents": 3, "made": 1, "removed": 2, "bytes": 3}
        assert await tended.where() == {
            one: {"s2", "s3"}, other: {"s2", "s3"}, three: {"s2", "s3"}
        }  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_what_is_protected_is_made_up_for_and_stays(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s3")
        await tended.note(content_hash, protected=True)
        for pretend in (True, False):
            done = await tended.do(off(tended, "p1:s1"), pretend)
            assert counts(done) == {"contents": 1, "made": 1, "bytes": 3, "protected": 1}
        assert (await tended.where())[content_hash] == {"s1", "s2", "s3"}
        read = {each.store: each.verified for each in await made.records(content_hash)}
        assert read["s3"] == NOW


@pytest_twisted.ensureDeferred
async def test_what_is_protected_is_safe_only_where_others_are_good(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s2", "s3")
        await tended.note(content_hash, protected=True)
        [path] = made.stores["s2"].files()
        path.write_bytes(b"eno")
        done = await tended.do(off(tended, "p1:s1"))
        assert reasons(done) == ["protected, and only 1 of 2 other clones could be verified"]
        holdings: Any = made.stores["s3"].holdings
        holdings.verify = away
        await tended.put(b"one", "s4")
        later = off(tended, "p1:s1", NOW + 1)
        keepers: Any = made.make_keepers()
        real = keepers.get
        keepers.get = lambda place: None if place == "p1:s4" else real(place)
        tended.clones.keepers = keepers
        assert reasons(await tended.do(later)) == [
            "protected, and only 0 of 2 other clones could be verified"
        ]


@pytest_twisted.ensureDeferred
async def test_a_clone_that_cannot_be_moved_stays_and_is_said(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s2", "s3")
        await tended.note(content_hash, wanted=3)
        pretended = await tended.do(off(tended, "p1:s1"), pretend=True)
        assert reasons(pretended) == ["no other store can take a clone"]
        assert "removed" not in counts(pretended)
        assert reasons(await tended.do(off(tended, "p1:s1"))) == ["No other store can take a clone"]
        await tended.note(content_hash, wanted=2)
        for name in ("s2", "s3"):
            holdings: Any = made.stores[name].holdings
            holdings.verify = away
        assert reasons(await tended.do(off(tended, "p1:s1"))) == [STAYS]
        await tended.note(content_hash, wanted=3)
        await made.stores["s2"].holdings.remove(content_hash)
        assert reasons(await tended.do(off(tended, "p1:s1"))) == [
            "only 2 of 3 clones are elsewhere: no other store can take one"
        ]


@pytest_twisted.ensureDeferred
async def test_demand_does_not_hold_a_clone_where_there_is_no_other_store(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s2", "s3")
        word = {"perMinute": 5000, "at": made.keeping.now()}
        await tended.note(content_hash, demand={"prisms": {"p1": word}})
        done = await tended.do(off(tended, "p1:s1"))
        assert (counts(done), reasons(done)) == ({"contents": 1, "removed": 1}, [])


@pytest_twisted.ensureDeferred
async def test_what_is_gone_meanwhile_is_no_failure(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s3")
        picked = await tended.picked(content_hash)
        await made.stores["s1"].holdings.remove(content_hash)
        assert not (await off(tended, "p1:s1").do(picked)).is_work
        await tended.put(b"one", "s1")
        for store in ("s1", "s3"):
            [path] = made.stores[store].files()
            path.write_bytes(b"eno")
        tended.clones.keepers = keepers = made.make_keepers()
        gone: Any = keepers
        gone.get = lambda place: None
        with pytest.raises(NotFound, match="can be read now"):
            await off(tended, "p1:s1").do(picked)


@pytest_twisted.ensureDeferred
async def test_a_clone_that_somebody_else_removes_is_off_too(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s3")
        real = tended.clones.sender

        class AndGone:
            async def send(self, *args: Any) -> None:
                await real.send(*args)
                await made.stores["s1"].holdings.remove(content_hash)

        tended.clones.sender = AndGone()
        done = await tended.do(off(tended, "p1:s1"))
        assert (counts(done), reasons(done)) == ({"contents": 1, "made": 1, "bytes": 3}, [])
        assert await tended.where() == {content_hash: {"s2", "s3"}}


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_not_there_cannot_be_emptied(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await tended.put(b"one", "s1", "s3")
        await made.change("p1:s1", available=False)
        with pytest.raises(Unavailable, match="p1:s1 is not available"):
            await tended.do(off(tended, "p1:s1"))


# Verification.


@pytest_twisted.ensureDeferred
async def test_clones_are_read_again_all_or_those_that_are_meant(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        await tended.put(b"one", "s1", "s3")
        await tended.put(b"other", "s1", "s2")
        for choice, expected in ((Choice(), 4), (Choice(stores=frozenset(["p1:s1"])), 2)):
            for pretend in (True, False):
                done = await tended.do(Reading(tended.clones.keepers, choice), pretend)
                assert counts(done) == {"contents": 2, "verified": expected}


@pytest_twisted.ensureDeferred
async def test_what_is_wrong_with_clones_is_said_by_store(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        tended = Tended(made)
        content_hash = await tended.put(b"one", "s1", "s2", "s3", "s4")
        picked = await tended.picked(content_hash)
        [path] = made.stores["s1"].files()
        path.write_bytes(b"eno")
        holdings: Any = made.stores["s3"].holdings
        holdings.verify = away
        await made.change("p1:s4", available=False)
        done = await Reading(tended.clones.keepers, Choice()).do(picked)
        assert done.verified == 1
        assert done.why == (
            "p1:s1: corrupt; p1:s3: away; p1:s4: the store is not available any more"
        )
        nowhere = evolve(picked, counting=[])
        done = await Reading(tended.clones.keepers, Choice()).do(nowhere)
        assert done.why == "no clone of it can be read now"
