from collections.abc import Sequence
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.task import Clock

from oose.metadata.documents import Stale, Write
from oose.votes import Vote, Votes, is_majority
from tests.simulation.memory import MemoryDocuments

A, B, C = "prism:a", "prism:b", "store:b:c"
LIFE = 120.0


def vote(whom: str = A, by: str = B) -> Vote:
    return Vote(whom, by, "No answer", 1_700_000_000_000)


class Memory(MemoryDocuments):
    def __init__(self) -> None:
        super().__init__(Clock())

    def ids(self) -> set[str]:
        return set(self.now())

    async def revise(self, key: str) -> None:
        """What somebody else does with a vote."""
        row = self.now()[key]
        await self.put(key, row.body, row.rev)

    async def drop(self, key: str) -> None:
        await self.delete(key, self.now()[key].rev)


@pytest.mark.parametrize(
    ("voters", "watchers", "majority"),
    [
        ("", "", False),
        ("a", "", False),
        ("a", "a", True),
        ("", "a", False),
        ("a", "ab", False),
        ("ab", "ab", True),
        ("ab", "abc", True),
        ("a", "abc", False),
        ("xyz", "abc", False),
        ("abcx", "abcdefg", False),
        ("abcd", "abcdefg", True),
    ],
)
def test_more_than_half_of_those_who_watch(voters: str, watchers: str, majority: bool) -> None:
    assert is_majority(set(voters), list(watchers)) is majority


@pytest_twisted.ensureDeferred
async def test_votes_are_cast_and_renewed_in_one_request() -> None:
    memory = Memory()
    votes = Votes(memory)
    await votes.cast([vote(A, B), vote(A, C)])
    assert memory.requests == 1
    before = memory.now()["down:prism:a:store:b:c"]
    assert before.body == {
        "peer": A,
        "systemKey": C,
        "systemType": "store",
        "reason": "No answer",
        "timestamp": 1_700_000_000_000,
    }
    await votes.cast([evolve(vote(A, C), at=5)])
    assert memory.requests == 2
    assert memory.now()["down:prism:a:store:b:c"].body["timestamp"] == 5
    await votes.cast([])
    assert memory.requests == 2


@pytest_twisted.ensureDeferred
async def test_a_vote_that_somebody_else_wrote_or_deleted_is_cast_all_the_same() -> None:
    memory = Memory()
    votes = Votes(memory)
    await Votes(memory).cast([vote(A, B)])
    await votes.cast([vote(A, B), vote(A, C)])
    await memory.drop(vote(A, B).id)
    await memory.revise(vote(A, C).id)
    await votes.cast([evolve(vote(A, B), at=5), evolve(vote(A, C), at=6)])
    assert [memory.now()[vote(A, by).id].body["timestamp"] for by in (B, C)] == [5, 6]


@pytest_twisted.ensureDeferred
async def test_only_what_was_cast_here_is_withdrawn() -> None:
    memory = Memory()
    votes = Votes(memory)
    await Votes(memory).cast([vote(B, A)])
    await votes.cast([vote(A, B), vote(A, C)])
    await votes.withdraw([(A, B), (B, A), (C, A)])
    assert memory.ids() == {vote(B, A).id, vote(A, C).id}
    before = memory.requests
    await votes.withdraw([(A, B)])
    assert memory.requests == before


@pytest_twisted.ensureDeferred
async def test_a_vote_that_changed_or_went_meanwhile_is_withdrawn_too() -> None:
    memory = Memory()
    votes = Votes(memory)
    await votes.cast([vote(A, B), vote(A, C)])
    await memory.drop(vote(A, B).id)
    await memory.revise(vote(A, C).id)
    await votes.withdraw([(A, B), (A, C)])
    assert memory.ids() == set()


@pytest_twisted.ensureDeferred
async def test_which_votes_there_are_is_one_request() -> None:
    memory = Memory()
    votes = Votes(memory)
    await votes.cast([vote(A, B), vote(C, B)])
    before = memory.requests
    assert await votes.standing([(A, B), (A, C), (B, A)]) == {(A, B)}
    assert memory.requests == before + 1
    assert await votes.standing([]) == set()
    assert memory.requests == before + 1


@pytest_twisted.ensureDeferred
async def test_who_starts_clears_the_votes_against_it_and_its_own() -> None:
    memory = Memory()
    await Votes(memory).cast([vote(A, B), vote(B, A), vote(B, C), vote(A, C)])
    await Votes(memory).clear([A])
    assert memory.ids() == {vote(B, C).id}
    before = memory.requests
    await Votes(memory).clear([A])
    assert memory.requests == before + 1


def everybody(name: str) -> bool:
    return name in (A, B, C)


@pytest_twisted.ensureDeferred
async def test_votes_that_are_not_renewed_are_pruned() -> None:
    memory = Memory()
    votes, pruner = Votes(memory), Votes(memory)
    await votes.cast([vote(A, B), vote(A, C), vote(B, C)])
    await pruner.prune([A], everybody, LIFE, 1000.0)
    await votes.cast([vote(A, B)])
    await pruner.prune([A], everybody, LIFE, 1000.0 + LIFE - 1)
    assert len(memory.ids()) == 3
    await pruner.prune([A], everybody, LIFE, 1000.0 + LIFE)
    assert memory.ids() == {vote(A, B).id, vote(B, C).id}
    await pruner.prune([], everybody, LIFE, 10_000.0)
    assert memory.ids() == {vote(A, B).id, vote(B, C).id}


@pytest.mark.parametrize("gone", [A, B])
@pytest_twisted.ensureDeferred
async def test_votes_against_or_by_whom_there_is_no_longer_go_at_once(gone: str) -> None:
    memory = Memory()
    await Votes(memory).cast([vote(A, B)])
    await Votes(memory).prune([A], lambda name: name != gone, LIFE, 0.0)
    assert memory.ids() == set()


class Interrupted(Memory):
    """A vote is renewed just before it is deleted."""

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        for each in writes:
            if each.body is None:
                await self.revise(each.id)
        return await super().put_many(writes)


@pytest_twisted.ensureDeferred
async def test_a_vote_that_is_renewed_while_it_is_pruned_stays() -> None:
    memory: Any = Interrupted()
    await Votes(memory).cast([vote(A, B)])
    await Votes(memory).prune([A], lambda _: False, LIFE, 0.0)
    assert memory.ids() == {vote(A, B).id}
