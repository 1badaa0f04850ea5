"""What content needs, case by case."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from oose.contents import Content
from oose.metadata.records import InventoryRecord
from oose.repairing.fleet import Fleet, Room, Standing
from oose.repairing.need import NOTHING, Need, need_of
from oose.settings.model import CloneSettings

HASH = "ab" * 20
NOW = 1_000_000
SETTINGS = CloneSettings(minimum=2, maximum=8)
ONE_OF_TWO = "1 of 2 clones: no other store could take one"
SHARED = "Clones share a machine: there is no other"
# Stores by where they are: `there`, `away` and `gone`, and the machine.
STANDINGS: dict[str, Standing] = {"t": "there", "a": "away", "g": "gone"}


def record(place: str, **more: Any) -> InventoryRecord:
    """A clone on a store, which is called as the cases call it: `t1` is there, on machine 1."""
    return InventoryRecord(
        HASH, "p", place, "text/plain", "txt", "x", 5, 10, **{"verified": 20, **more}
    )


def fleet(*open_stores: str) -> Fleet:
    """Those stores that the cases name; of these some take content."""
    places = [f"{kind}{machine}{n}" for kind in "tag" for machine in "123" for n in ("", "b")]
    standings = {f"p:{each}": STANDINGS[each[0]] for each in places}
    machines = {f"p:{each}": each[1] for each in places}
    rooms = {f"p:{each}": Room(each[1], 1000) for each in open_stores}
    return Fleet(standings, machines, rooms)


def of(
    places: str, content: Content | None = None, open_stores: str = "t1 t2 t3", **more: Any
) -> Need:
    """The need of content with clones on the `places`."""
    records = [record(each, **more) for each in places.split()]
    content = content or Content(HASH)
    return need_of(records, content, fleet(*open_stores.split()), SETTINGS, NOW)


ASKED = {"prisms": {"p": {"perMinute": 4 * SETTINGS.bear, "at": NOW}}}


@pytest.mark.parametrize(
    ("places", "content", "stores", "kind", "missing", "surplus"),
    [
        # as it should be
        ("t1 t2", {}, "t1 t2 t3", None, 0, 0),
        ("t1 t2", {}, "", None, 0, 0),
        # fewer than wanted
        ("t1", {}, "t1 t2 t3", "clones", 1, 0),
        ("t1 g2", {}, "t1 t2 t3", "clones", 1, 0),
        ("t1 unknown", {}, "t1 t2 t3", "clones", 1, 0),
        ("t1", {"wanted": 3}, "t1 t2 t3", "clones", 2, 0),
        ("t1", {"wanted": 5}, "t1 t2 t3", "clones", 2, 0),
        ("t1 t2", {"wanted": 3}, "t1 t2 t3", "clones", 1, 0),
        ("t1", {"wanted": 1}, "t1 t2 t3", None, 0, 0),
        # a store that is away is waited for
        ("t1 a2", {}, "t1 t2 t3", None, 0, 0),
        ("t1 a2", {"wanted": 3}, "t1 t2 t3", "clones", 1, 0),
        ("a1 a2", {}, "t1 t2 t3", None, 0, 0),
        # no other store can take one
        ("t1", {}, "t1 t1b", "clones", 1, 0),
        ("t1", {}, "t1 t1b t2", "clones", 1, 0),
        ("t2 a3", {"wanted": 3}, "t1 t1b", "clones", 1, 0),
        ("t1 t2", {"wanted": 3}, "t1 t1b t2", None, 0, 0),
        ("t1", {}, "t1", None, 0, 0),
        ("t1", {}, "", None, 0, 0),
        # more than wanted
        ("t1 t2 t3", {}, "t1 t2 t3", "surplus", 0, 1),
        ("t1 t2 t3", {"wanted": 1}, "", "surplus", 0, 2),
        ("t1 t2 t3", {"wanted": 3}, "t1 t2 t3", None, 0, 0),
        ("t1 t2 t3", {"protected": True}, "t1 t2 t3", None, 0, 0),
        ("t1 t2 t3 a1", {}, "t1 t2 t3", None, 0, 0),
        ("t1 t2 t3 g1", {}, "t1 t2 t3", "surplus", 0, 1),
        # what viewers demand
        ("t1 t2", {"demand": ASKED}, "t1 t2 t3", "demand", 1, 0),
        ("t1", {"demand": ASKED}, "t1 t2 t3", "clones", 2, 0),
        ("t1 t2 t3", {"demand": ASKED}, "t1 t2 t3", None, 0, 0),
        # on one machine
        ("t1 t1b", {}, "t1 t1b t2", "spread", 0, 0),
        ("t1 t1b", {}, "t1 t1b", None, 0, 0),
        ("t1 t1b", {}, "", None, 0, 0),
        ("t1 t1b a2", {}, "t1 t1b t2", None, 0, 0),
        ("t1 t1b t2", {}, "t1 t1b t2", "surplus", 0, 1),
        ("t1 t1b", {"wanted": 1}, "t1 t1b t2", "surplus", 0, 1),
        # lost
        ("g1 g2", {}, "t1 t2 t3", None, 0, 0),
        # removed
        ("t1", {"removed": 11}, "t1 t2 t3", None, 0, 0),
        ("t1", {"removed": 10}, "t1 t2 t3", "clones", 1, 0),
    ],
)
def test_what_is_to_be_done(
    places: str,
    content: dict[str, Any],
    stores: str,
    kind: str | None,
    missing: int,
    surplus: int,
) -> None:
    need = of(places, Content(HASH, **content), stores)
    assert (need.kind, need.missing, need.surplus) == (kind, missing, surplus)


def test_how_it_is_with_content() -> None:
    need = of("t1 a2 g3", Content(HASH, wanted=3))
    assert (need.live, need.waiting, need.wanted, need.bytes) == (1, 1, 3, 5)
    assert need.is_endangered
    assert not need.is_lost
    lost = of("g1")
    assert lost.is_lost
    assert lost.is_endangered
    assert not lost.is_stuck
    assert not of("a1").is_lost
    assert of("t1", open_stores="t1").is_stuck
    assert not of("t1").is_stuck
    assert of("t1 t1b", open_stores="t2").bytes == 5
    assert need_of([], Content(HASH), fleet(), SETTINGS, NOW) == NOTHING
    assert not NOTHING.is_lost
    assert not NOTHING.is_endangered


def test_a_store_without_room_for_it_is_none() -> None:
    small = evolve(fleet(), rooms={"p:t2": Room("2", 5), "p:t3": Room("3", 6)})
    need = need_of([record("t1")], Content(HASH, wanted=3), small, SETTINGS, NOW)
    assert need.missing == 1


def test_the_most_endangered_comes_first() -> None:
    three = Content(HASH, wanted=3)
    in_order = [
        of("t1", verified=None),
        of("t1", three),
        of("t1"),
        of("t1 t2", three),
        of("t1 t2", Content(HASH, demand=ASKED)),
        of("t1 t1b"),
        of("t1 t2 t3"),
        of("t1 t2", note=ONE_OF_TWO),
        of("t1 t2"),
    ]
    ranks = [need.rank for need in in_order]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


@pytest.mark.parametrize(
    ("places", "note", "stores", "is_wrong"),
    [
        ("t1 t2", None, "", False),
        ("t1 t2", ONE_OF_TWO, "", True),
        ("t1", ONE_OF_TWO, "", False),
        ("t1", None, "", False),  # nobody says so yet, and nobody has to
        ("t1", SHARED, "", True),
        ("t1 t1b", SHARED, "", False),
        ("t1 t2", SHARED, "", True),
        ("t1 a2", SHARED, "", False),  # it is waited for
    ],
)
def test_a_note_that_is_not_so_is_corrected(
    places: str, note: str | None, stores: str, is_wrong: bool
) -> None:
    need = of(places, open_stores=stores, note=note)
    assert need.has_wrong_note is is_wrong
    assert (need.kind == "note") is is_wrong


stores = st.lists(
    st.tuples(st.sampled_from("tag"), st.sampled_from("123"), st.sampled_from(["", "b"])),
    unique=True,
    max_size=8,
)


@given(stores, st.integers(1, 5), stores)
def test_what_is_missing_and_what_is_too_many_is_never_both(
    places: list[tuple[str, str, str]], wanted: int, rooms: list[tuple[str, str, str]]
) -> None:
    opened = " ".join("".join(each) for each in rooms if each[0] == "t")
    need = of(" ".join("".join(each) for each in places), Content(HASH, wanted=wanted), opened)
    assert not (need.missing and need.surplus)
    assert need.live - need.surplus >= min(need.live, wanted)
    assert need.live + need.waiting + need.missing <= max(wanted, need.live + need.waiting)
    if need.missing:
        assert need.live > 0
    if need.surplus:
        assert need.waiting == 0
