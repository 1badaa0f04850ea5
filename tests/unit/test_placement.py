import random

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from oose.placement import Candidate, choose

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


@given(clusters, st.integers(0, 5), sizes, st.sets(st.integers(1, 30)), chances)
def test_as_many_stores_as_there_can_be_are_chosen_and_each_once(
    cluster: list[Candidate], count: int, size: int | None, held: set[int], chance: float
) -> None:
    holding = {f"store{n}" for n in held}
    able = [each for each in cluster if each.name not in holding and each.has_room(size)]
    chosen = choose(cluster, count, size, holding, lambda: chance)
    assert len(chosen) == min(count, len(able))
    assert len(set(names(chosen))) == len(chosen)
    assert all(each in able for each in chosen)


@given(clusters, sizes, chances)
def test_a_machine_gets_a_second_copy_only_where_no_other_is_left(
    cluster: list[Candidate], size: int | None, chance: float
) -> None:
    able = {each.machine for each in cluster if each.has_room(size)}
    chosen = choose(cluster, len(able), size, (), lambda: chance)
    assert {each.machine for each in chosen} == able


@given(clusters, sizes, chances)
def test_every_group_gets_a_copy_before_any_gets_two(
    cluster: list[Candidate], size: int | None, chance: float
) -> None:
    able = {each.group for each in cluster if each.has_room(size)}
    machines = {machine: group for group, machine in ((c.group, c.machine) for c in cluster)}
    if any(machines[each.machine] != each.group for each in cluster):
        return  # a machine in two groups: its nearness counts more than its group
    chosen = choose(cluster, len(able), size, (), lambda: chance)
    assert {each.group for each in chosen} == able


def test_groups_and_machines_with_a_copy_come_last() -> None:
    cluster = [
        store("store1", "a"),
        store("store2", "a"),
        store("store3", "b"),
        store("store4", "c", "group2"),
    ]
    chosen = choose(cluster, 3, 10, {"store1"}, lambda: 0.0)
    assert names(chosen) == ["store4", "store3", "store2"]


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
