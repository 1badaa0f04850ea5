from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.errors import BadInput, Unavailable
from oose.following import GRACE, PATIENCE, PAUSE, Following
from oose.metadata.documents import Changes
from tests.unit.logged import debugged, logged


@define
class Asked:
    """One request for changes, which a test answers."""

    since: str | None
    patience: float
    answer: Deferred[Changes] = field(factory=Deferred)


@define
class Followed:
    """A database whose answers a test gives, and what its follower was told."""

    rest: float = 0.0
    clock: Clock = field(factory=Clock)
    asked: list[Asked] = field(factory=list)
    told: list[Any] = field(factory=list)
    problem: Exception | None = None
    following: Following = field(init=False)

    def __attrs_post_init__(self) -> None:
        documents: Any = self
        self.following = Following(
            "The feed",
            documents,
            self.clock,
            on_changes=self._changed,
            on_everything=self._everything,
            rest=self.rest,
        )

    async def changes(self, since: str | None, patience: float) -> Changes:
        self.asked.append(Asked(since, patience))
        return await self.asked[-1].answer

    async def _changed(self, ids: Sequence[str]) -> None:
        await self._tell(list(ids))

    async def _everything(self) -> None:
        await self._tell("everything")

    async def _tell(self, what: Any) -> None:
        self.told.append(what)
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem

    def answer(self, since: str, *ids: str, is_whole: bool = True) -> None:
        self.asked[-1].answer.callback(Changes(since, ids, is_whole))

    def fail(self, error: Exception) -> None:
        self.asked[-1].answer.errback(error)

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.following.stop())

    @property
    def questions(self) -> list[str | None]:
        return [each.since for each in self.asked]


def begun(rest: float = 0.0) -> Followed:
    """Where all of it has been read."""
    followed = Followed(rest)
    followed.following.start()
    followed.answer("1")
    return followed


def test_at_the_start_all_of_it_is_read_and_then_what_changes() -> None:
    followed = Followed()
    followed.following.start()
    assert not followed.following.contact.is_there
    followed.answer("1")
    assert followed.following.contact.is_there
    assert followed.told == ["everything"]
    followed.answer("2", "a", "b")
    followed.answer("3", "c")
    assert followed.told == ["everything", ["a", "b"], ["c"]]
    assert followed.questions == [None, "1", "2", "3"]
    assert [each.patience for each in followed.asked] == [0.0, *[PATIENCE] * 3]


def test_when_nothing_happened_for_long_it_asks_again_at_once() -> None:
    followed = begun()
    followed.clock.advance(PATIENCE)
    followed.answer("1")
    assert followed.questions == [None, "1", "1"]
    assert followed.told == ["everything"]


def test_a_database_that_does_not_wait_is_not_asked_all_the_time() -> None:
    followed = begun()
    followed.answer("1")
    assert followed.questions == [None, "1"]
    followed.clock.advance(PAUSE)
    assert followed.questions == [None, "1", "1"]


def test_what_is_written_all_the_time_comes_in_bundles() -> None:
    followed = begun(rest=0.5)
    followed.answer("2", "a")
    assert followed.questions == [None, "1"]
    followed.clock.advance(0.5)
    assert followed.questions == [None, "1", "2"]


def test_where_some_may_be_missing_all_is_read() -> None:
    followed = begun()
    followed.answer("9", "a", is_whole=False)
    assert followed.told == ["everything"] * 2
    assert followed.questions == [None, "1", "9"]


def test_a_failure_is_told_once_and_it_goes_on_where_it_was() -> None:
    followed = begun()
    with logged("warn") as warnings, logged("info") as notes:
        for _ in range(3):
            followed.fail(BadInput("No way"))
            assert not followed.following.contact.is_there
            followed.clock.advance(PAUSE)
        followed.answer("2", "a")
    assert followed.following.contact.is_there
    assert followed.following.contact.losses == 3
    assert followed.told == ["everything", ["a"]]
    assert followed.questions == [None, *["1"] * 4, "2"]
    assert warnings == ["The feed is interrupted: No way"]
    assert notes == ["The feed goes on"]


def test_a_database_that_is_away_is_for_others_to_tell() -> None:
    followed = begun()
    with logged("warn") as warnings, logged("info") as notes, debugged("oose:following") as said:
        followed.fail(Unavailable("No route"))
        followed.clock.advance(PAUSE)
        followed.answer("2", "a")
    assert (warnings, notes) == ([], [])
    assert said == ["The feed is interrupted: No route"]
    assert followed.following.contact.is_there


def test_after_a_failure_it_finds_out_at_once_whether_the_database_is_back() -> None:
    followed = begun()
    followed.fail(Unavailable("No route"))
    followed.clock.advance(PAUSE)
    followed.answer("1")
    assert followed.following.contact.is_there
    assert [each.patience for each in followed.asked] == [0.0, PATIENCE, 0.0, PATIENCE]


def test_a_start_without_the_database_waits_for_it() -> None:
    followed = Followed()
    followed.following.start()
    for _ in range(2):
        followed.fail(Unavailable("No route"))
        followed.clock.advance(PAUSE)
    followed.answer("1")
    assert followed.told == ["everything"]


def test_what_nobody_expected_does_not_end_it_either() -> None:
    followed = begun()
    with logged("critical") as events:
        followed.fail(ZeroDivisionError("oh"))
    assert events == ["The feed is interrupted"]
    followed.clock.advance(PAUSE)
    followed.answer("2", "a")
    assert followed.told == ["everything", ["a"]]


def test_an_answer_that_never_comes_is_given_up() -> None:
    followed = begun()
    followed.clock.advance(PATIENCE + GRACE - 1)
    assert followed.following.contact.is_there
    with logged("critical") as events, debugged("oose:following") as said:
        followed.clock.advance(1)
    assert events == []
    assert "The feed is interrupted: The database does not answer" in said
    assert not followed.following.contact.is_there
    followed.clock.advance(PAUSE)
    assert followed.questions == [None, "1", "1"]


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_could_not_be_passed_on_is_passed_on_again(is_whole: bool) -> None:
    followed = begun()
    followed.problem = Unavailable("No route")
    followed.answer("2", "a", is_whole=is_whole)
    assert not followed.following.contact.is_there
    followed.clock.advance(PAUSE)
    followed.answer("3", "a", "b", is_whole=is_whole)
    if is_whole:
        assert followed.told == ["everything", ["a"], ["a", "b"]]
    else:
        assert followed.told == ["everything"] * 3
    assert followed.questions == [None, "1", "1", "3"]


def test_a_stop_ends_the_request_under_way() -> None:
    followed = begun()
    with logged("critical") as events:
        assert followed.stop().called
    assert events == []
    assert not followed.following.contact.is_there
    assert followed.following.contact.losses == 0
    assert followed.clock.getDelayedCalls() == []
    followed.clock.advance(1000)
    assert len(followed.asked) == 2


def test_a_stop_ends_the_pause_too() -> None:
    followed = begun()
    followed.fail(Unavailable("No route"))
    assert followed.stop().called
    assert followed.clock.getDelayedCalls() == []
    assert len(followed.asked) == 2


def test_a_stop_waits_for_what_does_not_let_itself_be_interrupted() -> None:
    followed = begun()
    waiting: Deferred[None] = Deferred(lambda _: None)

    async def stubborn(ids: Sequence[str]) -> None:
        await wait_out(waiting)

    followed.following._on_changes = stubborn
    followed.answer("2", "a")
    stopped = followed.stop()
    assert stopped.called
    assert len(followed.asked) == 2


async def wait_out(waiting: Deferred[None]) -> None:
    try:
        await waiting
    except Exception:  # it goes on to its own end
        return


def test_what_has_not_begun_can_be_stopped_and_what_was_stopped_begins_again() -> None:
    followed = Followed()
    assert followed.stop().called
    followed.following.start()
    followed.answer("1")
    assert followed.stop().called
    followed.following.start()
    assert followed.questions == [None, "1", "1"]
    assert followed.stop().called
