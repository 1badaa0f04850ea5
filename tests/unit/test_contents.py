"""What is noted of content, while several write to it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from oose.contents import TRIES, Content, Contents, unburied
from oose.embedded import EmbeddedDatabase, EmbeddedDocuments
from oose.errors import Unavailable
from oose.metadata.documents import Document, Stale, Write
from oose.pool import Inline
from tests.unit.at_once import at_once

A, B, C = ("a" * 40, "b" * 40, "c" * 40)
CLAIM = {"by": "p1", "until": 9, "id": "x"}


@define
class Beside(EmbeddedDocuments):
    """Documents to which somebody else writes too, just before we do."""

    database: EmbeddedDatabase
    beside: list[Write] = field(factory=list)
    requests: int = 0
    is_besieged: bool = False

    def __attrs_post_init__(self) -> None:
        super().__init__(self.database, "content")

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Document]:
        self.requests += 1
        return await super().get_many(ids)

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        self.requests += 1
        if self.is_besieged:
            return [Stale(each.id) for each in writes]
        theirs, self.beside = self.beside, []
        for each in theirs:
            found = await super().get_many([each.id])
            rev = found[each.id].rev if each.id in found else None
            (answer,) = await super().put_many([evolve(each, rev=rev)])
            assert isinstance(answer, str)
        return await super().put_many(writes)


@pytest_twisted.async_yield_fixture
async def documents(tmp_path: Path) -> AsyncIterator[Beside]:
    database = EmbeddedDatabase(tmp_path / "x.sqlite", writer=Inline(), readers=Inline())
    await database.open()
    yield Beside(database)
    await database.close()


@pytest.fixture
def contents(documents: Beside) -> Contents:
    return Contents(documents)


def wishing(count: int | None) -> Callable[[Content], Content]:
    return lambda content: evolve(content, wanted=count)


def protected(content: Content) -> Content:
    return evolve(content, protected=True)


async def body_of(documents: Beside, content_hash: str) -> Mapping[str, Any] | None:
    document = await documents.get(content_hash)
    return None if document is None else document.body


@given(
    st.builds(
        Content,
        hash=st.just(A),
        removed=st.none() | st.integers(0, 2**53),
        protected=st.booleans(),
        wanted=st.none() | st.integers(0, 99),
        demand=st.just({}) | st.just({"p1": {"since": 1}}),
        others=st.just({}) | st.just({"claim": CLAIM, "later": 1}),
    )
)
def test_notes_come_back_as_they_were_and_no_note_is_no_document(content: Content) -> None:
    body = content.to_body()
    assert Content.from_document(Document(A, "1-x", body)) == content
    assert (content == Content(A)) is (not body)


def test_words_that_say_nothing_are_no_words() -> None:
    body = {"removedAt": None, "protected": False, "wanted": None, "demand": None}
    assert Content.from_document(Document(A, "1-x", body)) == Content(A)


def test_content_without_its_tombstone_is_otherwise_the_same() -> None:
    content = Content(A, removed=5, protected=True, wanted=2, others={"claim": CLAIM})
    assert unburied(content) == evolve(content, removed=None)


@pytest_twisted.ensureDeferred
async def test_of_most_content_nothing_is_noted(contents: Contents, documents: Beside) -> None:
    await documents.put(B, {"wanted": 3})
    assert await contents.get(A) == Content(A)
    documents.requests = 0
    assert await contents.get_many([A, B]) == {A: Content(A), B: Content(B, wanted=3)}
    assert documents.requests == 1
    assert await contents.get_many([]) == {}
    assert documents.requests == 1


@pytest_twisted.ensureDeferred
async def test_all_notes_are_read_in_pages(contents: Contents, documents: Beside) -> None:
    names = sorted(f"{n:040x}" for n in (1, 2, 3, 0xA0, 16**39))
    for each in names:
        await documents.put(each, {"wanted": 1})
    seen: list[str] = []
    while page := await contents.page(after=seen[-1] if seen else "", limit=2):
        seen += [each.hash for each in page]
    assert seen == names
    assert [each.hash for each in await contents.page("1")] == names[-1:]
    assert [each.hash for each in await contents.page("0", after=names[1])] == names[2:4]


@pytest_twisted.ensureDeferred
async def test_a_change_is_noted_and_its_end_leaves_nothing(
    contents: Contents, documents: Beside
) -> None:
    assert await contents.change(A, wishing(3)) == Content(A, wanted=3)
    assert await contents.change(A, protected) == Content(A, wanted=3, protected=True)
    assert await body_of(documents, A) == {"wanted": 3, "protected": True}
    await contents.change(A, lambda content: evolve(content, protected=False))
    assert await contents.change(A, wishing(None)) == Content(A)
    assert await body_of(documents, A) is None


@pytest_twisted.ensureDeferred
async def test_what_changes_nothing_writes_nothing(contents: Contents, documents: Beside) -> None:
    await documents.put(A, {"wanted": 3})
    rev = (await documents.get_many([A]))[A].rev
    documents.requests = 0
    assert await contents.change(A, wishing(3)) == Content(A, wanted=3)
    assert await contents.change(B, wishing(None)) == Content(B)
    assert documents.requests == 2
    assert (await documents.get_many([A, B])) == {A: Document(A, rev, {"wanted": 3})}


@pytest_twisted.ensureDeferred
async def test_a_change_leaves_the_words_of_others(contents: Contents, documents: Beside) -> None:
    others = {"claim": CLAIM, "of another version": [1]}
    await documents.put(A, {**others, "wanted": 3})
    await contents.change(A, lambda content: Content(content.hash, removed=5))
    assert await body_of(documents, A) == {**others, "removedAt": 5}
    await contents.change(A, unburied)
    assert await body_of(documents, A) == others


@pytest.mark.parametrize(
    ("before", "theirs", "after"),
    [
        (None, {"protected": True}, {"protected": True, "wanted": 2}),
        ({"removedAt": 1}, {"removedAt": 1, "claim": CLAIM}, None),
        ({"protected": True}, None, {"wanted": 2}),
        ({"wanted": 7}, {"wanted": 9, "demand": {"p": {}}}, {"wanted": 2, "demand": {"p": {}}}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_others_note_meanwhile_is_not_lost(
    contents: Contents,
    documents: Beside,
    before: Mapping[str, Any] | None,
    theirs: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    if before is not None:
        await documents.put(A, before)
    documents.beside = [Write(A, theirs)]
    await contents.change(A, wishing(2))
    expected = after if after is not None else {**(theirs or {}), "wanted": 2}
    assert await body_of(documents, A) == expected


@pytest_twisted.ensureDeferred
async def test_an_end_does_not_take_what_others_note_meanwhile(
    contents: Contents, documents: Beside
) -> None:
    await documents.put(A, {"wanted": 2})
    documents.beside = [Write(A, {"wanted": 2, "protected": True})]
    assert await contents.change(A, wishing(None)) == Content(A, protected=True)
    assert await body_of(documents, A) == {"protected": True}


@pytest_twisted.ensureDeferred
async def test_many_are_changed_in_two_requests_and_only_what_was_late_again(
    contents: Contents, documents: Beside
) -> None:
    await documents.put(B, {"protected": True})
    documents.requests = 0
    documents.beside = [Write(C, {"removedAt": 1})]
    calls: list[Content] = []

    def edit(content: Content) -> Content:
        calls.append(content)
        return evolve(content, wanted=2)

    assert await contents.change_many([A, B, C, A], edit) == {
        A: Content(A, wanted=2),
        B: Content(B, wanted=2, protected=True),
        C: Content(C, wanted=2, removed=1),
    }
    assert documents.requests == 4
    assert [each.hash for each in calls] == [A, B, C, C]
    assert await contents.change_many([], edit) == {}
    assert documents.requests == 4


@pytest_twisted.ensureDeferred
async def test_a_document_that_others_write_to_all_the_time_is_given_up(
    contents: Contents, documents: Beside
) -> None:
    documents.is_besieged = True
    with pytest.raises(Unavailable, match=f"{A} all the time"):
        await contents.change(A, wishing(2))
    assert documents.requests == 2 * TRIES


@pytest_twisted.ensureDeferred
async def test_a_change_that_is_refused_writes_nothing(
    contents: Contents, documents: Beside
) -> None:
    def refuse(content: Content) -> Content:
        raise ValueError(content.hash)

    with pytest.raises(ValueError, match=A):
        await contents.change_many([A, B], refuse)
    assert await documents.range("", "~") == []


def test_nobody_is_asked_of_nothing() -> None:
    nobody: Any = None
    assert at_once(Contents(nobody).get_many([])) == {}
    assert at_once(Contents(nobody).change_many([], protected)) == {}
