"""The embedded database forgets what is over when it is told to; Redis does it by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted

from oose.embedded import EmbeddedDatabase, EmbeddedPurchases, EmbeddedSessions
from oose.pool import Inline
from oose.purchases import Purchase, Session

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
