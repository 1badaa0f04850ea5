"""What `oose status` says of repair."""

import json
from datetime import datetime
from typing import Any

import pytest

from oose.cli.repair import about, moment, repair_lines
from tests.cli.asking import Asking
from tests.cli.canned import answer, canned

GOOD = {
    "prisms": 2,
    "contents": 12_345,
    "bytes": 1_234_567_890_123,
    "endangered": {},
    "lookedAt": 1_700_000_000_000,
    "hinted": False,
}
NOW = 1_700_000_060.0
ALL = f"Content: 12,345 files of 1.2 TB as of {moment(1_700_000_000, NOW)}"


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ({}, [f"{ALL}, each with all its clones", "Repair: nothing to do"]),
        ({"prisms": 0}, ["Repair: no prism looks after the clones"]),
        (
            {"lookedAt": None},
            ["Content: not looked at yet, or not all of it, since the prisms have started"],
        ),
        ({"hinted": True}, [f"{ALL}; something has changed since", "Repair: nothing to do yet"]),
        (
            {"endangered": {"0": 1, "1": 2}, "lost": 1},
            [
                f"{ALL}; 3 have fewer clones than wanted: 1 with none, 2 with 1",
                "Lost: 1 have no clone on a store that is there, or is waited for",
                "Repair: waits for stores that are away, as long as `clones.repair_after` says",
            ],
        ),
        (
            {"endangered": {"1": 1}, "hinted": True},
            [
                f"{ALL}; 1 have fewer clones than wanted: 1 with 1",
                "Repair: nothing to do yet",
            ],
        ),
        (
            {"endangered": {"0": 1}, "lost": 1},
            [
                f"{ALL}; 1 have fewer clones than wanted: 1 with none",
                "Lost: 1 have no clone on a store that is there, or is waited for",
                "Repair: nothing to do",
            ],
        ),
        (
            {"unseen": 1},
            [
                (
                    f"{ALL}, each with all its clones;"
                    " 1 change of the last seconds still to be looked at"
                ),
                "Repair: nothing to do",
            ],
        ),
        (
            {"hinted": True, "tasks": 1, "toDo": 7},
            [ALL, "Repair: 1 to do, 7 bytes to send, how long is not known yet"],
        ),
        (
            {
                "endangered": {"0": 3, "1": 1200, "2": 0},
                "lost": 2,
                "tasks": 1199,
                "toDo": 5_000_000,
                "secondsLeft": 300,
                "stuck": 1,
                "failed": 2,
            },
            [
                f"{ALL}; 1,203 have fewer clones than wanted: 3 with none, 1,200 with 1",
                "Lost: 2 have no clone on a store that is there, or is waited for",
                (
                    "Repair: 1,199 to do, 5.0 MB to send, about 5 minutes;"
                    " for 1 no other store can take a clone;"
                    " 2 could not be mended, and are tried again"
                ),
            ],
        ),
        (
            {"endangered": {"1": 1}, "tasks": 1, "toDo": 7, "secondsLeft": None},
            [
                f"{ALL}; 1 have fewer clones than wanted: 1 with 1",
                "Repair: 1 to do, 7 bytes to send, how long is not known yet",
            ],
        ),
    ],
)
def test_how_all_content_is_and_how_long_repair_will_take(
    more: dict[str, Any], lines: list[str]
) -> None:
    assert repair_lines({**GOOD, **more}, NOW) == lines


def test_a_moment_is_in_local_time_and_has_a_day_where_that_is_not_todays() -> None:
    at = datetime(2024, 3, 9, 11, 1).astimezone().timestamp()
    assert moment(at, at + 60) == "11:01"
    assert moment(at, at + 86_400) == "2024-03-09 11:01"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 0 seconds"),
        (1, "about 1 second"),
        (89, "about 89 seconds"),
        (90, "about 2 minutes"),
        (5399, "about 90 minutes"),
        (7200, "about 2 hours"),
        (36 * 3600, "about 2 days"),
    ],
)
def test_a_duration_is_told_as_far_as_it_matters(seconds: int, words: str) -> None:
    assert about(seconds) == words


@pytest.mark.parametrize("stats", [{"repair": GOOD}, {"repair": None}, {}])
def test_status_begins_with_it(oose: Asking, stats: dict[str, Any]) -> None:
    told = answer(json.dumps(stats).encode())
    with canned([answer(b'{"pong": "pong"}'), told]) as url:
        said = oose("--url", url, "status").out
    assert said.startswith("Content: 12,345 files of 1.2 TB as of ") is bool(stats.get("repair"))
    with canned([answer(b'{"pong": "pong"}'), told]) as url:
        found = oose("--url", url, "--json", "status").json()
    assert found == {"url": url, **stats}
