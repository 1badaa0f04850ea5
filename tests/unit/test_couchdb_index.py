"""What stores have, from CouchDB's index; and without it where that is missing or behind."""

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose.couchdb import CouchInventory, ensure_databases, index, inventory, reading
from oose.errors import Unavailable
from oose.metadata.documents import Held, Write
from tests.fault_proxy import Fault, LostAnswer, ResetAfter, Silence
from tests.unit.couches import Couch, couch_at
from tests.unit.logged import logged

VIEW = "/oose-inventory/_design/oose/_view/held"
RANGE = "/oose-inventory/_all_docs"
WITHOUT = "What stores have is found without CouchDB's index for now: it is not there (missing)"
OWN = [f"{n:04x}" for n in range(0, 60, 3)]


@pytest_twisted.async_yield_fixture
async def couch() -> AsyncIterator[Couch]:
    """With records of three stores, and the index."""
    async with couch_at() as couch:
        admin = couch.as_admin()
        await ensure_databases(admin)
        await admin.close()
        writes = [Write(f"{n:04x}:p1:s{n % 3}", {"size": n}) for n in range(60)]
        await couch.documents("inventory").put_many(writes)
        yield couch


@pytest_twisted.async_fixture
async def clones(couch: Couch) -> CouchInventory:
    clones = CouchInventory(couch.client)
    await clones.held("p1:s0", limit=1)
    couch.cluster.asked.clear()
    return clones


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "PAGE", 4)
    monkeypatch.setattr(reading, "PAGE", 4)


def hashes(found: Sequence[Held]) -> list[str]:
    return [each.hash for each in found]


def ways(couch: Couch) -> list[str]:
    """By which way each question was answered since the last time."""
    ways = [each.split()[1].partition("?")[0] for each in couch.cluster.asked]
    couch.cluster.asked.clear()
    return ways


@pytest_twisted.ensureDeferred
async def test_a_page_of_records_is_one_question_to_the_index(
    couch: Couch, clones: CouchInventory
) -> None:
    assert hashes(await clones.held("p1:s0")) == OWN
    assert ways(couch) == [VIEW]
    assert hashes(await clones.held("p1:s0", after=OWN[3], limit=5)) == OWN[4:9]
    assert ways(couch) == [VIEW]


@pytest_twisted.ensureDeferred
async def test_whether_the_server_is_couchdb_is_asked_once(couch: Couch) -> None:
    couch.cluster.asked.clear()
    clones = CouchInventory(couch.client)
    for _ in range(2):
        assert hashes(await clones.held("p1:s0")) == OWN
    assert ways(couch) == ["/", VIEW, VIEW]
    couch.cluster.answers.append((200, {"express-pouchdb": "Welcome!"}))
    clones = CouchInventory(couch.client)
    for _ in range(2):
        assert hashes(await clones.held("p1:s0")) == OWN
    assert ways(couch) == ["/", RANGE, RANGE]


@pytest_twisted.ensureDeferred
async def test_where_there_can_be_none_nobody_is_asked(
    couch: Couch, clones: CouchInventory
) -> None:
    assert list(await clones.held("p1:s0", "00", after="01")) == []
    assert list(await clones.held("p1:s0", limit=0)) == []
    assert ways(couch) == []


@pytest.mark.usefixtures("small_pages")
@pytest_twisted.ensureDeferred
async def test_many_come_in_several_answers(couch: Couch, clones: CouchInventory) -> None:
    assert hashes(await clones.held("p1:s0")) == OWN
    assert ways(couch) == [VIEW] * 6
    assert hashes(await clones.held("p1:s0", limit=6)) == OWN[:6]
    assert [each.rpartition("=")[2] for each in couch.cluster.asked] == ["4", "2"]


# Without the index


@pytest_twisted.ensureDeferred
async def test_without_an_index_all_records_are_looked_through(
    couch: Couch, clones: CouchInventory
) -> None:
    design = couch.cluster.stores["oose-inventory"].leaves.pop("_design/oose")
    with logged("info") as said:
        for _ in range(2):
            assert hashes(await clones.held("p1:s0")) == OWN
            couch.clock.advance(index.AGAIN / 2)
        assert ways(couch) == [VIEW, RANGE, RANGE]
        assert hashes(await clones.held("p1:s0")) == OWN
        assert ways(couch) == [VIEW, RANGE]
        assert [each for each in said if each.startswith("What")] == [WITHOUT]
        couch.cluster.stores["oose-inventory"].leaves["_design/oose"] = design
        couch.clock.advance(index.AGAIN)
        assert hashes(await clones.held("p1:s0")) == OWN
        assert ways(couch) == [VIEW]
        couch.cluster.stores["oose-inventory"].leaves.pop("_design/oose")
        await clones.held("p1:s0")
        assert [each for each in said if each.startswith("What")] == [WITHOUT] * 2


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("limit", [None, 4, 5, 19, 20, 99])
@pytest_twisted.ensureDeferred
async def test_an_index_that_fails_on_the_way_is_done_without_from_there_on(
    couch: Couch, clones: CouchInventory, limit: int | None
) -> None:
    timeout = {"error": "timeout", "reason": "The request could not be processed in a ... time."}
    first = await clones.held("p1:s0", limit=4)
    rows = [
        {"id": f"{e.hash}:p1:s0", "key": ["p1:s0", f"{e.hash}:p1:s0"], "value": value(e)}
        for e in first
    ]
    couch.cluster.answers += [(200, {"rows": rows}), (500, timeout)]
    assert hashes(await clones.held("p1:s0", limit=limit)) == OWN[:limit]


def value(each: Held) -> list[object]:
    return [each.rev, each.relative_path, each.size, each.created, each.verified]


@pytest_twisted.ensureDeferred
async def test_an_index_that_is_far_behind_is_waited_for_and_then_done_without(
    couch: Couch, clones: CouchInventory
) -> None:
    with logged("error") as errors:
        waits = [index.PATIENCE, index.SHORT_PATIENCE, index.SHORT_PATIENCE]
        for patience in waits:
            await is_late(couch, clones, patience)
            assert ways(couch)[-1] == RANGE
            assert hashes(await clones.held("p1:s0")) == OWN
            assert ways(couch) == [RANGE]
            couch.clock.advance(index.AGAIN)
        assert hashes(await clones.held("p1:s0")) == OWN
        assert ways(couch) == [VIEW]
        await is_late(couch, clones, index.PATIENCE)
    assert errors == []


async def is_late(couch: Couch, clones: CouchInventory, patience: float) -> None:
    """The index does not answer for so long, while others find CouchDB as it ever was."""
    fault = Silence()
    couch.proxy.script.append(fault)
    asking = Deferred.fromCoroutine(clones.held("p1:s0"))
    await fault.struck
    couch.clock.advance(patience - 0.01)
    assert not asking.called
    couch.client.refuse_if_away()
    assert await clones.get("0000:p1:s0") is not None
    couch.clock.advance(0.01)
    assert hashes(await asking) == OWN
    couch.client.refuse_if_away()


@pytest_twisted.ensureDeferred
async def test_a_connection_that_breaks_while_the_index_is_built_is_no_harm(
    couch: Couch, clones: CouchInventory
) -> None:
    for fault in (ResetAfter(), ResetAfter()):
        couch.proxy.script.append(fault)
        assert hashes(await clones.held("p1:s0")) == OWN
        assert ways(couch) == [VIEW, RANGE]
        couch.client.refuse_if_away()
        couch.clock.advance(index.AGAIN)


@pytest_twisted.ensureDeferred
async def test_where_couchdb_is_away_that_is_said(couch: Couch, clones: CouchInventory) -> None:
    faults: list[Fault] = [ResetAfter(), LostAnswer()]
    couch.proxy.script.extend(faults)
    asking = Deferred.fromCoroutine(clones.held("p1:s0"))
    await couch.late(asking, faults[-1].struck)
    with pytest.raises(Unavailable, match="does not answer"):
        await asking
    with pytest.raises(Unavailable, match="away for now"):
        await clones.held("p1:s0")
    couch.clock.advance(1)
    assert hashes(await clones.held("p1:s0")) == OWN


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"rows": 7},
        {"rows": [{}]},
        {"rows": [{"key": 7, "value": 7}]},
        {"rows": [{"key": ["p1:s0"], "value": []}]},
        {"rows": [{"key": ["p1:s0", "a"], "value": [None] * 5}]},
        {"rows": [{"key": ["p1:s0", 7], "value": ["1-x", None, None, None, None]}]},
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_answer_of_another_shape_is_no_answer(
    couch: Couch, clones: CouchInventory, value: object
) -> None:
    couch.cluster.answers.append((200, value))
    with pytest.raises(Unavailable, match="cannot be understood"):
        await clones.held("p1:s0")
