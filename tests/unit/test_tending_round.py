"""Something done to each of many contents."""

from collections.abc import AsyncGenerator, Sequence

import pytest
import pytest_twisted
from attrs import define, evolve, field
from twisted.internet.defer import Deferred

from oose.contents import Content
from oose.errors import NotFound, Unavailable
from oose.metadata.records import InventoryRecord
from oose.moving.tally import Tally
from oose.tending.deed import NOTHING, Outcome
from oose.tending.picking import Block, Picked
from oose.tending.round import Round, carried_on

RECORD = InventoryRecord("", "p1", "s1", "video/mp4", "mp4", "x", 5, 0)


def content(name: str) -> Picked:
    record = evolve(RECORD, hash=name)
    return Picked(name, [record], [record], Content(name))


@define(eq=False)
class Work:
    """Waits with each until the test goes on."""

    begun: list[str] = field(factory=list)
    blocks: list[int] = field(factory=list)
    waiting: dict[str, "Deferred[Outcome]"] = field(factory=dict)
    is_hopeless: bool = False

    async def begin(self, block: Sequence[Picked]) -> Sequence[Picked]:
        if self.is_hopeless:
            raise Unavailable("all is lost")
        self.blocks.append(len(block))
        return block

    def foresee(self, picked: Picked) -> Outcome:
        return Outcome(made=2)

    async def do(self, picked: Picked) -> Outcome:
        self.begun.append(picked.hash)
        self.waiting[picked.hash] = Deferred()
        return await self.waiting[picked.hash]

    def end(self, name: str, outcome: Outcome | Exception = NOTHING) -> None:
        waiting = self.waiting.pop(name)
        if isinstance(outcome, Exception):
            waiting.errback(outcome)
        else:
            waiting.callback(outcome)


async def blocks(*names: str) -> AsyncGenerator[Block, None]:
    for number, each in enumerate(names, 1):
        yield Block([content(name) for name in each], number / len(names))


def begin(this: Round, *names: str) -> "Deferred[None]":
    return Deferred.fromCoroutine(this.run(blocks(*names)))


@pytest_twisted.ensureDeferred
async def test_so_many_are_worked_on_at_once_and_counted() -> None:
    work, heard, passed = Work(), list[str](), list[tuple[float | None, int]]()
    this = Round(
        work,
        2,
        heard=lambda picked, outcome: heard.append(picked.hash),
        passed=lambda *how_far: passed.append(how_far),
    )
    running = begin(this, "abc", "de")
    assert work.begun == ["a", "b"]
    work.end("b", Outcome(made=1, removed=2, verified=3, bytes=10))
    assert work.begun == ["a", "b", "c"]
    work.end("a", Outcome(made=1, bytes=5, note="protected"))
    work.end("c", Outcome(why="no room"))
    work.end("d", NotFound("gone"))
    assert not running.called
    work.end("e")
    await running
    assert (work.blocks, heard) == ([3, 2], ["b", "a", "c", "d", "e"])
    ways = [round(each or 0, 2) for each, _ in passed]
    assert ways == [0.0, 0.17, 0.33, 0.5, 0.75, 1.0, 1.0]
    assert passed[0] == (0.0, 0)
    assert passed[-1] == (1.0, 5)
    assert +this.tally.counts == {
        "contents": 5, "made": 2, "removed": 2, "verified": 3, "bytes": 15, "protected": 1,
        "failed": 2,
    }  # fmt: skip
    assert this.tally.failures == [("c", "no room"), ("d", "gone")]


@pytest_twisted.ensureDeferred
async def test_it_stops_when_what_is_under_way_is_done() -> None:
    work = Work()
    this = Round(work, 2)
    running = begin(this, "abc", "de")
    this.stop()
    work.end("a")
    assert not running.called
    work.end("b")
    await running
    assert (work.begun, work.blocks) == (["a", "b"], [3])


@pytest_twisted.ensureDeferred
async def test_where_no_other_would_fare_better_it_ends() -> None:
    work = Work()
    running = begin(Round(work, 1), "a", "b")
    work.is_hopeless = True
    work.end("a")
    with pytest.raises(Unavailable, match="all is lost"):
        await running
    assert work.begun == ["a"]


@pytest_twisted.ensureDeferred
async def test_to_pretend_nothing_is_begun() -> None:
    work, heard = Work(is_hopeless=True), list[tuple[str, int]]()
    this = Round(work, 3, True, lambda picked, outcome: heard.append((picked.hash, outcome.made)))
    await this.run(blocks("ab", "c"))
    assert heard == [("a", 2), ("b", 2), ("c", 2)]
    assert (this.tally.counts["made"], work.begun) == (6, [])


@pytest_twisted.ensureDeferred
async def test_what_is_nowhere_or_damaged_fails() -> None:
    async def some() -> AsyncGenerator[Block, None]:
        yield Block([evolve(content("a"), damaged="a:p1:s2")], 0.1)
        yield Block([Picked("b", [], [], Content("b"))], None)  # nobody knows how far that is
        yield Block([], 0.3)

    work, passed = Work(), list[float | None]()
    this = Round(work, 1, passed=lambda how_far, contents: passed.append(how_far))
    await this.run(some())
    assert work.begun == []
    assert passed == [0.0, 0.1, None, None, 0.3]
    assert this.tally.failures == [
        ("a", "its record a:p1:s2 cannot be understood"),
        ("b", "there is no clone of it"),
    ]


def test_of_rounds_over_the_same_contents_the_last_says_what_failed() -> None:
    first, last = Tally(), Tally()
    for tally, made, contents in ((first, 3, 10), (last, 1, 4)):
        tally.add("made", made)
        tally.add("contents", contents)
    first.fail("a", "away")
    last.fail("b", "full")
    both = carried_on(first, last)
    assert (both.counts["made"], both.counts["contents"], both.failed) == (4, 10, 1)
    assert both.failures == [("b", "full")]
