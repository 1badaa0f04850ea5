"""The embedded database forgets what is over when it is told to; Redis does it by itself."""

from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose.embedded import EmbeddedDatabase, EmbeddedPurchases, EmbeddedSessions
from oose.embedded import purchases as purchases_here
from oose.pool import Inline
from oose.purchases import Purchase, Session
from tests.unit.by_hand import ByHand

NOW = 1_700_000_000_000


@pytest_twisted.async_yield_fixture
async def database(tmp_path: Path) -> AsyncIterator[EmbeddedDatabase]:
    database = EmbeddedDatabase(tmp_path / "x.sqlite", writer=Inline(), readers=Inline())
    await database.open()
    yield database
    await database.close()


@pytest_twisted.ensureDeferred
async def test_an_expired_purchase_is_found_until_it_is_pruned(database: EmbeddedDatabase) -> None:
    purchases = EmbeddedPurchases(database)
    early, just, late = (
        Purchase(name * 64, "a" * 40, "mp4", ("localhost",), 1, when)
        for name, when in (("e", NOW - 1), ("j", NOW), ("l", NOW + 1))
    )
    for each in (early, just, late):
        await purchases.add(each)
    assert await purchases.find(early.token) == early
    assert await purchases.prune(NOW) == 1
    assert await purchases.find(early.token) is None
    assert await purchases.find(just.token) == just
    assert await purchases.find(late.token) == late
    assert await purchases.prune(NOW) == 0
    assert await purchases.prune(NOW + 2) == 2


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
@pytest_twisted.ensureDeferred
async def test_many_are_pruned_a_few_at_a_time_and_others_have_their_turn_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(purchases_here, "GONE_AT_ONCE", 2)
    writer = ByHand()
    database = EmbeddedDatabase(tmp_path / "x.sqlite", writer=writer, readers=Inline())
    await done(writer, database.open())
    purchases = EmbeddedPurchases(database)
    old = [Purchase(f"{n}", "a" * 40, "mp4", (), 1, NOW - 1 - n) for n in range(count)]
    for each in (*old, Purchase("new", "a" * 40, "mp4", (), 1, NOW)):
        await done(writer, purchases.add(each))
    pruning = Deferred.fromCoroutine(purchases.prune(NOW))
    selling = Deferred.fromCoroutine(purchases.add(Purchase("sold", "a" * 40, "mp4", (), 1, NOW)))
    rounds = 0
    while writer.waiting:
        writer.waiting.pop(0).callback(None)
        rounds += 1
    assert rounds == max(2, count // 2 + 1)
    assert selling.called
    assert await pruning == count
    assert sorted(await purchases.of("a" * 40)) == ["new", "sold"]
    await done(writer, database.close())


async def done(pool: ByHand, work: Coroutine[Any, Any, None]) -> None:
    """Let `work` have what it needs of a pool."""
    doing = Deferred.fromCoroutine(work)
    pool.do_all()
    await doing


@pytest_twisted.ensureDeferred
async def test_ended_sessions_are_forgotten(database: EmbeddedDatabase) -> None:
    sessions = EmbeddedSessions(database)
    await database.write(
        lambda c: c.execute("INSERT INTO accounts VALUES ('ann', '', 1, 0)").rowcount
    )
    for number, expires in enumerate((NOW - 1, NOW, NOW + 1)):
        await sessions.add(Session(str(number), "ann", "::1", NOW, expires))
    assert await sessions.prune(NOW) == 2
    assert await sessions.prune(NOW) == 0
    assert await sessions.find("2", NOW) is not None
    assert await sessions.find("1", NOW - 10) is None
