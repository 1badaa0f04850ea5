"""Logins that CouchDB judges, and users that it keeps."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose.accounts import Account
from oose.couchdb import CouchAccounts
from oose.couchdb.accounts import let_in, shut_out
from oose.errors import BadInput, Conflict, NotAllowed, NotFound, TooManyAttempts, Unavailable
from tests.couchdb_double import ACCOUNT, ADMIN, PASSWORD
from tests.fault_proxy import Fault, ResetAfter, Silence
from tests.unit.couches import Couch, couch_at

FLOOR = 0.6


@pytest_twisted.async_yield_fixture
async def couch() -> AsyncIterator[Couch]:
    async with couch_at() as couch:
        couch.cluster.users["ann"] = "correct horse"
        yield couch


@pytest.fixture
def accounts(couch: Couch) -> CouchAccounts:
    return CouchAccounts(couch.client, couch.clock, service=ACCOUNT)


def begun(work: Any) -> "Deferred[Any]":
    return Deferred.fromCoroutine(work)


async def refused(couch: Couch, accounts: CouchAccounts, name: str, password: str) -> bool:
    """What a refusal is after its least time, and that it does not come before."""
    end = couch.clock.seconds() + FLOOR
    verifying = begun(accounts.verify(name, password))
    while not any(abs(each.getTime() - end) < 0.01 for each in couch.clock.getDelayedCalls()):
        await couch.client.ask("GET", "/_session")
    assert not verifying.called
    couch.clock.advance(FLOOR - 0.1)
    assert not verifying.called
    couch.clock.advance(0.11)
    answer: bool = await verifying
    return answer


# Logins


@pytest_twisted.ensureDeferred
async def test_a_password_is_right_at_once(accounts: CouchAccounts, couch: Couch) -> None:
    assert await accounts.verify("ann", "correct horse")
    assert couch.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "wrong"), ("ann", ""), ("nobody", "wrong"), ("", ""), ("\ud800", "x"), ("a:b", "x")],
)
@pytest_twisted.ensureDeferred
async def test_refusals_all_take_the_same_time(
    accounts: CouchAccounts, couch: Couch, name: str, password: str
) -> None:
    assert not await refused(couch, accounts, name, password)


@pytest_twisted.ensureDeferred
async def test_nobody_logs_in_as_oose_itself_nor_locks_it_out(
    accounts: CouchAccounts, couch: Couch
) -> None:
    for password in (PASSWORD, *["wrong"] * 9):
        assert not await refused(couch, accounts, ACCOUNT, password)
    await couch.client.ask("GET", "/oose-peer")
    assert not [each for each in couch.cluster.asked if each.startswith("POST")]


@pytest_twisted.ensureDeferred
async def test_who_is_locked_out_is_told_so(accounts: CouchAccounts, couch: Couch) -> None:
    for _ in range(5):
        assert not await refused(couch, accounts, "ann", "wrong")
    with pytest.raises(TooManyAttempts, match="Too many") as caught:
        await refused(couch, accounts, "ann", "correct horse")
    assert caught.value.retry_after == 300


@pytest_twisted.ensureDeferred
async def test_a_login_is_not_possible_while_couchdb_is_away(
    accounts: CouchAccounts, couch: Couch
) -> None:
    fault = couch.proxy.next(Silence())
    verifying = begun(accounts.verify("ann", "correct horse"))
    await couch.late(verifying, fault.struck)
    with pytest.raises(Unavailable):
        await verifying


@pytest.mark.parametrize("value", [{}, [], {"ok": "true"}, {"ok": False}, {"error": "x"}])
@pytest_twisted.ensureDeferred
async def test_nobody_is_let_in_by_what_is_no_couchdb(
    accounts: CouchAccounts, couch: Couch, value: object
) -> None:
    couch.cluster.answers.append((200, value))
    with pytest.raises(Unavailable, match="cannot be understood"):
        await accounts.verify("ann", "wrong")


# Users


@pytest_twisted.async_yield_fixture
async def managed(couch: Couch) -> AsyncIterator[tuple[CouchAccounts, list[str]]]:
    """Accounts, and the names of those whose sessions were ended."""
    ended: list[str] = []

    async def end(username: str) -> None:
        ended.append(username)

    client = couch.as_admin()
    couch.cluster.make("_users")
    yield CouchAccounts(client, couch.clock, service=ACCOUNT, end_sessions=end), ended
    await client.close()


Managed = tuple[CouchAccounts, list[str]]


@pytest_twisted.ensureDeferred
async def test_without_an_administrators_account_nothing_is_changed(
    accounts: CouchAccounts, couch: Couch
) -> None:
    for work in (
        accounts.list(),
        accounts.add("eve", "a password", 0),
        accounts.set_password("ann", "a password"),
        accounts.set_enabled("ann", enabled=False),
        accounts.remove("ann"),
    ):
        with pytest.raises(NotAllowed, match="OOSE_COUCHDB_ADMIN"):
            await work
    couch.cluster.users[ACCOUNT] = "changed"
    with pytest.raises(NotAllowed, match="does not know this account"):
        await accounts.list()


@pytest_twisted.ensureDeferred
async def test_a_right_that_is_revoked_meanwhile_is_told(managed: Managed, couch: Couch) -> None:
    accounts, _ = managed
    session = {"userCtx": {"name": ADMIN, "roles": ["_admin"]}}
    couch.cluster.answers += [(200, session), (403, {"error": "forbidden"})]
    with pytest.raises(NotAllowed):
        await accounts.list()


@pytest_twisted.ensureDeferred
async def test_names_that_couchdb_or_oose_needs_are_refused(managed: Managed) -> None:
    accounts, _ = managed
    with pytest.raises(BadInput, match="begins with _"):
        await accounts.add("_ann", "a password", 0)
    with pytest.raises(Conflict):
        await accounts.add(ACCOUNT, "a password", 0)
    with pytest.raises(NotFound):
        await accounts.remove(ACCOUNT)


@pytest_twisted.ensureDeferred
async def test_oose_itself_is_not_among_the_users(managed: Managed, couch: Couch) -> None:
    accounts, _ = managed
    rows = [{"id": f"org.couchdb.user:{name}", "doc": {"name": name}} for name in ("ann", ACCOUNT)]
    session = {"userCtx": {"name": ADMIN, "roles": ["_admin"]}}
    couch.cluster.answers += [(200, session), (200, {"rows": rows})]
    assert await accounts.list() == [Account("ann", True, 0)]


@pytest_twisted.ensureDeferred
async def test_a_change_that_others_make_too_is_made_after_theirs(
    managed: Managed, couch: Couch
) -> None:
    accounts, ended = managed
    session = {"userCtx": {"name": ADMIN, "roles": ["_admin"]}}
    user = {"_id": "org.couchdb.user:ann", "_rev": "1-a", "name": "ann", "derived_key": "ab"}
    conflict = (409, {"error": "conflict"})
    couch.cluster.answers += [(200, session), (200, user), conflict, (200, user), (201, {})]
    await accounts.set_enabled("ann", enabled=False)
    assert ended == ["ann"]
    couch.cluster.answers += [(200, session), *[(200, user), conflict] * 3]
    with pytest.raises(Unavailable, match="at the same time"):
        await accounts.set_password("ann", "a password")


@pytest_twisted.ensureDeferred
async def test_a_user_who_is_shut_out_gets_no_new_password(managed: Managed, couch: Couch) -> None:
    accounts, _ = managed
    session = {"userCtx": {"name": ADMIN, "roles": ["_admin"]}}
    user = shut_out({"_rev": "1-a", "name": "ann", "derived_key": "ab" * 20})
    couch.cluster.answers += [(200, session), (200, user)]
    with pytest.raises(Conflict, match="let them in"):
        await accounts.set_password("ann", "a password")


@pytest_twisted.ensureDeferred
async def test_a_change_whose_answer_is_lost_is_not_taken_for_made(
    managed: Managed, couch: Couch
) -> None:
    accounts, ended = managed
    session = {"userCtx": {"name": ADMIN, "roles": ["_admin"]}}
    user = {"_rev": "1-a", "name": "ann", "derived_key": "ab"}
    couch.cluster.answers += [(200, session), (200, user), (201, {})]
    couch.proxy.next(Fault(), Fault(), ResetAfter())
    with pytest.raises(Unavailable):
        await accounts.set_enabled("ann", enabled=False)
    assert ended == []


@pytest.mark.parametrize("name", ["derived_key", "password_sha"])
def test_shutting_out_hides_the_key_and_letting_in_brings_it_back(name: str) -> None:
    user = {"name": "ann", "salt": "s", name: "ab" * 20}
    out = shut_out(user)
    assert out[name] != user[name]
    assert len(out[name]) == 40
    assert shut_out(out) is out
    assert let_in(out) == user
    assert let_in(user) is user
