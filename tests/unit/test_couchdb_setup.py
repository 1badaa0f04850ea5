"""Databases, rights and the account, made where they are missing."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from oose.couchdb import CouchClient, Prepared, ensure_databases, prepare
from oose.couchdb.index import DESIGN, DOCUMENT
from oose.errors import NotAllowed, Unavailable
from tests.couchdb_double import ACCOUNT, ADMIN
from tests.unit.couches import NAMES, Couch, couch_at
from tests.unit.logged import logged

MEMBERS = {"names": [ACCOUNT], "roles": ["_admin"]}


@pytest_twisted.async_yield_fixture
async def couch() -> AsyncIterator[Couch]:
    async with couch_at() as couch:
        yield couch


@pytest_twisted.async_yield_fixture
async def admin(couch: Couch) -> AsyncIterator[CouchClient]:
    client = couch.as_admin()
    yield client
    await client.close()


@pytest_twisted.ensureDeferred
async def test_what_is_there_costs_a_question_each(couch: Couch, admin: CouchClient) -> None:
    await ensure_databases(admin)
    assert await ensure_databases(couch.client) == ()
    assert couch.client.requests == 5


@pytest_twisted.ensureDeferred
async def test_an_account_that_may_not_make_databases_does_not_try(couch: Couch) -> None:
    del couch.cluster.stores["oose-peer"]
    with pytest.raises(Unavailable, match=r"oose-peer,.* `oose couchdb setup`"):
        await ensure_databases(couch.client)
    assert not [each for each in couch.cluster.asked if each.startswith("PUT")]


@pytest_twisted.ensureDeferred
async def test_an_administrators_account_makes_what_is_missing(
    couch: Couch, admin: CouchClient
) -> None:
    couch.cluster.stores.clear()
    assert await ensure_databases(admin) == NAMES
    rights = [couch.cluster.stores[name].security["members"] for name in NAMES]
    assert rights == [{"names": [ADMIN], "roles": ["_admin"]}] * 4


@pytest_twisted.ensureDeferred
async def test_a_database_that_another_makes_meanwhile_is_as_good(
    couch: Couch, admin: CouchClient
) -> None:
    missing = (404, {"error": "not_found", "reason": "no_db_file"})
    couch.cluster.answers += [missing] * 4
    assert await ensure_databases(admin) == NAMES


@pytest_twisted.ensureDeferred
async def test_rights_are_given_beside_those_that_others_have(
    couch: Couch, admin: CouchClient
) -> None:
    couch.cluster.make("_users")
    store = couch.cluster.stores["oose-peer"]
    admins = {"names": ["boss"], "roles": []}
    store.security = {"admins": admins, "members": {"names": ["backup"], "roles": ["ops"]}}
    assert await prepare(admin, couch.settings) == Prepared((), False, True)
    assert store.security == {
        "admins": admins,
        "members": {"names": ["backup", ACCOUNT], "roles": ["ops"]},
    }
    assert couch.cluster.stores["oose-content"].security["members"] == MEMBERS
    asked = len(couch.cluster.asked)
    await prepare(admin, couch.settings)
    assert not [each for each in couch.cluster.asked[asked:] if each.startswith("PUT")]


@pytest_twisted.ensureDeferred
async def test_rights_that_others_change_meanwhile_are_read_again(
    couch: Couch, admin: CouchClient
) -> None:
    there: list[tuple[int, object]] = [(200, {})] * 4
    session = (200, {"userCtx": {"name": ADMIN, "roles": ["_admin"]}})
    conflict = (409, {"error": "conflict"})
    nobody: tuple[int, object] = (200, {"members": {}})
    settings = admin.settings
    couch.cluster.answers += [session, *there, nobody, conflict]
    await prepare(admin, settings)
    couch.cluster.answers += [session, *there, *[nobody, conflict] * 3]
    with pytest.raises(Unavailable, match="at the same time"):
        await prepare(admin, settings)


@pytest_twisted.ensureDeferred
async def test_the_account_is_made_or_gets_its_password(couch: Couch, admin: CouchClient) -> None:
    """What CouchDB makes of a user's password, the compatible server shows in other tests."""
    couch.cluster.users[ACCOUNT] = "another"
    assert (await prepare(admin, couch.settings)).account
    put = [each for each in couch.cluster.asked if each.startswith("PUT /_users/")]
    assert put == [f"PUT /_users/org.couchdb.user%3A{ACCOUNT}"]
    assert couch.cluster.stores["_users"].live(f"org.couchdb.user:{ACCOUNT}") is not None
    assert (await prepare(admin, couch.settings)).account


# The index


@pytest_twisted.ensureDeferred
async def test_an_account_that_may_not_make_the_index_goes_on_without(couch: Couch) -> None:
    with logged("warn") as warnings:
        assert await ensure_databases(couch.client) == ()
    (warning,) = warnings
    assert "`oose couchdb setup` makes it" in warning
    assert not [each for each in couch.cluster.asked if each.startswith("PUT")]


@pytest_twisted.ensureDeferred
async def test_an_index_of_another_version_is_made_anew(couch: Couch, admin: CouchClient) -> None:
    couch.cluster.make("_users")
    await couch.documents("inventory").put("_design/oose", {"views": {}})
    with logged("warn") as warnings:
        await ensure_databases(couch.client)
        await ensure_databases(admin)
        await ensure_databases(couch.client)
    assert len(warnings) == 1
    found = couch.cluster.stores["oose-inventory"].live(DOCUMENT)
    assert found is not None
    assert found.body == DESIGN
    assert await prepare(admin, couch.settings) == Prepared((), False, False)
    await couch.documents("inventory").put("_design/oose", {}, found.rev)
    assert await prepare(admin, couch.settings) == Prepared((), False, True)


@pytest_twisted.ensureDeferred
async def test_an_index_that_others_make_meanwhile_is_as_good(
    couch: Couch, admin: CouchClient
) -> None:
    there: list[tuple[int, object]] = [(200, {})] * 4
    missing = (404, {"error": "not_found", "reason": "missing"})
    session = (200, {"userCtx": {"name": ADMIN, "roles": ["_admin"]}})
    conflict = (409, {"error": "conflict"})
    ours = (200, {"_id": DOCUMENT, "_rev": "1-x", **DESIGN})
    couch.cluster.answers += [*there, missing, session, missing, conflict, ours]
    assert await ensure_databases(admin) == ()
    couch.cluster.answers += [*there, missing, session, *[missing, conflict] * 3]
    with pytest.raises(Unavailable, match="index in CouchDB at the same time"):
        await ensure_databases(admin)


@pytest_twisted.ensureDeferred
async def test_setup_is_for_administrators(couch: Couch) -> None:
    with pytest.raises(NotAllowed, match="administrator"):
        await prepare(couch.client, couch.settings)
    couch.cluster.users[ACCOUNT] = "changed"
    with pytest.raises(NotAllowed, match="administrator"):
        await prepare(couch.client, couch.settings)
