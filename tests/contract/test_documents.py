"""The contract of `oose.metadata.documents.Documents`."""

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import pytest_twisted
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, gatherResults

from oose.metadata.documents import DATABASES, Document, Documents, Stale, Write
from tests.contract.kept import KeepsDocuments

ON_ONE_SERVER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


async def revision(documents: Documents, document_id: str) -> str:
    document = await documents.get(document_id)
    assert document is not None
    return document.rev


async def put(documents: Documents, document_id: str, body: Mapping[str, Any]) -> str:
    """Make a new document."""
    rev = await documents.put(document_id, body)
    assert isinstance(rev, str)
    return rev


def ids(found: Sequence[Document]) -> list[str]:
    return [document.id for document in found]


# One document


@pytest_twisted.ensureDeferred
async def test_what_was_put_is_there(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    rev = await put(documents, "a", {"size": 5, "map": ["x", None], "nested": {"é": 1.5}})
    assert await documents.get("a") == Document(
        "a", rev, {"size": 5, "map": ["x", None], "nested": {"é": 1.5}}
    )


@pytest_twisted.ensureDeferred
async def test_what_was_never_put_is_not_there(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    assert await documents.get("a") is None
    assert await documents.get_many(["a", "b"]) == {}
    assert await documents.get_many([]) == {}
    assert await documents.range("a", "z") == []
    assert await documents.under(["a", "b"]) == {"a": [], "b": []}
    assert await documents.under([]) == {}


@pytest_twisted.ensureDeferred
async def test_a_write_at_the_current_revision_makes_a_new_one(
    keeps_documents: KeepsDocuments,
) -> None:
    documents = await keeps_documents.documents("inventory")
    first = await put(documents, "a", {"n": 1})
    second = await documents.put("a", {"n": 2}, first)
    third = await documents.put("a", {"n": 2}, await revision(documents, "a"))
    assert await documents.get("a") == Document("a", str(third), {"n": 2})
    assert len({first, second, third}) == 3


@pytest_twisted.ensureDeferred
async def test_a_write_at_an_earlier_revision_is_stale(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    first = await put(documents, "a", {"n": 1})
    second = await documents.put("a", {"n": 2}, first)
    assert await documents.put("a", {"n": 3}, first) == Stale("a")
    assert await documents.delete("a", first) == Stale("a")
    assert await documents.get("a") == Document("a", str(second), {"n": 2})


@pytest_twisted.ensureDeferred
async def test_a_new_document_where_there_is_one_is_stale(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    rev = await put(documents, "a", {"n": 1})
    assert await documents.put("a", {"n": 2}) == Stale("a")
    assert await documents.put("a", {"n": 1}) == Stale("a")  # won by the first, whoever that was
    assert await documents.get("a") == Document("a", rev, {"n": 1})


@pytest_twisted.ensureDeferred
async def test_a_change_of_what_is_not_there_is_stale(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    other = await put(documents, "other", {})
    assert await documents.put("a", {"n": 1}, other) == Stale("a")
    assert await documents.delete("a", other) == Stale("a")
    assert await documents.get("a") is None


@pytest_twisted.ensureDeferred
async def test_a_deleted_document_is_gone_and_can_be_made_again(
    keeps_documents: KeepsDocuments,
) -> None:
    documents = await keeps_documents.documents("inventory")
    rev = await put(documents, "a", {"n": 1})
    assert isinstance(await documents.delete("a", rev), str)
    assert await documents.get("a") is None
    assert await documents.range("a", "z") == []
    assert await documents.delete("a", rev) == Stale("a")
    assert await documents.put("a", {"n": 2}, rev) == Stale("a")
    again = await put(documents, "a", {"n": 3})
    assert await documents.get("a") == Document("a", again, {"n": 3})
    assert await documents.put("a", {"n": 4}, rev) == Stale("a")


@pytest_twisted.ensureDeferred
async def test_the_databases_know_nothing_of_each_other(keeps_documents: KeepsDocuments) -> None:
    each = {name: await keeps_documents.documents(name) for name in DATABASES}
    for name, documents in each.items():
        await put(documents, "same", {"in": name})
    for name, documents in each.items():
        assert [dict(d.body) for d in await documents.range("", "z")] == [{"in": name}]


# Many


@pytest_twisted.ensureDeferred
async def test_each_of_many_writes_stands_for_itself(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    a = await put(documents, "a", {"n": 1})
    b = await put(documents, "b", {"n": 1})
    newer = await documents.put("b", {"n": 2}, b)
    answers = await documents.put_many(
        [
            Write("b", {"n": 3}, b),  # stale
            Write("a", {"n": 3}, a),
            Write("c", {"n": 3}),
            Write("a", {"n": 4}, a),  # stale by the write before
            Write("d", None, a),  # was never there
        ]
    )
    assert [answers[n] for n in (0, 3, 4)] == [Stale("b"), Stale("a"), Stale("d")]
    assert await documents.get_many(["a", "b", "c", "d"]) == {
        "a": Document("a", str(answers[1]), {"n": 3}),
        "b": Document("b", str(newer), {"n": 2}),
        "c": Document("c", str(answers[2]), {"n": 3}),
    }
    assert await documents.put_many([]) == []


@pytest_twisted.ensureDeferred
async def test_of_many_who_claim_the_same_exactly_one_wins(keeps_documents: KeepsDocuments) -> None:
    ways = [await keeps_documents.documents("content") for _ in range(4)]
    answers = await gatherResults(
        [
            Deferred.fromCoroutine(way.put("hash", {"claim": {"by": number}}))
            for number, way in enumerate(ways)
        ]
    )
    (winner,) = [n for n, answer in enumerate(answers) if not isinstance(answer, Stale)]
    document = await ways[0].get("hash")
    assert document is not None
    assert document.body == {"claim": {"by": winner}}


@pytest_twisted.ensureDeferred
async def test_thousands_are_one_request(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    names = [f"{n:05}" for n in range(2100)]
    answers = await documents.put_many([Write(name, {"n": name}) for name in names])
    assert not any(isinstance(answer, Stale) for answer in answers)
    found = await documents.get_many([*names, "missing"])
    assert set(found) == set(names)
    assert ids(await documents.range("", "~")) == names
    under = await documents.under([f"{n:02}" for n in range(30)])
    assert [len(found) for found in under.values()] == [1000, 1000, 100] + [0] * 27


@pytest_twisted.ensureDeferred
async def test_a_document_asked_for_twice_is_answered_once(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    rev = await put(documents, "a", {})
    assert await documents.get_many(["a", "a"]) == {"a": Document("a", rev, {})}
    assert await documents.under(["a", "a"]) == {"a": [Document("a", rev, {})]}


# Ranges


@pytest_twisted.ensureDeferred
async def test_a_range_is_in_raw_byte_order_and_has_both_ends(
    keeps_documents: KeepsDocuments,
) -> None:
    documents = await keeps_documents.documents("inventory")
    in_order = ["A", "B", "a", "a:", "a:\x7f", "a;", "é", "密"]
    assert in_order == sorted(in_order, key=str.encode)
    await documents.put_many([Write(each, {}) for each in reversed(in_order)])
    assert ids(await documents.range("", "\U0010ffff")) == in_order
    assert ids(await documents.range("B", "a:")) == ["B", "a", "a:"]
    assert ids(await documents.range("C", "\uffff")) == in_order[2:]
    assert ids(await documents.range("C", "é")) == in_order[2:7]
    assert await documents.range("z", "a") == []


@pytest_twisted.ensureDeferred
async def test_a_range_can_be_read_in_pages(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    names = [f"{n:02}" for n in range(25)]
    await documents.put_many([Write(name, {}) for name in names])
    assert await documents.range("", "~", limit=0) == []
    assert len(await documents.range("", "~", limit=100)) == 25
    seen: list[str] = []
    start = ""
    while page := ids(await documents.range(start, "~", limit=7)):
        assert len(page) <= 7
        seen += page
        start = page[-1] + "\0"
    assert seen == names


@pytest_twisted.ensureDeferred
async def test_the_clones_of_a_hash_are_those_under_it(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("inventory")
    names = ["ab:p:s1", "ab:p:s2", "ab:p:störe", "abc:p:s1", "ac:p:s1", "AB:p:s1"]
    await documents.put_many([Write(name, {}) for name in names])
    found = await documents.under(["ab:", "ac:", "x:"])
    assert {prefix: ids(rows) for prefix, rows in found.items()} == {
        "ab:": ["ab:p:s1", "ab:p:s2", "ab:p:störe"],
        "ac:": ["ac:p:s1"],
        "x:": [],
    }


# Several at once


@pytest_twisted.ensureDeferred
async def test_what_several_write_at_once_is_all_there(keeps_documents: KeepsDocuments) -> None:
    """Each reads, adds its own and writes; who was too late begins again."""
    ways = [await keeps_documents.documents("peer") for _ in range(3)]
    await put(ways[0], "list", {"of": []})

    async def add(documents: Documents, item: int) -> None:
        outcome: str | Stale = Stale("list")
        while isinstance(outcome, Stale):
            document = await documents.get("list")
            assert document is not None
            body = {"of": [*document.body["of"], item]}
            outcome = await documents.put("list", body, document.rev)

    adding = [Deferred.fromCoroutine(add(ways[item % 3], item)) for item in range(9)]
    await gatherResults(adding)
    document = await ways[0].get("list")
    assert document is not None
    assert sorted(document.body["of"]) == list(range(9))


@pytest_twisted.ensureDeferred
async def test_of_many_batches_at_once_each_write_counts_once(
    keeps_documents: KeepsDocuments,
) -> None:
    ways = [await keeps_documents.documents("inventory") for _ in range(3)]
    names = [f"{n}" for n in range(20)]
    answers = await gatherResults(
        [
            Deferred.fromCoroutine(way.put_many([Write(name, {"by": n}) for name in names]))
            for n, way in enumerate(ways)
        ]
    )
    found = await ways[0].get_many(names)
    for number, name in enumerate(names):
        (winner,) = [n for n in range(3) if not isinstance(answers[n][number], Stale)]
        assert found[name] == Document(name, str(answers[winner][number]), {"by": winner})


# Changes


@pytest_twisted.ensureDeferred
async def test_changes_are_those_since_the_last_time(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("peer")
    rev = await put(documents, "before", {})
    begin = await documents.changes(None, 99)
    assert (list(begin.ids), begin.is_whole) == ([], True)
    first = await put(documents, "a", {})
    await put(documents, "b", {})
    await documents.put("a", {"n": 2}, first)
    await documents.delete("before", rev)
    await documents.put("b", {"stale": True})
    changes = await documents.changes(begin.since, 99)
    assert sorted(changes.ids) == ["a", "b", "before"]
    assert changes.is_whole
    again = await documents.changes(begin.since, 99)
    assert sorted(again.ids) == ["a", "b", "before"]
    await put(documents, "c", {})
    assert list((await documents.changes(changes.since, 99)).ids) == ["c"]


@pytest_twisted.ensureDeferred
async def test_who_waits_for_changes_hears_of_one(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("peer")
    since = (await documents.changes(None, 99)).since
    waiting = Deferred.fromCoroutine(documents.changes(since, 99))
    await (await keeps_documents.documents("content")).put("elsewhere", {})
    await put(documents, "a", {})
    changes = await waiting
    assert (list(changes.ids), changes.is_whole) == (["a"], True)


@pytest_twisted.ensureDeferred
async def test_no_changes_are_an_answer_too(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("peer")
    await put(documents, "a", {})
    since = (await documents.changes(None, 99)).since
    nothing = await documents.changes(since, 0.01)
    assert (list(nothing.ids), nothing.is_whole) == ([], True)
    await put(documents, "b", {})
    assert list((await documents.changes(nothing.since, 99)).ids) == ["b"]


@pytest_twisted.ensureDeferred
async def test_changes_since_what_never_was_may_not_be_all(keeps_documents: KeepsDocuments) -> None:
    documents = await keeps_documents.documents("peer")
    await put(documents, "a", {})
    for since in ("", "nonsense", "another 7", "another-7"):
        begin = await documents.changes(since, 99)
        assert not begin.is_whole
        await put(documents, f"after {since}", {})
        assert list((await documents.changes(begin.since, 99)).ids) == [f"after {since}"]


# Against a model

# All of Unicode but half letters, which UTF-8 cannot hold, and the very last, which ends ranges.
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\U0010ffff")
# Of those beyond \ud7ff the compatible server in memory has another order than bytes have.
LOW = st.characters(max_codepoint=0xD7FF)
IDS = st.sampled_from(["a", "b", "a:", "a:b", "ä"]) | st.text(LOW, min_size=1, max_size=6)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda n: n % 1 != 0)
    | st.text(LETTERS, max_size=10)
)
FIELDS = st.text(LETTERS, min_size=1, max_size=5).filter(lambda text: text[0] != "_")
BODIES = st.dictionaries(
    FIELDS,
    st.recursive(
        SCALARS,
        lambda v: st.lists(v, max_size=3) | st.dictionaries(FIELDS, v, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


@frozen
class Change:
    """A write at the current revision, at an earlier one, or as of a new document."""

    id: str
    body: Mapping[str, Any] | None
    at: str


CHANGES = st.builds(
    Change,
    IDS,
    st.none() | st.builds(lambda n: {"n": n}, st.integers(0, 3)),
    st.sampled_from(["current", "current", "earlier", "new"]),
)


class Model:
    """What a database has to behave like."""

    def __init__(self) -> None:
        self.now: dict[str, Document] = {}
        self.earlier: dict[str, str] = {}

    def write(self, change: Change, name: str) -> Write:
        document = self.now.get(name)
        if change.at == "new" and change.body is not None:
            rev = None
        elif change.at == "current" and document is not None:
            rev = document.rev
        else:
            rev = self.earlier.get(name, "1-" + "0" * 32)
        return Write(name, change.body, rev)

    def expects(self, write: Write) -> bool:
        """Whether the write is good."""
        document = self.now.get(write.id)
        return write.rev == (document.rev if document is not None else None)

    def done(self, write: Write, rev: str) -> None:
        if write.rev is not None:
            self.earlier[write.id] = write.rev
        if write.body is None:
            del self.now[write.id]
        else:
            self.now[write.id] = Document(write.id, rev, write.body)

    def between(self, start: str, end: str) -> list[Document]:
        low, high = start.encode(), end.encode()
        names = sorted(self.now, key=str.encode)
        return [self.now[name] for name in names if low <= name.encode() <= high]

    def under(self, prefix: str) -> list[Document]:
        return [d for d in self.between("", "\U0010ffff") if d.id.startswith(prefix)]


numbers = count()


@ON_ONE_SERVER
@given(
    st.lists(st.lists(CHANGES, min_size=1, max_size=3, unique_by=lambda c: c.id), max_size=8),
    st.lists(IDS, min_size=2, max_size=4),
)
@pytest_twisted.ensureDeferred
async def test_documents_behave_like_a_dictionary_with_revisions(
    keeps_documents: KeepsDocuments, batches: list[list[Change]], asked: list[str]
) -> None:
    """Also after all of it has been opened anew."""
    own = f"{next(numbers):06}/"  # examples share the databases
    documents = await keeps_documents.documents("inventory")
    model = Model()
    for batch in batches:
        writes = [model.write(change, own + change.id) for change in batch]
        expected = [None if model.expects(write) else Stale(write.id) for write in writes]
        answers = await documents.put_many(writes)
        assert [each if isinstance(each, Stale) else None for each in answers] == expected
        for write, answer in zip(writes, answers, strict=True):
            if isinstance(answer, str):
                model.done(write, answer)
    for way in (documents, await keeps_documents.documents("inventory")):
        await agree(way, model, own, [own + each for each in asked])


async def agree(documents: Documents, model: Model, own: str, names: Sequence[str]) -> None:
    end = own + "\U0010ffff"
    assert await documents.range(own, end) == model.between(own, end)
    assert await documents.range(names[0], names[1]) == model.between(names[0], names[1])
    assert await documents.under(names) == {name: model.under(name) for name in names}
    assert await documents.get(names[0]) == model.now.get(names[0])
    found = {name: model.now[name] for name in names if name in model.now}
    assert await documents.get_many(names) == found


@ON_ONE_SERVER
@given(BODIES)
@pytest_twisted.ensureDeferred
async def test_a_body_comes_back_as_it_was(
    keeps_documents: KeepsDocuments, body: dict[str, Any]
) -> None:
    name = f"{next(numbers):06}/"
    documents = await keeps_documents.documents("content")
    await put(documents, name, body)
    document = await documents.get(name)
    assert document is not None
    assert json.dumps(document.body, sort_keys=True) == json.dumps(body, sort_keys=True)
