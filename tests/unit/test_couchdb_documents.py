"""Documents in a cluster of CouchDBs, as it is when it is not well."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose.couchdb import reading, writing
from oose.errors import Unavailable
from oose.metadata.documents import Document, Stale, Write
from tests.couchdb_double import Rival
from tests.fault_proxy import Delayed, Fault, ResetAfter, ResetBefore, SaysAfter, Silence
from tests.unit.couches import Couch, couch_at

WEAK = Rival({"by": "them"}, is_seen=False)
STRONG = Rival({"by": "them"}, is_seen=True)
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}"


@pytest_twisted.async_yield_fixture
async def couch() -> AsyncIterator[Couch]:
    async with couch_at() as couch:
        yield couch


def begun(work: Any) -> "Deferred[Any]":
    return Deferred.fromCoroutine(work)


async def put(couch: Couch, name: str, body: dict[str, Any], rev: str | None = None) -> str:
    outcome = await couch.documents().put(name, body, rev)
    assert isinstance(outcome, str)
    return outcome


# Accepted, but not made


@pytest_twisted.ensureDeferred
async def test_an_accepted_write_that_stands_is_made(couch: Couch) -> None:
    couch.cluster.is_degraded = True
    documents = couch.documents()
    first = await put(couch, "a", {"n": 1})
    outcomes = await documents.put_many(
        [Write("a", {"n": 2}, first)] + [Write(f"{n}", {}) for n in range(20)]
    )
    assert not any(isinstance(each, Stale) for each in outcomes)
    assert await documents.get("a") == Document("a", str(outcomes[0]), {"n": 2})
    gone = await documents.delete("a", str(outcomes[0]))
    assert isinstance(gone, str)
    assert await documents.get("a") is None


@pytest.mark.parametrize("rival", [WEAK, STRONG])
@pytest.mark.parametrize("is_new", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_write_beside_anothers_is_stale_and_the_others_stands_alone(
    couch: Couch, rival: Rival, is_new: bool
) -> None:
    """The other was answered 201, whichever of both CouchDB would show."""
    documents = couch.documents()
    rev = None if is_new else await put(couch, "a", {"by": "nobody"})
    couch.cluster.rivals.append(rival)
    assert await documents.put("a", {"by": "us"}, rev) == Stale("a")
    document = await documents.get("a")
    assert document is not None
    assert document.body == {"by": "them"}
    live = [leaf for leaf in couch.cluster.stores["oose-peer"].leaves["a"] if not leaf.is_deleted]
    assert [leaf.body for leaf in live] == [{"by": "them"}]


@pytest_twisted.ensureDeferred
async def test_of_two_that_are_both_accepted_one_stands(couch: Couch) -> None:
    """The one that readers see looks again, and the other has stepped back by then."""
    couch.cluster.rivals.append(WEAK)
    looked = Delayed()
    couch.proxy.next(Fault(), looked)
    putting = begun(couch.documents().put("a", {"by": "us"}))
    await looked.struck
    leaves = couch.cluster.stores["oose-peer"].leaves["a"]
    leaves[:] = [leaf for leaf in leaves if leaf.body == {"by": "us"}]
    looked.release()
    assert isinstance(await putting, str)


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_taken_back_is_stale_all_the_same(couch: Couch) -> None:
    couch.cluster.rivals.append(STRONG)
    couch.proxy.next(Fault(), Fault(), ResetAfter())
    assert await couch.documents().put("a", {"by": "us"}) == Stale("a")


@pytest_twisted.ensureDeferred
async def test_what_was_written_over_before_it_was_looked_at_is_stale(couch: Couch) -> None:
    couch.cluster.is_degraded = True
    accepted = Delayed()
    couch.proxy.next(accepted)
    putting = begun(couch.documents().put("a", {"n": 1}))
    await accepted.struck
    leaf = couch.cluster.stores["oose-peer"].live("a")
    assert leaf is not None
    couch.cluster.is_degraded = False
    await put(couch, "a", {"n": 2}, leaf.rev)
    accepted.release()
    assert await putting == Stale("a")


@pytest_twisted.ensureDeferred
async def test_a_deletion_beside_anothers_write_is_stale(couch: Couch) -> None:
    rev = await put(couch, "a", {})
    couch.cluster.rivals.append(WEAK)
    assert await couch.documents().delete("a", rev) == Stale("a")


# Answers that are lost


@pytest.mark.parametrize("fault", [ResetBefore, ResetAfter, lambda: SaysAfter(FAILED)])
@pytest_twisted.ensureDeferred
async def test_a_write_whose_answer_is_lost_is_made_once(couch: Couch, fault: Any) -> None:
    documents = couch.documents()
    rev = await put(couch, "a", {"n": 1})
    couch.proxy.next(fault())
    outcome = await documents.put("a", {"n": 2}, rev)
    document = await documents.get("a")
    assert document == Document("a", str(outcome), {"n": 2})
    assert document is not None
    assert document.rev.startswith("2-")


@pytest.mark.parametrize("fault", [ResetBefore, ResetAfter])
@pytest_twisted.ensureDeferred
async def test_many_writes_whose_answer_is_lost_are_each_looked_for(
    couch: Couch, fault: type[Fault]
) -> None:
    documents = couch.documents()
    old, other, gone = [await put(couch, name, {}) for name in ("old", "other", "gone")]
    await put(couch, "other", {"by": "them"}, other)
    couch.proxy.next(fault())
    outcomes = await documents.put_many(
        [
            Write("new", {"n": 1.0}),
            Write("old", {"n": 2}, old),
            Write("other", {"by": "us"}, other),
            Write("other", {"by": "us again"}),
            Write("missing", {}, other),
        ]
    )
    assert [each if isinstance(each, Stale) else "made" for each in outcomes] == [
        "made",
        "made",
        Stale("other"),
        Stale("other"),
        Stale("missing"),
    ]
    couch.proxy.next(fault())
    deleted = await documents.delete("gone", gone)
    assert isinstance(deleted, str) or deleted == Stale("gone")
    assert await documents.get("gone") is None


@pytest_twisted.ensureDeferred
async def test_who_is_met_by_another_with_the_same_claim_is_stale(couch: Couch) -> None:
    couch.proxy.next(ResetBefore(), Delayed())
    held = couch.proxy.script[-1]
    putting = begun(couch.documents().put("a", {"by": "us"}))
    await held.struck
    await put(couch, "a", {"by": "them"})
    assert isinstance(held, Delayed)
    held.release()  # it was not there when we looked
    assert await putting == Stale("a")


@pytest_twisted.ensureDeferred
async def test_a_second_answer_that_is_lost_is_looked_for_too(couch: Couch) -> None:
    couch.proxy.next(ResetBefore(), Fault(), ResetAfter())
    assert isinstance(await couch.documents().put("a", {"n": 1}), str)


@pytest_twisted.ensureDeferred
async def test_what_is_never_made_is_unavailable(couch: Couch) -> None:
    couch.proxy.next(ResetBefore(), Fault(), ResetBefore())
    with pytest.raises(Unavailable):
        await couch.documents().put("a", {"n": 1})
    assert await couch.documents().get("a") is None


@pytest_twisted.ensureDeferred
async def test_looking_for_a_lost_answer_takes_no_longer_than_the_request_may(
    couch: Couch,
) -> None:
    fault = couch.proxy.next(ResetAfter(), Silence())
    putting = begun(couch.documents().put("a", {}))
    couch.clock.advance(1)
    await fault.struck
    couch.clock.advance(0.5)
    with pytest.raises(Unavailable, match="does not answer"):
        await putting


# Reading


@pytest_twisted.ensureDeferred
async def test_one_document_is_there_although_ranges_miss_it(couch: Couch) -> None:
    documents = couch.documents()
    await put(couch, "a:1", {})
    couch.cluster.hidden.add("a:1")
    assert await documents.range("a", "b") == []
    assert await documents.get("a:1") is not None
    assert list(await documents.get_many(["a:1"])) == ["a:1"]


@pytest_twisted.ensureDeferred
async def test_a_thousand_prefixes_are_eight_requests(couch: Couch) -> None:
    documents = couch.documents("inventory")
    names = [f"{n:04}:p:s{m}" for n in range(0, 1000, 3) for m in (1, 2)]
    await documents.put_many([Write(name, {"n": name}) for name in names])
    for _ in range(2):
        before = couch.client.requests
        found = await documents.under([f"{n:04}:" for n in range(1000)])
        assert couch.client.requests - before == 8
        assert [row.id for rows in found.values() for row in rows] == names


@pytest_twisted.ensureDeferred
async def test_ranges_are_read_in_pages(couch: Couch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE", 3)
    documents = couch.documents()
    names = ["a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "b:1"]
    await documents.put_many([Write(name, {}) for name in names])
    await documents.put("_design/ours", {})
    assert [each.id for each in await documents.range("", "~")] == names
    assert [each.id for each in await documents.range("a", "~", limit=4)] == names[:4]
    found = await documents.under(["a:", "b:", "c:"])
    assert [[each.id for each in rows] for rows in found.values()] == [names[:6], ["b:1"], []]


@pytest_twisted.ensureDeferred
async def test_where_there_are_no_queries_ids_are_looked_through(
    couch: Couch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WIDEST", 30)
    documents = couch.documents()
    prefixes = [f"{n:02}:" for n in range(20)]
    await documents.put_many([Write(f"{each}{n}", {}) for each in prefixes for n in (1, 2)])
    couch.cluster.answers.append((400, {"error": "bad_request"}))
    before = couch.client.requests
    found = await documents.under(prefixes)
    assert couch.client.requests - before == 1 + 1 + 1 + 6  # the last 6 are asked for singly
    assert {each: [row.id for row in rows] for each, rows in found.items()} == {
        each: [f"{each}1", f"{each}2"] for each in prefixes
    }
    assert list(await documents.under(["05:", "01:"])) == ["05:", "01:"]


@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest_twisted.ensureDeferred
async def test_what_couchdb_keeps_for_itself_cuts_no_page_short(
    couch: Couch, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(reading, "PAGE", size)
    monkeypatch.setattr(reading, "WIDEST", size)
    documents = couch.documents()
    names = ["0:1", "A:1", "a:1", "b:1", "b:2"]
    await documents.put_many([Write(name, {}) for name in [*names, "_design/a", "_design/b"]])
    assert [each.id for each in await documents.range("", "~")] == names
    assert [each.id for each in await documents.range("A", "~", limit=2)] == names[1:3]
    whole = {"": names, "_": [], "b:": names[3:], **{f"{n}:": [] for n in range(1, 9)}}
    for _ in range(2):
        found = await documents.under(list(whole))
        assert {each: [row.id for row in rows] for each, rows in found.items()} == whole
        couch.client.knows_queries = False


@pytest_twisted.ensureDeferred
async def test_that_there_are_no_queries_is_found_out_by_one_request(couch: Couch) -> None:
    prefixes = [f"{n:04}:" for n in range(1000)]
    couch.cluster.answers.append((400, {"error": "bad_request"}))
    assert len(await couch.documents("inventory").under(prefixes)) == 1000
    await couch.documents("inventory").under(prefixes)
    await couch.documents("peer").under(prefixes)
    assert [each for each in couch.cluster.asked if "queries" in each] == [
        "POST /oose-inventory/_all_docs/queries"
    ]


@pytest.mark.parametrize("missing", [{}, {"missing": "1-x"}, {"error": "not_found"}])
@pytest_twisted.ensureDeferred
async def test_missing_documents_are_missing_however_that_is_said(
    couch: Couch, missing: object
) -> None:
    couch.cluster.answers.append((200, {"results": [{"id": "a", "docs": [missing]}]}))
    assert await couch.documents().get_many(["a"]) == {}


@pytest_twisted.ensureDeferred
async def test_a_document_that_cannot_be_read_is_not_taken_for_missing(couch: Couch) -> None:
    docs = [{"error": {"id": "a", "error": "internal_server_error"}}]
    couch.cluster.answers.append((200, {"results": [{"id": "a", "docs": docs}]}))
    with pytest.raises(Unavailable, match="could not read"):
        await couch.documents().get_many(["a"])


# Answers of another shape


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"_id": "a"},
        {"_id": "a", "_rev": 7},
        {"rows": 7},
        {"rows": [{}]},
        {"rows": [7]},
        {"results": [7]},
        {"results": [{"docs": [{"ok": {}}]}]},
        {"results": [{"docs": [[]]}]},
        {"results": [], "last_seq": None},
        [{"id": "b", "rev": "1-x"}],
        [{"id": "a"}],
        [{}],
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_answer_of_another_shape_is_told_in_words(couch: Couch, value: object) -> None:
    documents = couch.documents()
    since = (await documents.changes(None, 0)).since
    asked = [
        lambda: documents.get("a"),
        lambda: documents.get_many(["a"]),
        lambda: documents.range("a", "b"),
        lambda: documents.under(["a", "b"]),
        lambda: documents.put("a", {}),
        lambda: documents.changes(since, 0),
        lambda: documents.changes(None, 0),
    ]
    for ask in asked:
        couch.cluster.answers[:] = [(200, value)]
        with pytest.raises(Unavailable, match="cannot be understood"):
            await ask()


@pytest_twisted.ensureDeferred
async def test_a_document_that_couchdb_will_not_have_is_told(couch: Couch) -> None:
    row = {"id": "a", "error": "forbidden", "reason": "no"}
    couch.cluster.answers.append((201, [row]))
    with pytest.raises(Unavailable, match="refuses a document: forbidden"):
        await couch.documents().put("a", {})


@pytest_twisted.ensureDeferred
async def test_a_missing_database_is_not_a_missing_document(couch: Couch) -> None:
    del couch.cluster.stores["oose-peer"]
    with pytest.raises(Unavailable, match="oose couchdb setup"):
        await couch.documents().get("a")


def test_a_revision_that_is_none_has_no_generation() -> None:
    assert writing.generation("garbage") == 0
    assert writing.generation("12-abc") == 12


# Changes


@pytest_twisted.ensureDeferred
async def test_who_waits_is_answered_when_couchdb_says_that_nothing_came(couch: Couch) -> None:
    documents = couch.documents()
    since = (await documents.changes(None, 0)).since
    changes = await documents.changes(since, 0.01)
    assert (list(changes.ids), changes.is_whole) == ([], True)


@pytest_twisted.ensureDeferred
async def test_a_server_that_says_nothing_is_asked_whether_it_is_there(couch: Couch) -> None:
    documents = couch.documents()
    since = (await documents.changes(None, 0)).since
    fault = couch.proxy.next(Silence())
    waiting = begun(documents.changes(since, 25))
    await fault.struck
    couch.clock.advance(25.5)
    changes = await waiting
    assert (changes.since, list(changes.ids), changes.is_whole) == (since, [], True)


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there_is_away(couch: Couch) -> None:
    documents = couch.documents()
    since = (await documents.changes(None, 0)).since
    first, second = Silence(), Silence()
    couch.proxy.next(first, second)
    waiting = begun(documents.changes(since, 25))
    await first.struck
    couch.clock.advance(25.5)
    await couch.late(waiting, second.struck)
    with pytest.raises(Unavailable, match="does not answer"):
        await waiting


@pytest.mark.parametrize("fault", [ResetBefore, ResetAfter])
@pytest_twisted.ensureDeferred
async def test_what_came_while_the_feed_was_broken_is_told(
    couch: Couch, fault: type[Fault]
) -> None:
    documents = couch.documents()
    since = (await documents.changes(None, 0)).since
    couch.proxy.next(fault())
    with pytest.raises(Unavailable):
        await documents.changes(since, 0.01)
    await put(couch, "a", {})
    changes = await documents.changes(since, 25)
    assert (list(changes.ids), changes.is_whole) == (["a"], True)


@pytest_twisted.ensureDeferred
async def test_a_database_made_anew_is_not_whole(couch: Couch) -> None:
    documents = couch.documents()
    for name in ("a", "b", "c"):
        await put(couch, name, {})
    since = (await documents.changes(None, 0)).since
    waiting = begun(documents.changes(since, 25))
    while not couch.cluster.stores["oose-peer"].waiting:
        await couch.client.ask("GET", "/_session")
    couch.cluster.make_anew("oose-peer")
    changes = await waiting
    assert not changes.is_whole
    await put(couch, "d", {})
    assert list((await documents.changes(changes.since, 25)).ids) == ["d"]


@pytest_twisted.ensureDeferred
async def test_a_database_made_anew_while_the_feed_was_broken_is_not_whole(couch: Couch) -> None:
    documents = couch.documents()
    since = (await documents.changes(None, 0)).since
    couch.proxy.next(ResetBefore())
    with pytest.raises(Unavailable):
        await documents.changes(since, 25)
    couch.cluster.make_anew("oose-peer")
    await put(couch, "a", {})
    assert not (await documents.changes(since, 25)).is_whole


@pytest_twisted.ensureDeferred
async def test_a_database_made_anew_is_found_where_the_server_waits_for_its_old_position(
    couch: Couch,
) -> None:
    documents = couch.documents()
    await put(couch, "a", {})
    since = (await documents.changes(None, 0)).since
    fault = couch.proxy.next(Silence())
    waiting = begun(documents.changes(since, 25))
    await fault.struck
    couch.cluster.make_anew("oose-peer")
    couch.clock.advance(25.5)
    assert not (await waiting).is_whole
