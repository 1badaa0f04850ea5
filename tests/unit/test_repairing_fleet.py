"""Which stores are there, away for a while, or gone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_twisted
from attrs import evolve

from oose.registry import Peer
from oose.repairing.fleet import Absences, Fleet, Room, Standing
from tests.unit.keeping import NOW, Keeping

PRISM = Peer("prism", "p1", "p1", "h", 1, "u", "g", "m1", "3", NOW)
STORE = evolve(PRISM, kind="store", name="s1", capacity=1000, free=500, min_free=100)
PATIENCE = 3600.0
HOUR = 3_600_000


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    await keeping.registry.register(evolve(PRISM, renewed=NOW))
    await keeping.registry.register(evolve(STORE, renewed=NOW))
    yield keeping
    await keeping.database.close()


def absences(keeping: Keeping) -> Absences:
    return Absences(keeping.registry, PATIENCE)


def standing(known: Absences, now: int) -> Standing:
    return known.fleet(now).standing("p1:s1")


async def change(keeping: Keeping, peer_id: str, **what: Any) -> None:
    peer = keeping.registry.peer(peer_id)
    assert peer is not None
    await keeping.registry.update(evolve(peer, **what))


@pytest_twisted.ensureDeferred
async def test_a_store_that_serves_is_there_and_takes_what_there_is_room_for(
    keeping: Keeping,
) -> None:
    fleet = absences(keeping).fleet(NOW)
    assert fleet == Fleet({"p1:s1": "there"}, {"p1:s1": "m1"})
    assert fleet.rooms == {"p1:s1": Room("m1", 400)}
    assert fleet.standing("p1:other") == "gone"
    assert (fleet.machine("p1:s1"), fleet.machine("p1:other")) == ("m1", "p1:other")
    await keeping.registry.set_writable("store:p1:s1", False)
    fleet = absences(keeping).fleet(NOW)
    assert (fleet.standing("p1:s1"), fleet.rooms) == ("there", {})


@pytest_twisted.ensureDeferred
async def test_one_that_renews_itself_and_does_not_serve_is_waited_for_from_when_it_is_seen(
    keeping: Keeping,
) -> None:
    known = absences(keeping)
    assert standing(known, NOW) == "there"
    for start in (NOW + HOUR, NOW + 10 * HOUR):
        await change(keeping, "store:p1:s1", available=False, renewed=start)
        assert standing(known, start) == "away"
        await change(keeping, "store:p1:s1", renewed=start + HOUR - 1)
        assert standing(known, start + HOUR - 1) == "away"
        assert standing(known, start + HOUR) == "gone"
        await change(keeping, "store:p1:s1", available=True)
        assert standing(known, start + HOUR) == "there"


@pytest_twisted.ensureDeferred
async def test_one_that_does_not_renew_itself_is_waited_for_from_when_it_did_last(
    keeping: Keeping,
) -> None:
    await change(keeping, "store:p1:s1", available=False)
    assert standing(absences(keeping), NOW + HOUR - 1) == "away"
    assert standing(absences(keeping), NOW + HOUR) == "gone"
    await change(keeping, "store:p1:s1", renewed=0)  # as old versions leave it
    known = absences(keeping)
    assert standing(known, NOW + HOUR) == "away"
    assert standing(known, NOW + 2 * HOUR) == "gone"


@pytest_twisted.ensureDeferred
async def test_one_whose_prism_is_away_is_away_too(keeping: Keeping) -> None:
    await change(keeping, "store:p1:s1", renewed=NOW + 2 * HOUR)
    await change(keeping, "prism:p1", available=False)
    assert standing(absences(keeping), NOW + HOUR - 1) == "away"
    assert standing(absences(keeping), NOW + HOUR) == "gone"


@pytest_twisted.ensureDeferred
async def test_one_without_a_prism_of_its_own_is_judged_by_itself(keeping: Keeping) -> None:
    await keeping.registry.deactivate("prism:p1")
    await keeping.registry.remove("prism:p1")
    assert standing(absences(keeping), NOW) == "there"


@pytest_twisted.ensureDeferred
async def test_one_that_is_deactivated_or_removed_is_not_waited_for(keeping: Keeping) -> None:
    known = absences(keeping)
    await change(keeping, "store:p1:s1", available=False)
    assert standing(known, NOW) == "away"
    await keeping.registry.deactivate("store:p1:s1")
    assert standing(known, NOW) == "gone"
    assert known.fleet(NOW).rooms == {}
    await keeping.registry.remove("store:p1:s1")
    assert known.fleet(NOW) == Fleet()
    assert known._since == {}
    await keeping.registry.register(STORE)
    await keeping.registry.deactivate("prism:p1")
    assert standing(known, NOW) == "gone"


def test_how_many_more_clones_there_can_be() -> None:
    fleet = Fleet(
        machines={"a": "1", "b": "1", "c": "2", "d": "3"},
        rooms={"a": Room("1", 10), "b": Room("1", 10), "c": Room("2", 5)},
    )
    assert fleet.targets(["d"], 1) == 2
    assert fleet.targets(["d"], 5) == 1
    assert fleet.targets(["a"], 1) == 1
    assert fleet.targets([], 1) == 2
    assert fleet.other_machines(["a", "c"], 1) == 0
    alone = evolve(fleet, rooms={"a": Room("1", 10), "b": Room("1", 10)})
    assert alone.targets(["a"], 1) == 1
    assert alone.targets(["a"], 10) == 0
    assert alone.other_machines(["a"], 1) == 0
    assert alone.targets(["d"], 1) == 1
    assert Fleet().targets([], 1) == 0
