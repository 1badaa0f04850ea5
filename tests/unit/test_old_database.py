"""A 2.0.x database in a CouchDB, read page by page."""

from collections.abc import AsyncIterator, Iterable

import pytest
import pytest_twisted
from attrs import evolve

from oose.errors import NotAllowed, NotFound, Unavailable
from oose.moving.old_database import OldDatabase
from oose.moving.old_source import OldRow, Page
from tests.couchdb_double import Leaf
from tests.generated_2x import everything
from tests.unit.couches import Couch, client_at, couch_at


@pytest_twisted.async_yield_fixture
async def couch() -> AsyncIterator[Couch]:
    async with couch_at() as couch:
        couch.cluster.make("films")
        yield couch


def old(couch: Couch, prefix: str = "oose") -> OldDatabase:
    return OldDatabase(couch.client, "films", prefix)


async def pages(database: OldDatabase) -> list[Page]:
    found: list[Page] = []
    while True:
        last = found[-1] if found else Page([], "", 0)
        page = await database.after(last.position or None, last.passed)
        if page is None:
            return found
        found.append(page)


@pytest_twisted.ensureDeferred
async def test_its_documents_come_in_the_order_of_their_ids(couch: Couch) -> None:
    made = {each.id: each.body for each in everything(600)}
    for document_id, body in made.items():
        couch.cluster.stores["films"].leaves[document_id] = [Leaf("1-a", body)]
    found = await pages(old(couch))
    assert [len(page.rows) for page in found] == [1000, len(ours := in_order(made)) - 1000]
    assert [row for page in found for row in page.rows] == [OldRow(n, made[n]) for n in ours]
    assert found[-1].passed == len(ours)


def in_order(made: Iterable[str]) -> list[str]:
    return sorted(each for each in made if each.startswith("oose:"))


@pytest_twisted.ensureDeferred
async def test_another_prefix_has_other_documents(couch: Couch) -> None:
    couch.cluster.stores["films"].leaves["oose:prism:p"] = [Leaf("1-a", {})]
    assert await pages(old(couch, "other")) == []
    assert old(couch).name != old(couch, "other").name


@pytest_twisted.ensureDeferred
async def test_its_size_is_that_of_its_database(couch: Couch) -> None:
    couch.cluster.answers.append((200, {"doc_count": 7}))
    assert await old(couch).size() == 7
    couch.cluster.answers.append((200, {"ok": True}))
    with pytest.raises(Unavailable):
        await old(couch).size()


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_not_there_is_said(couch: Couch) -> None:
    with pytest.raises(NotFound, match="no database 'none' at http"):
        await OldDatabase(couch.client, "none", "oose").size()


@pytest_twisted.ensureDeferred
async def test_nobody_asks_without_an_account(couch: Couch) -> None:
    client = client_at(evolve(couch.settings, username="", password=""), couch.clock)
    with pytest.raises(NotAllowed, match="does not let this account read 'films'"):
        await OldDatabase(client, "films", "oose").size()
    await client.close()
