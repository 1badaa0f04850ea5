"""The parts of repair that keep what was found, failed and said, in bounded memory."""

from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred

from oose.errors import Unavailable
from oose.repairing.crew import Crew
from oose.repairing.errand import Errand
from oose.repairing.hints import Hints
from oose.repairing.need import Need
from oose.repairing.news import MOST, MOST_REASONS, News
from oose.repairing.occasions import SETTLE, Occasions
from oose.repairing.repair import Mended
from oose.repairing.retries import FIRST, LONGEST, Retries
from oose.repairing.tally import Tally
from oose.repairing.worklist import Task, Worklist
from tests.unit.logged import debugged, logged

ONE = Need(size=10, live=1, verified=1, usual=2, wanted=2, missing=1)
TWO = evolve(ONE, live=2, usual=3, wanted=3)
HOT = Need(size=10, live=2, verified=2, usual=2, wanted=3, missing=1)
MANY = Need(size=10, live=3, verified=3, usual=2, wanted=2, surplus=1)
GOOD = Need(size=10, live=2, verified=2, usual=2, wanted=2)
LOST = Need(size=10, usual=2, wanted=2)


def task(name: str, need: Need = ONE) -> Task:
    return Task(name, need, Tally())


# What is to be done.


def test_the_most_urgent_is_taken_first_and_each_once() -> None:
    worklist = Worklist()
    for name, need in (("a", MANY), ("b", TWO), ("c", HOT), ("d", ONE), ("e", ONE)):
        assert worklist.put(task(name, need))
    assert (len(worklist), worklist.bytes) == (5, 40)
    assert worklist.has("demand")
    taken = [worklist.take("demand"), worklist.take("demand")]
    assert [each and each.hash for each in taken] == ["c", None]
    assert not worklist.has("demand")
    order = []
    while found := worklist.take():
        order.append(found.hash)
    assert order == ["d", "e", "b", "a"]
    assert (len(worklist), worklist.bytes) == (0, 0)


def test_what_is_known_anew_of_a_content_replaces_what_was() -> None:
    worklist = Worklist()
    assert worklist.put(task("a", TWO))
    assert worklist.put(task("b", TWO))
    assert not worklist.put(task("b", ONE))
    found = worklist.take()
    assert found is not None
    assert (found.hash, found.need) == ("b", ONE)
    assert worklist.remove("b") is None
    assert len(worklist) == 1


def test_of_too_many_the_least_urgent_are_dropped() -> None:
    worklist = Worklist(most=2)
    for name, need in (("a", MANY), ("b", ONE), ("c", TWO)):
        worklist.put(task(name, need))
    assert worklist.is_cut
    assert len(worklist) == 2
    assert worklist.bytes == 20
    assert worklist.remove("a") is None


needs = st.builds(
    Need,
    size=st.integers(0, 9),
    live=st.integers(1, 3),
    usual=st.integers(1, 4),
    wanted=st.integers(1, 4),
    missing=st.integers(0, 2),
    surplus=st.integers(0, 2),
)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), needs), max_size=40), st.integers(1, 6))
def test_the_list_holds_the_most_urgent_of_what_was_put(
    puts: list[tuple[str, Need]], most: int
) -> None:
    worklist = Worklist(most)
    for name, need in puts:
        worklist.put(task(name, need))
        assert len(worklist) <= most
    tasks = []
    while found := worklist.take():
        tasks.append(found)
    assert worklist.bytes == 0
    ranks = [each.need.rank for each in tasks]
    assert ranks == sorted(ranks)
    assert len({each.hash for each in tasks}) == len(tasks)


# What was written.


def test_hints_are_of_our_slices_and_keep_the_records_that_were_named() -> None:
    hints = Hints(most=3)
    hints.add(["aa1:p1:s1", "bb1:p1:s1", "aa1:p1:s2", "aa2"], {"aa"})
    assert len(hints) == 2
    assert hints.take(5, busy={"aa1"}) == {"aa2": set()}
    assert hints.take(5, busy=()) == {"aa1": {"aa1:p1:s1", "aa1:p1:s2"}}
    hints.add([f"aa{number}" for number in range(3)], {"aa"})
    assert not hints.is_cut
    hints.add(["aa2:p1:s1", "aa3"], {"aa"})
    assert hints.is_cut
    assert hints.take(2, busy=()).keys() == {"aa0", "aa1"}
    assert hints.take(2, busy=()) == {"aa2": {"aa2:p1:s1"}}


# What failed.


def test_what_fails_again_and_again_is_left_alone_for_longer_and_longer() -> None:
    retries, now = Retries(), 0.0
    waits = []
    for _ in range(12):
        retries.failed("a", now)
        began = now
        while retries.waits("a", now):
            assert retries.due(now) == []
            now += FIRST
        waits.append(now - began)
        assert retries.due(now) == ["a"]
        assert retries.due(now) == []
    assert waits[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert waits[-1] == LONGEST
    retries.succeeded("a")
    assert len(retries) == 0
    retries.failed("a", now)
    assert not retries.waits("a", now + FIRST)
    assert not retries.waits("b", now)


def test_what_failed_is_not_left_alone_for_long_where_something_has_changed() -> None:
    retries = Retries()
    for _ in range(8):
        retries.failed("a", 0.0)
    retries.failed("b", FIRST / 2 - FIRST)
    retries.hurry(FIRST)
    assert retries.due(FIRST / 2) == ["b"]
    assert retries.waits("a", FIRST / 2)
    assert retries.due(FIRST) == ["a"]
    retries.failed("a", FIRST)
    assert retries.waits("a", 200 * FIRST)  # how often it has failed is remembered


def test_of_what_failed_the_last_are_remembered() -> None:
    retries = Retries(most=2)
    for name in "abc":
        retries.failed(name, 0.0)
    assert [retries.waits(name, 1.0) for name in "abc"] == [False, True, True]


# When to look.


def test_all_is_looked_at_soon_after_a_change_and_every_so_often() -> None:
    occasions = Occasions(frequency=100.0)
    assert occasions.look("first", 1000.0)
    assert not occasions.is_due(1000.0)
    assert occasions.is_due(1000.0 + SETTLE)
    occasions.begun(1010.0)
    assert not occasions.look("first", 1020.0)
    assert not occasions.is_due(1109.0)
    assert occasions.is_due(1110.0)
    occasions.begun(1110.0)
    occasions.look("second", 1120.0)
    occasions.look("third", 1123.0)  # a change does not put it off
    assert occasions.is_due(1120.0 + SETTLE)


# Counting.


def test_contents_are_counted_by_what_they_need() -> None:
    tally = Tally()
    for need in (ONE, TWO, TWO, GOOD, MANY, LOST, Need()):
        tally.add(need)
    tally.add(evolve(GOOD, verified=0))
    tally.add(evolve(ONE, missing=0))
    assert tally.describe() == {
        "contents": 8,
        "bytes": 80,
        "endangered": {"0": 1, "1": 2, "2": 2},
        "lost": 1,
        "stuck": 1,
        "unverified": 1,
        "surplus": 1,
    }
    assert tally.to_do == 30


def test_what_changes_is_counted_as_it_became() -> None:
    tally = Tally()
    tally.add(ONE)
    tally.became(ONE, GOOD)
    assert (tally.contents, tally.to_do, tally.describe()["endangered"]) == (1, 0, {})
    tally.worsened(TWO)
    assert (tally.contents, tally.size, tally.to_do) == (1, 10, 10)
    assert tally.describe()["endangered"] == {"2": 1}


# Those who work.


class Bench:
    """Tasks that end when the test says so."""

    def __init__(self, at_once: int = 2) -> None:
        self.worklist = Worklist()
        self.crew = Crew(self.worklist, self.mend, at_once, lambda: self.is_open)
        self.is_open = True
        self.begun: dict[str, Deferred[None]] = {}

    async def mend(self, task: Task) -> None:
        self.begun[task.hash] = Deferred()
        try:
            await self.begun[task.hash]
        except CancelledError:
            return

    def put(self, *names: str, need: Need = ONE) -> None:
        for name in names:
            self.worklist.put(task(name, need))
        self.crew.go_on()


def test_so_many_are_mended_at_once_and_one_more_that_viewers_wait_for() -> None:
    bench = Bench()
    bench.put("a", "b", "c")
    assert bench.crew.busy == {"a", "b"}
    bench.put("x", "y", need=HOT)
    assert bench.crew.busy == {"a", "b", "x"}
    bench.begun["x"].callback(None)
    assert bench.crew.busy == {"a", "b", "y"}
    bench.begun["a"].callback(None)
    assert bench.crew.busy == {"b", "y", "c"}
    for name in "byc":
        bench.begun[name].callback(None)
    assert bench.crew.busy == set()
    assert bench.crew._working == {}


def test_nothing_is_begun_while_it_may_not_go_on() -> None:
    bench = Bench()
    bench.is_open = False
    bench.put("a")
    assert bench.crew.busy == set()
    assert len(bench.worklist) == 1
    bench.is_open = True
    bench.crew.go_on()
    assert bench.crew.busy == {"a"}
    bench.begun["a"].callback(None)


@pytest_twisted.ensureDeferred
async def test_all_is_cut_short_at_the_end() -> None:
    bench = Bench()
    bench.put("a", "b", "c")
    await bench.crew.stop()
    assert bench.crew.busy == set()
    assert bench.begun.keys() == {"a", "b"}
    await bench.crew.stop()


@pytest_twisted.ensureDeferred
async def test_an_errand_goes_to_its_end_or_is_cut_short() -> None:
    errand = Errand("Looking")
    waiting: Deferred[None] = Deferred()

    async def work() -> None:
        await waiting

    errand.start(work())
    assert errand.is_under_way
    waiting.callback(None)
    assert not errand.is_under_way
    await errand.stop()
    waiting = Deferred()
    errand.start(work())
    with logged("critical") as lines:
        await errand.stop()
    assert not errand.is_under_way
    assert lines == []


def test_an_errand_that_fails_is_in_the_log() -> None:
    async def away() -> None:
        raise Unavailable("The database is away")

    async def wrong() -> None:
        raise ValueError("oh")

    errand = Errand("Looking")
    with debugged("oose:repair") as lines:
        errand.start(away())
    assert any("Looking is put off: The database is away" in line for line in lines)
    with logged("critical") as lines:
        errand.start(wrong())
    assert any("Looking failed; it is done again" in line for line in lines)
    assert not errand.is_under_way


# What is said.


def test_each_loss_is_said_once() -> None:
    news = News()
    with logged("error") as lines:
        news.lost("a")
        news.lost("a")
        for number in range(MOST):
            news.lost(f"{number}")
        news.lost("a")
    assert len(lines) == MOST + 2
    assert "a is lost" in lines[0]


def test_each_reason_is_said_once_until_all_was_looked_at_again() -> None:
    news = News()
    with logged("warn") as lines:
        for name in ("1234", "5678"):
            news.failed(name, f"No store takes {name}")
    assert len(lines) == 1
    assert "1234 could not be mended: No store takes 1234" in lines[0]
    with logged("warn") as lines:
        for number in range(2 * MOST_REASONS):
            news.failed("a", f"reason {number}")
    assert len(lines) == MOST_REASONS - 1
    news.looked(Tally())
    with logged("warn") as lines:
        news.failed("1234", "No store takes 1234")
    assert len(lines) == 1


def test_how_all_content_is_is_said_when_that_has_changed() -> None:
    news, tally = News(), Tally()
    tally.add(GOOD)
    with logged("warn") as lines:
        news.looked(tally)
    assert lines == []
    for need in (ONE, LOST, evolve(ONE, missing=0)):
        tally.add(need)
    with logged("warn") as lines:
        news.looked(tally)
        news.looked(tally)
    [line] = lines
    assert "Of 4 contents 3 have fewer clones than wanted: 1 have none left, for 1" in line
    good = Tally()
    good.add(GOOD)
    with logged("info") as lines:
        news.looked(good)
    assert "Each of 1 content has all its clones" in lines[0]
    with debugged("oose:repair") as lines:
        news.mended("a", Mended(GOOD, 1, 0, 10))
    assert any("a is mended: 1 made, 0 removed" in line for line in lines)


@pytest.mark.parametrize("kind", ["demand", "note"])
def test_there_is_no_task_of_a_kind_where_there_is_none(kind: Any) -> None:
    assert not Worklist().has(kind)
