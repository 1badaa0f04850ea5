"""What people are told of repair."""

from typing import Any

import pytest
from attrs import evolve

from oose.registry import Peer
from oose.repairing.summary import Work, of_all
from tests.unit.test_repairing_shares import PRISM, Known

MINE = {
    "contents": 10,
    "bytes": 1000,
    "endangered": {"0": 1, "1": 2},
    "lost": 1,
    "tasks": 2,
    "toDo": 20,
    "rate": 5,
    "secondsLeft": 4,
    "lookedAt": 1000,
}
THEIRS = {**MINE, "endangered": {"1": 3, "10": 1}, "secondsLeft": 9, "lookedAt": 900}


def other(name: str, care: Any) -> Peer:
    return evolve(PRISM, name=name, prism=name, care=care)


def told(*peers: Peer, mine: Any = MINE) -> Any:
    known: Any = Known([PRISM, *peers])
    return of_all(known, "p1", mine)


def test_the_parts_of_all_prisms_are_added_up() -> None:
    both = told(other("p2", {"repair": THEIRS}), evolve(PRISM, kind="store", name="s1"))
    assert both["prisms"] == 2
    assert both["contents"] == 20
    assert both["endangered"] == {"0": 1, "1": 5, "10": 1}
    assert list(both["endangered"]) == ["0", "1", "10"]
    assert (both["secondsLeft"], both["lookedAt"]) == (9, 900)
    assert both["repaired"] == 0
    assert both["hinted"] is False
    assert told(other("p2", {"repair": {**THEIRS, "hinted": True}}))["hinted"] is True


def test_those_that_do_not_count_or_do_not_repair_have_none() -> None:
    away = evolve(other("p2", {"repair": THEIRS}), available=False)
    assert told(away, other("p3", None), other("p4", {"other": 1}))["prisms"] == 1
    assert told(mine=None)["prisms"] == 0
    assert told(mine=None)["secondsLeft"] is None


@pytest.mark.parametrize("part", [{}, {"contents": "x", "endangered": [1], "lookedAt": None}])
def test_what_makes_no_sense_is_left_out(part: dict[str, Any]) -> None:
    both = told(other("p2", {"repair": part}))
    assert (both["contents"], both["endangered"]) == (10, {"0": 1, "1": 2})
    assert (both["secondsLeft"], both["lookedAt"]) == (None, None)
    odd = told(other("p2", {"repair": {"endangered": {"x": 1, "2": "y"}}}))
    assert odd["endangered"] == {"0": 1, "1": 2, "2": 0}


def test_the_rate_is_that_of_the_work_there_was_last() -> None:
    work = Work()
    assert work.seconds_left(0) == 0
    assert work.seconds_left(100) is None
    work.begin(10.0)
    work.done(1, 0, 100, 10.0)
    assert work.rate == 0.0
    work.begin(15.0)
    work.done(2, 1, 100, 20.0)
    assert (work.rate, work.repaired, work.removed, work.repaired_bytes) == (20.0, 3, 1, 200)
    assert work.seconds_left(100) == 5
    work.end()
    work.done(0, 1, 0, 25.0)
    assert work.rate == 20.0
    work.begin(100.0)
    work.done(1, 0, 50, 101.0)
    assert work.rate == 50.0
