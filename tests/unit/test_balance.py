"""Which clones move so that stores are equally full."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from oose.balance import Balance, Level, Move

TOLERANCE = 0.05


def level(name: str, used: int, capacity: int = 1000, **more: Any) -> Level:
    found = Level(name, f"m-{name}", "g", capacity, used)
    return evolve(found, **more) if more else found


def moved(balance: Balance, contents: Sequence[tuple[int, list[str]]]) -> list[Move]:
    """What moves of contents (size, places), which are looked at until nothing does."""
    moves: list[Move] = []
    while not balance.is_even:
        before = len(moves)
        for size, places in contents:
            move = balance.consider(size, places, {})
            if move is not None:
                places.remove(move.source)
                places.append(move.target)
                moves.append(move)
        if not balance.strict and len(moves) == before:
            break
        balance.strict = False
    return moves


def used(balance: Balance) -> Mapping[str, int]:
    return {each.place: each.used for each in balance.now()}


# Examples.


def test_what_is_even_stays_as_it_is() -> None:
    balance = Balance([level("a", 540), level("b", 460)], TOLERANCE)
    assert balance.is_even
    assert not balance.concerns(["a", "b"])
    assert balance.consider(10, ["a"], {}) is None


def test_a_fuller_store_gives_until_it_is_within_the_tolerance_and_no_more() -> None:
    balance = Balance([level("a", 600), level("b", 400)], TOLERANCE)
    assert balance.concerns(["a"])
    assert not balance.concerns(["b"])
    moves = moved(balance, [(10, ["a"]) for _ in range(60)])
    assert used(balance) == {"a": 550, "b": 450}
    assert set(moves) == {Move("a", "b", 10)}
    assert balance.moves == 5


def test_a_new_store_takes_from_all_that_are_fuller_than_the_mean() -> None:
    stores = [level(name, 400) for name in "abcdefghi"]
    balance = Balance([*stores, level("new", 0)], TOLERANCE)
    assert balance.mean == pytest.approx(0.36)
    moves = moved(balance, [(10, [name]) for name in "abcdefghi" for _ in range(40)])
    assert used(balance)["new"] == 310
    assert {each.target for each in moves} == {"new"}


def test_of_two_that_need_it_neither_is_served_by_one_that_does_not() -> None:
    levels = [level("full", 600), level("empty", 400), level("up", 540), level("down", 460)]
    contents = [(10, [name]) for name in ("up", "full", "down") for _ in range(20)]
    moves = moved(Balance(levels, TOLERANCE), contents)
    assert set(moves) == {Move("full", "empty", 10)}
    assert len(moves) == 5


def test_what_is_too_large_moves_only_where_nothing_smaller_can() -> None:
    levels = [level("a", 700), level("b", 300)]
    small = [(10, ["a"]) for _ in range(70)]
    assert (
        sum(each.size for each in moved(Balance(levels, TOLERANCE), [(260, ["a"]), *small])) < 200
    )
    alone = Balance(levels, TOLERANCE)
    assert moved(alone, [(260, ["a"])]) == [Move("a", "b", 260)]
    assert used(alone) == {"a": 440, "b": 560}
    assert moved(Balance(levels, TOLERANCE), [(400, ["a"])]) == []  # that would change nothing


def test_no_store_gets_what_it_has_or_has_no_room_for() -> None:
    levels = [level("a", 700), level("b", 300)]
    assert moved(Balance(levels, TOLERANCE), [(10, ["a", "b"])]) == []
    tight = [level("a", 700), level("b", 300, min_free=695)]
    assert moved(Balance(tight, TOLERANCE), [(10, ["a"])]) == []


def test_two_clones_come_onto_one_machine_only_where_there_is_no_other() -> None:
    levels = [level("a", 700), level("b", 300, machine="m"), level("c", 500, machine="m")]
    assert moved(Balance(levels, TOLERANCE), [(10, ["a", "c"])]) == []
    away = Balance(levels, TOLERANCE)
    assert away.consider(10, ["a", "gone"], {"gone": ("m", "g")}) is None
    assert away.consider(10, ["a", "unknown"], {}) == Move("a", "b", 10)
    alone = [evolve(each, machine="m") for each in levels]
    assert moved(Balance(alone, TOLERANCE), [(10, ["a", "c"])]) == [Move("a", "b", 10)]


def test_groups_stay_as_many_as_they_are() -> None:
    levels = [level("a", 700, group="g1"), level("b", 300, group="g2"), level("c", 500, group="g2")]
    assert moved(Balance(levels, TOLERANCE), [(10, ["a", "c"])]) == []
    assert moved(Balance(levels, TOLERANCE), [(10, ["a"])]) == [Move("a", "b", 10)]


def test_a_move_that_was_not_made_is_none() -> None:
    balance = Balance([level("a", 600), level("b", 400)], TOLERANCE)
    move = balance.consider(50, ["a"], {})
    assert move is not None
    assert balance.is_even
    balance.undo(move)
    assert used(balance) == {"a": 600, "b": 400}
    assert (balance.moves, balance.is_even) == (0, False)
    move = balance.consider(50, ["a"], {})
    assert move is not None
    balance.undo(move, is_copied=True)
    assert used(balance) == {"a": 600, "b": 450}


def test_a_store_that_is_left_out_neither_gives_nor_takes() -> None:
    balance = Balance([level("a", 700), level("b", 300), level("c", 300)], TOLERANCE)
    balance.leave_out(["b"])
    balance.leave_out(["b"])
    assert balance.consider(10, ["a"], {}) == Move("a", "c", 10)
    balance.leave_out(["a"])
    assert balance.consider(10, ["a"], {}) is None
    balance.leave_out([])
    assert balance.consider(10, ["a"], {}) == Move("a", "b", 10)


def test_a_disk_of_which_nothing_is_known_does_not_count() -> None:
    balance = Balance([level("a", 0, capacity=0)], TOLERANCE)
    assert balance.is_even
    assert balance.now() == []


# Properties.


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Level], list[tuple[int, list[str]]]]:
    """Stores, and contents with clones on different ones; stores have as much as is on them."""
    count = draw(st.integers(2, 6))
    names = [f"s{number}" for number in range(count)]
    contents = draw(
        st.lists(
            st.tuples(
                st.integers(1, 40),
                st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True),
            ),
            max_size=60,
        )
    )
    levels = []
    for name in names:
        on_it = sum(size for size, places in contents if name in places)
        capacity = on_it + draw(st.integers(1, 500))
        machine, group = draw(st.sampled_from("abcd")), draw(st.sampled_from("gh"))
        levels.append(Level(name, machine, group, capacity, on_it, draw(st.integers(0, 50))))
    return levels, contents


def spread(levels: Sequence[Level], places: list[str]) -> tuple[int, int]:
    """On how many machines and in how many groups clones are."""
    sites = {each.place: (each.machine, each.group) for each in levels}
    found = [sites[place] for place in places]
    return len({machine for machine, _ in found}), len({group for _, group in found})


def unevenness(balance: Balance) -> float:
    """What every move makes less."""
    return sum(
        each.capacity * (each.used / each.capacity - balance.mean) ** 2 for each in balance.now()
    )


@given(clusters(), st.sampled_from([0.02, 0.05, 0.2]))
def test_every_move_makes_stores_more_alike_and_spreads_content_no_worse(
    cluster: tuple[list[Level], list[tuple[int, list[str]]]], tolerance: float
) -> None:
    levels, contents = cluster
    balance = Balance(levels, tolerance)
    for strict in (True, False):
        balance.strict = strict
        for size, places in contents:
            before, was = unevenness(balance), spread(levels, places)
            move = balance.consider(size, list(places), {})
            if move is None:
                assert unevenness(balance) == before
                continue
            assert unevenness(balance) < before
            assert move.source in places
            assert move.target not in places
            places[places.index(move.source)] = move.target
            machines, groups = spread(levels, places)
            assert machines >= was[0]
            assert groups >= was[1]
    for each in balance.now():
        known = next(one for one in levels if one.place == each.place)
        assert each.used == sum(size for size, places in contents if each.place in places)
        assert each.used <= max(known.used, each.capacity - each.min_free)


@given(clusters())
def test_looking_again_and_again_comes_to_an_end(
    cluster: tuple[list[Level], list[tuple[int, list[str]]]],
) -> None:
    levels, contents = cluster
    balance = Balance(levels, TOLERANCE)
    moved(balance, contents)
    assert balance.is_even or all(
        balance.consider(size, places, {}) is None for size, places in contents
    )


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=12),
    st.lists(st.integers(2000, 5000), min_size=12, max_size=12),
)
@settings(max_examples=50)
def test_small_contents_end_within_the_tolerance_and_little_more_than_needed_moves(
    counts: list[int], capacities: list[int]
) -> None:
    levels = [
        level(f"s{number}", count, capacity)
        for number, (count, capacity) in enumerate(zip(counts, capacities, strict=False))
    ]
    contents = [(1, [each.place]) for each in levels for _ in range(each.used)]
    balance = Balance(levels, TOLERANCE)
    over = [each.used - (balance.mean + TOLERANCE) * each.capacity for each in levels]
    under = [(balance.mean - TOLERANCE) * each.capacity - each.used for each in levels]
    needed = max(sum(each for each in some if each > 0) for some in ([0.0, *over], [0.0, *under]))
    moves = moved(balance, contents)
    assert balance.is_even
    assert len(moves) <= needed + 2 * len(levels)
