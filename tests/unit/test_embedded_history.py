"""Who hears of what is written to the embedded database, and when."""

from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from oose.embedded import EmbeddedDatabase, EmbeddedDocuments
from oose.embedded import history as module
from oose.embedded.database import FILE_NAME
from oose.errors import Unavailable
from oose.metadata.documents import Changes
from oose.pool import Inline
from tests.unit.by_hand import ByHand

T = TypeVar("T")


def begun(work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(work)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_twisted.async_yield_fixture
async def database(tmp_path: Path, clock: Clock) -> AsyncIterator[EmbeddedDatabase]:
    here = Inline()
    database = EmbeddedDatabase(tmp_path / FILE_NAME, writer=here, readers=here, clock=clock)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def documents(database: EmbeddedDatabase) -> EmbeddedDocuments:
    return EmbeddedDocuments(database, "peer")


async def here(documents: EmbeddedDocuments) -> str:
    return (await documents.changes(None, 0)).since


@pytest_twisted.ensureDeferred
async def test_who_waits_hears_when_the_time_is_over(
    documents: EmbeddedDocuments, clock: Clock
) -> None:
    since = await here(documents)
    waiting = begun(documents.changes(since, 25))
    clock.advance(24)
    assert not waiting.called
    clock.advance(1)
    assert await waiting == Changes(since, [])
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_all_who_wait_hear_of_a_write_at_once(
    documents: EmbeddedDocuments, clock: Clock
) -> None:
    since = await here(documents)
    waiting = [begun(documents.changes(since, 25)) for _ in range(3)]
    await documents.put("a", {})
    for each in waiting:
        assert (await each).ids == ["a"]
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_write_that_is_stale_is_none(documents: EmbeddedDocuments, clock: Clock) -> None:
    await documents.put("a", {})
    waiting = begun(documents.changes(await here(documents), 25))
    await documents.put("a", {})
    assert not waiting.called
    clock.advance(25)
    assert (await waiting).ids == []


@pytest_twisted.ensureDeferred
async def test_nobody_hears_of_a_write_before_it_is_durable(tmp_path: Path, clock: Clock) -> None:
    """And they do although whoever wrote has left."""
    writer = ByHand()
    database = EmbeddedDatabase(tmp_path / FILE_NAME, writer=writer, readers=Inline(), clock=clock)
    opening = begun(database.open())
    writer.do_all()
    await opening
    documents = EmbeddedDocuments(database, "peer")
    waiting = begun(documents.changes(await here(documents), 25))
    writing = begun(documents.put("a", {}))
    assert not waiting.called
    writing.cancel()
    with pytest.raises(CancelledError):
        await writing
    writer.do_all()
    assert (await waiting).ids == ["a"]
    closing = begun(database.close())
    writer.do_all()
    await closing


@pytest_twisted.ensureDeferred
async def test_who_leaves_is_not_waited_for(documents: EmbeddedDocuments, clock: Clock) -> None:
    waiting = begun(documents.changes(await here(documents), 25))
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    assert clock.getDelayedCalls() == []
    assert isinstance(await documents.put("a", {}), str)


@pytest_twisted.ensureDeferred
async def test_more_than_is_remembered_is_not_whole(
    documents: EmbeddedDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = await here(documents)
    monkeypatch.setattr(module, "MOST", 2)
    history = module.History(None)
    begin = (await history.after(None, 0)).since
    history.note(["a", "b"])
    assert (await history.after(begin, 0)).ids == ["a", "b"]
    history.note(["a"])
    changes = await history.after(begin, 0)
    assert (changes.ids, changes.is_whole) == ((), False)
    assert (await history.after(changes.since, 0)) == Changes(changes.since, [])
    assert not (await history.after(since, 0)).is_whole


@pytest.mark.parametrize("since", ["", "x", "x-0", "{life}-99", "{life}-x", "{life}"])
@pytest_twisted.ensureDeferred
async def test_what_is_no_place_in_it_is_not_whole(
    documents: EmbeddedDocuments, since: str
) -> None:
    now = await here(documents)
    changes = await documents.changes(since.format(life=now.partition("-")[0]), 25)
    assert changes == Changes(now, (), is_whole=False)


@pytest_twisted.ensureDeferred
async def test_a_database_that_closes_keeps_nobody_waiting(tmp_path: Path, clock: Clock) -> None:
    inline = Inline()
    database = EmbeddedDatabase(tmp_path / FILE_NAME, writer=inline, readers=inline, clock=clock)
    await database.open()
    documents = EmbeddedDocuments(database, "peer")
    since = await here(documents)
    waiting = begun(documents.changes(since, 25))
    await database.close()
    assert await waiting == Changes(since, [])
    with pytest.raises(Unavailable, match="closed"):
        await documents.changes(since, 25)


@pytest_twisted.ensureDeferred
async def test_without_a_clock_nobody_waits(tmp_path: Path) -> None:
    inline = Inline()
    database = EmbeddedDatabase(tmp_path / FILE_NAME, writer=inline, readers=inline)
    await database.open()
    documents = EmbeddedDocuments(database, "peer")
    since = await here(documents)
    assert await documents.changes(since, 25) == Changes(since, [])
    await database.close()


@pytest_twisted.ensureDeferred
async def test_ids_are_in_the_order_of_their_bytes_whatever_their_letters(
    documents: EmbeddedDocuments,
) -> None:
    in_order = ["a", "é", "\uffee", "\U0001f39e"]
    for each in reversed(in_order):
        await documents.put(each, {})
    found = await documents.range("", "\U0010ffff")
    assert [each.id for each in found] == in_order
