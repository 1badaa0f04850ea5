"""Whose turn it is, noted beside what others note."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.claims import CLAIM_LIFE, FAR, PAUSE, TRIES, Claim, Claims
from oose.contents import Content
from oose.embedded import EmbeddedDatabase, EmbeddedDocuments
from oose.errors import Unavailable
from oose.metadata.documents import Document, Stale
from oose.pool import Inline
from tests.unit.logged import logged

A = "a" * 40
NOW = 1_700_000_000


class Elsewhere(EmbeddedDocuments):
    """Documents to which somebody else may be faster, or that are away."""

    is_away = False
    theirs: Mapping[str, Any] | None = None  # written just before each write of ours
    is_once = False  # only before the next one
    gone = 0  # times that it is deleted before we look
    reads = 0

    async def get(self, document_id: str) -> Document | None:
        self.reads += 1
        if self.is_away:
            raise Unavailable("away")
        if self.gone:
            self.gone -= 1
            await self.note(None)
        return await super().get(document_id)

    async def put(
        self, document_id: str, body: Mapping[str, Any], rev: str | None = None
    ) -> str | Stale:
        await self._be_faster(rev)
        return await super().put(document_id, body, rev)

    async def delete(self, document_id: str, rev: str) -> str | Stale:
        await self._be_faster(rev)
        return await super().delete(document_id, rev)

    async def _be_faster(self, rev: str | None) -> None:
        theirs = self.theirs
        if self.is_once:
            self.theirs = None
        if theirs is not None:
            await self.note({**theirs, "turn": rev})

    async def note(self, body: Mapping[str, Any] | None) -> None:
        """Write as somebody else would, whatever is there."""
        found = await self.get_many([A])
        rev = found[A].rev if A in found else None
        if body is not None:
            assert isinstance(await super().put(A, body, rev), str)
        elif rev is not None:
            assert isinstance(await super().delete(A, rev), str)

    async def body(self) -> Mapping[str, Any] | None:
        found = await self.get_many([A])
        return found[A].body if A in found else None


@define
class Turns:
    """Two processes and a clock."""

    clock: Clock
    documents: Elsewhere
    ours: Claims
    others: Claims

    def taking(self, claims: Claims | None = None) -> "Deferred[Claim | None]":
        return Deferred.fromCoroutine((claims or self.ours).take(A))

    async def taken(self, claims: Claims | None = None) -> Claim:
        claim = await (claims or self.ours).take(A)
        assert claim is not None
        return claim

    async def is_refused(self, claims: Claims | None = None) -> bool:
        """Whether it is not to be had, however often it is tried."""
        taking = self.taking(claims)
        for _ in range(TRIES - 1):
            assert not taking.called
            self.clock.advance(PAUSE)
        assert not self.clock.getDelayedCalls()
        return await taking is None


@pytest_twisted.async_yield_fixture
async def turns(tmp_path: Path) -> AsyncIterator[Turns]:
    database = EmbeddedDatabase(tmp_path / "x.sqlite", writer=Inline(), readers=Inline())
    await database.open()
    documents = Elsewhere(database, "content")
    clock = Clock()
    clock.advance(NOW)
    yield Turns(clock, documents, Claims(documents, clock, "p1"), Claims(documents, clock, "p2"))
    await database.close()


# Life


@pytest_twisted.ensureDeferred
async def test_a_claim_is_noted_and_leaves_nothing_when_it_is_given_back(turns: Turns) -> None:
    claim = await turns.taken()
    assert claim.content == Content(A)
    until = NOW + CLAIM_LIFE
    assert claim.until == until
    assert await turns.documents.body() == {
        "claim": {"by": "p1", "until": until * 1000, "id": claim.id}
    }
    await turns.ours.release(claim)
    assert await turns.documents.body() is None


@pytest_twisted.ensureDeferred
async def test_what_else_is_noted_is_told_and_stays(turns: Turns) -> None:
    noted = {"protected": True, "wanted": 3, "of another version": 1}
    await turns.documents.note({**noted, "claim": {"by": "dead", "until": 5}})
    claim = await turns.taken()
    content = Content(A, protected=True, wanted=3, others={"of another version": 1})
    assert claim.content == content
    assert await turns.documents.body() == {**noted, "claim": claim.word}
    await turns.ours.release(claim)
    assert await turns.documents.body() == noted


@pytest_twisted.ensureDeferred
async def test_a_claim_counts_for_its_life_and_no_longer(turns: Turns) -> None:
    await turns.taken(turns.others)
    turns.clock.advance(CLAIM_LIFE - TRIES * PAUSE)
    assert await turns.is_refused()
    taking = turns.taking()
    assert not taking.called
    turns.clock.advance(PAUSE)
    claim = await taking
    assert claim is not None
    assert claim.until == turns.clock.seconds() + CLAIM_LIFE


@pytest.mark.parametrize(
    "word",
    [
        None,
        7,
        "p2",
        [],
        {},
        {"by": "p2"},
        {"by": "p2", "until": None},
        {"by": "p2", "until": "tomorrow"},
        {"by": "p2", "until": 0},
        {"by": "p2", "until": NOW * 1000},
        {"by": "p2", "until": (NOW + FAR) * 1000 + 1},  # by a clock that is wrong
        {"by": "p2", "until": 2**62},
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_claim_holds_up_nobody(turns: Turns, word: object) -> None:
    await turns.documents.note({"claim": word, "wanted": 2})
    claim = await turns.taken()
    await turns.ours.release(claim)
    assert await turns.documents.body() == {"wanted": 2}


# Contention


@pytest_twisted.ensureDeferred
async def test_while_one_has_it_another_has_not(turns: Turns) -> None:
    claim = await turns.taken(turns.others)
    assert await turns.is_refused()
    assert await turns.documents.body() == {"claim": claim.word}
    assert await turns.is_refused(turns.others)  # another turn of the same process


@pytest_twisted.ensureDeferred
async def test_who_waits_has_it_when_it_is_given_back(turns: Turns) -> None:
    theirs = await turns.taken(turns.others)
    taking = turns.taking()
    turns.clock.advance(PAUSE)
    await turns.others.release(theirs)
    assert not taking.called
    turns.clock.advance(PAUSE)
    claim = await taking
    assert claim is not None
    assert claim.by == "p1"
    assert await turns.documents.body() == {"claim": claim.word}


@pytest_twisted.ensureDeferred
async def test_of_several_at_once_one_has_it(turns: Turns) -> None:
    await turns.documents.note({"wanted": 2})
    taking = [turns.taking(each) for each in (turns.ours, turns.others) * 3]
    turns.clock.pump([PAUSE] * TRIES)
    claims = [await each for each in taking]
    (winner,) = [each for each in claims if each is not None]
    assert await turns.documents.body() == {"wanted": 2, "claim": winner.word}


@pytest_twisted.ensureDeferred
async def test_what_others_note_meanwhile_makes_it_try_again(turns: Turns) -> None:
    await turns.documents.note({"wanted": 2})
    turns.documents.theirs = {"wanted": 3}
    taking = turns.taking()
    turns.clock.advance(PAUSE)
    assert not taking.called
    turns.documents.theirs = None
    turns.clock.advance(PAUSE)
    claim = await taking
    assert claim is not None
    assert claim.content.wanted == 3


@pytest_twisted.ensureDeferred
async def test_a_document_that_goes_while_it_is_looked_at_makes_it_try_again(
    turns: Turns,
) -> None:
    await turns.documents.note({"wanted": 2})
    turns.documents.gone = 1
    taking = turns.taking()
    assert not taking.called
    turns.clock.advance(PAUSE)
    claim = await taking
    assert claim is not None
    assert claim.content == Content(A)


@pytest_twisted.ensureDeferred
async def test_nobody_has_it_while_the_database_is_away(turns: Turns) -> None:
    await turns.documents.note({"wanted": 2})
    turns.documents.is_away = True
    with pytest.raises(Unavailable):
        await turns.ours.take(A)
    assert await turns.documents.body() == {"wanted": 2}


# Giving it back


@pytest_twisted.ensureDeferred
async def test_nobody_elses_claim_is_given_back(turns: Turns) -> None:
    late = await turns.taken()
    turns.clock.advance(CLAIM_LIFE)
    for claims in (turns.others, turns.ours):
        theirs = await turns.taken(claims)
        await turns.ours.release(late)
        assert await turns.documents.body() == {"claim": theirs.word}
        await claims.release(theirs)
    await turns.ours.release(late)
    assert await turns.documents.body() is None


@pytest_twisted.ensureDeferred
async def test_a_claim_of_the_same_moment_and_owner_is_another_one(turns: Turns) -> None:
    first = await turns.taken()
    await turns.ours.release(first)
    second = await turns.taken()
    assert (second.by, second.until) == (first.by, first.until)
    await turns.ours.release(first)
    assert await turns.documents.body() == {"claim": second.word}


@pytest_twisted.ensureDeferred
async def test_what_others_note_while_it_is_given_back_stays(turns: Turns) -> None:
    turns.documents.is_once = True
    for before in (None, {"wanted": 2}):
        await turns.documents.note(before)
        claim = await turns.taken()
        turns.documents.theirs = {"protected": True, "claim": claim.word}
        await turns.ours.release(claim)
        left = await turns.documents.body()
        assert left is not None
        assert set(left) == {"protected", "turn"}


@pytest_twisted.ensureDeferred
async def test_a_claim_that_cannot_be_given_back_runs_out(turns: Turns) -> None:
    claim = await turns.taken()
    turns.documents.is_away = True
    with logged("warn") as warnings:
        await turns.ours.release(claim)
        turns.documents.is_away = False
        turns.documents.theirs = {"claim": claim.word}
        turns.documents.reads = 0
        await turns.ours.release(claim)
    assert turns.documents.reads == TRIES
    assert warnings == [
        f"The claim on {A} runs out by itself: away",
        f"The claim on {A} runs out by itself: others write to its document all the time",
    ]
    turns.documents.theirs = None
    assert await turns.is_refused(turns.others)
    turns.clock.advance(CLAIM_LIFE)
    await turns.taken(turns.others)
