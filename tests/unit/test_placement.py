import random
from collections import Counter

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from oose.placement import Candidate, choose, share_a_machine

ROOMY = Candidate("store1", "machine1", "group1", 1000, 2000, 100, 0, writable=True)


def store(name: str, machine: str, group: str = "group1") -> Candidate:
    return evolve(ROOMY, name=name, machine=machine, group=group)


def names(chosen: tuple[Candidate, ...]) -> list[str]:
    return [each.name for each in chosen]


clusters = st.lists(
    st.builds(
        Candidate,
        name=st.integers(1, 30).map("store{}".format),
        machine=st.sampled_from(["a", "b", "c", "d"]),
        group=st.sampled_from(["g", "h"]),
        free=st.integers(0, 1000),
        capacity=st.just(1000),
        min_free=st.integers(0, 500),
        load=st.integers(0, 5),
        writable=st.booleans(),
    ),
    unique_by=lambda each: each.name,
    max_size=10,
)
sizes = st.one_of(st.none(), st.integers(0, 1000))
chances = st.floats(0, 1)


# Room.


def test_a_store_keeps_its_least_free_space() -> None:
    assert ROOMY.has_room(899)
    assert not ROOMY.has_room(900)


def test_a_store_takes_an_unknown_number_of_bytes_while_anything_is_free() -> None:
    assert ROOMY.has_room(None)
    assert not evolve(ROOMY, free=100).has_room(None)


def test_a_store_that_is_not_writable_takes_nothing() -> None:
    assert not evolve(ROOMY, writable=False).has_room(0)


# Choice.

# what there is (store: machine, group, room), who holds a copy, how many more, who gets them
TABLE = {
    "one store": ("a:m1:g", "", 2, "a"),
    "one machine gets two": ("a:m1:g b:m1:g c:m1:g", "", 2, "a b"),
    "one machine gets a second": ("a:m1:g b:m1:g", "a", 1, "b"),
    "two machines get one each": ("a:m1:g b:m1:g c:m2:g", "", 2, "a c"),
    "two machines do not get three": ("a:m1:g b:m1:g c:m2:g d:m2:g", "", 3, "a c"),
    "not twice to one while another is full": ("a:m1:g b:m1:g c:m2:g:full", "", 2, "a"),
    "not again to one that holds": ("a:m1:g b:m1:g c:m2:g:full", "a", 1, ""),
    "groups first": ("a:m1:g b:m2:g c:m3:h", "", 2, "a c"),
    "groups first, then machines": ("a:m1:g b:m2:g c:m3:h", "", 3, "a c b"),
    "the group that holds last": ("a:m1:g b:m2:g c:m3:h", "a", 2, "c b"),
    "a full group is passed over": ("a:m1:g b:m2:g c:m3:h:full", "", 2, "a b"),
    "nobody is full twice": ("a:m1:g:full b:m2:g:full", "", 2, ""),
    "none is asked for": ("a:m1:g", "", 0, ""),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_who_gets_a_copy(case: tuple[str, str, int, str]) -> None:
    there, holding, count, expected = case
    cluster = []
    for line in there.split():
        name, machine, group, *full = line.split(":")
        cluster.append(evolve(store(name, machine, group), free=100 if full else 1000))
    chosen = choose(cluster, count, 10, holding.split(), lambda: 0.0)
    assert names(chosen) == expected.split()


@given(clusters, st.integers(0, 5), sizes, st.sets(st.integers(1, 30)), chances)
def test_only_those_that_can_take_it_are_chosen_and_each_once(
    cluster: list[Candidate], count: int, size: int | None, held: set[int], chance: float
) -> None:
    holding = {f"store{n}" for n in held}
    able = [each for each in cluster if each.name not in holding and each.has_room(size)]
    chosen = choose(cluster, count, size, holding, lambda: chance)
    assert len(chosen) <= count
    assert len(set(names(chosen))) == len(chosen)
    assert all(each in able for each in chosen)


@given(clusters, st.integers(0, 5), sizes, st.sets(st.integers(1, 30)), chances)
def test_no_machine_gets_two_copies_unless_there_is_only_one(
    cluster: list[Candidate], count: int, size: int | None, held: set[int], chance: float
) -> None:
    holding = {f"store{n}" for n in held}
    taken = {each.machine for each in cluster if each.name in holding}
    chosen = choose(cluster, count, size, holding, lambda: chance)
    if len({each.machine for each in cluster}) > 1:
        machines = [each.machine for each in chosen]
        assert len(set(machines)) == len(machines)
        assert not taken & set(machines)


@given(clusters, sizes, chances)
def test_every_machine_with_room_gets_a_copy_where_so_many_are_wanted(
    cluster: list[Candidate], size: int | None, chance: float
) -> None:
    able = {each.machine for each in cluster if each.has_room(size)}
    chosen = choose(cluster, len(able), size, (), lambda: chance)
    assert {each.machine for each in chosen} == able


@given(clusters, sizes, chances)
def test_every_group_gets_a_copy_before_any_gets_two(
    cluster: list[Candidate], size: int | None, chance: float
) -> None:
    groups = {each.machine: each.group for each in cluster}
    cluster = [evolve(each, group=groups[each.machine]) for each in cluster]
    able = {each.group for each in cluster if each.has_room(size)}
    chosen = choose(cluster, len(able), size, (), lambda: chance)
    assert {each.group for each in chosen} == able


def test_only_those_that_are_named_are_chosen_but_all_are_counted() -> None:
    cluster = [store("store1", "a"), store("store2", "a"), store("store3", "b")]
    chosen = choose(cluster, 2, 10, (), lambda: 0.0, {"store1", "store2"})
    assert names(chosen) == ["store1"]


def test_equal_stores_get_equally_much() -> None:
    cluster = [store(f"store{n}", f"machine{n}", f"group{n % 2}") for n in range(8)]
    draws = random.Random(3)
    counts = Counter(
        each.name for _ in range(10_000) for each in choose(cluster, 2, 10, (), draws.random)
    )
    assert len(counts) == 8
    assert all(2250 <= count <= 2750 for count in counts.values()), counts


def test_nothing_is_chosen_where_nothing_can_be() -> None:
    assert choose([], 2, 10, (), random.random) == ()
    assert choose([ROOMY], 0, 10, (), random.random) == ()
    assert choose([ROOMY], 2, 10, {"store1"}, random.random) == ()


def test_among_equals_the_emptier_and_less_loaded_is_likelier() -> None:
    cluster = [
        store("full", "a"),
        evolve(store("empty", "b"), free=3700),
        evolve(store("busy", "c"), load=8),
    ]  # weights 900, 3600 and 100
    draws = random.Random(7)
    counts = {"full": 0, "empty": 0, "busy": 0}
    for _ in range(4600):
        (chosen,) = choose(cluster, 1, 10, (), draws.random)
        counts[chosen.name] += 1
    assert 800 < counts["full"] < 1000
    assert 3500 < counts["empty"] < 3700
    assert 60 < counts["busy"] < 140


def test_chance_decides_at_its_ends_too() -> None:
    cluster = [store("store1", "a"), store("store2", "b")]
    assert names(choose(cluster, 1, 10, (), lambda: 0.0)) == ["store1"]
    assert names(choose(cluster, 1, 10, (), lambda: 1.0)) == ["store2"]


def test_two_places_on_one_machine_share_it() -> None:
    cluster = [store("store1", "a"), store("store2", "a"), store("store3", "b")]
    assert share_a_machine(cluster, {"store1", "store2"})
    assert not share_a_machine(cluster, {"store1", "store3", "elsewhere"})
