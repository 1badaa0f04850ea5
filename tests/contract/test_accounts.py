"""The contract of `oose.accounts.ManagedAccounts`, and what it means for users' sessions."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_twisted

from oose.accounts import Account, ManagedAccounts
from oose.errors import BadInput, Conflict, NotFound
from oose.purchases import Session, Sessions, token_digest
from tests.contract.kept import KeepsAccounts, KeepsUsers

NOW = 1_700_000_000_000
PASSWORD = "correct horse"
Change = Callable[[ManagedAccounts], Awaitable[None]]


@pytest_twisted.async_yield_fixture
async def accounts(keeps_accounts: KeepsAccounts) -> AsyncIterator[ManagedAccounts]:
    accounts = await keeps_accounts.accounts()
    await accounts.add("ann", PASSWORD, NOW)
    yield accounts


async def logged_in(sessions: Sessions, *names: str) -> None:
    for name in names:
        await sessions.add(Session(token_digest(name), name, "::1", NOW, NOW + 1000))


# Login


@pytest_twisted.ensureDeferred
async def test_a_password_opens_its_own_account_only(accounts: ManagedAccounts) -> None:
    await accounts.add("ben", "battery staple", NOW)
    assert await accounts.verify("ann", PASSWORD)
    assert await accounts.verify("ben", "battery staple")
    assert not await accounts.verify("ann", "battery staple")
    assert not await accounts.verify("ben", PASSWORD)


@pytest.mark.parametrize(
    "password", ["", "correct horse ", "Correct horse", "correct", "\0", "\ud800"]
)
@pytest_twisted.ensureDeferred
async def test_no_other_password_opens_it(accounts: ManagedAccounts, password: str) -> None:
    assert not await accounts.verify("ann", password)


@pytest.mark.parametrize(
    "username",
    ["nobody", "", "Ann", "ann ", "%", "' OR 1=1 --", "\0", "ann\0", "\ud800", "x" * 9999],
)
@pytest_twisted.ensureDeferred
async def test_nobody_has_no_password(accounts: ManagedAccounts, username: str) -> None:
    for password in (PASSWORD, "", "nobody's password"):
        assert not await accounts.verify(username, password)


@pytest.mark.parametrize(
    "password", ["pässwörd", "密码密码密码密码", "a\0b" * 9, "\ud800" * 9, "x" * 1024]
)
@pytest_twisted.ensureDeferred
async def test_a_password_may_have_any_letters(accounts: ManagedAccounts, password: str) -> None:
    await accounts.add("eve", password, NOW)
    assert await accounts.verify("eve", password)
    assert not await accounts.verify("eve", password[:-1])


# Making


@pytest_twisted.ensureDeferred
async def test_users_are_listed_by_name(accounts: ManagedAccounts) -> None:
    await accounts.add("zoe", PASSWORD, NOW + 2)
    await accounts.add("Bob@x.example", PASSWORD, NOW + 1)
    await accounts.set_enabled("zoe", enabled=False)
    assert await accounts.list() == [
        Account("Bob@x.example", True, NOW + 1),
        Account("ann", True, NOW),
        Account("zoe", False, NOW + 2),
    ]


@pytest_twisted.ensureDeferred
async def test_a_name_is_given_once(accounts: ManagedAccounts) -> None:
    with pytest.raises(Conflict, match="'ann' already"):
        await accounts.add("ann", "another password", NOW)
    assert await accounts.verify("ann", PASSWORD)


@pytest.mark.parametrize("name", ["a", "a" * 64, "first.last+x@film-shop.example", "a_", "7"])
@pytest_twisted.ensureDeferred
async def test_names_may_be_like_addresses(accounts: ManagedAccounts, name: str) -> None:
    await accounts.add(name, PASSWORD, NOW)
    assert await accounts.verify(name, PASSWORD)


@pytest.mark.parametrize(
    "name", ["", "a" * 65, "-x", "a b", "a/b", "a:b", "ä", "a\n", "\0", "\ud800", "a'b", "a;b"]
)
@pytest_twisted.ensureDeferred
async def test_a_bad_name_is_refused(accounts: ManagedAccounts, name: str) -> None:
    with pytest.raises(BadInput, match="user's name"):
        await accounts.add(name, PASSWORD, NOW)
    assert [each.username for each in await accounts.list()] == ["ann"]


@pytest.mark.parametrize("password", ["", "seven77", "x" * 1025, "é" * 513])
@pytest_twisted.ensureDeferred
async def test_a_bad_password_is_refused(accounts: ManagedAccounts, password: str) -> None:
    with pytest.raises(BadInput, match="password"):
        await accounts.add("eve", password, NOW)
    with pytest.raises(BadInput, match="password"):
        await accounts.set_password("ann", password)
    assert await accounts.verify("ann", PASSWORD)


# Changing


async def change_password(accounts: ManagedAccounts) -> None:
    await accounts.set_password("ann", "battery staple")


async def disable(accounts: ManagedAccounts) -> None:
    await accounts.set_enabled("ann", enabled=False)


async def remove(accounts: ManagedAccounts) -> None:
    await accounts.remove("ann")


CHANGES = [change_password, disable, remove]


@pytest.mark.parametrize("change", CHANGES)
@pytest_twisted.ensureDeferred
async def test_a_change_ends_the_users_sessions_and_nobody_elses(
    keeps_users: KeepsUsers, change: Change
) -> None:
    accounts = await keeps_users.accounts()
    await accounts.add("ann", PASSWORD, NOW)
    await accounts.add("ben", PASSWORD, NOW)
    sessions = await keeps_users.sessions()
    await logged_in(sessions, "ann", "ben")
    await change(await keeps_users.accounts())  # as the `oose user` command does
    assert await sessions.find(token_digest("ann"), NOW) is None
    assert await sessions.find(token_digest("ben"), NOW) is not None
    assert not await accounts.verify("ann", PASSWORD)
    assert await accounts.verify("ben", PASSWORD)


@pytest.mark.parametrize("change", CHANGES)
@pytest_twisted.ensureDeferred
async def test_a_change_outlives_the_process(
    accounts: ManagedAccounts, keeps_accounts: KeepsAccounts, change: Change
) -> None:
    assert await (await keeps_accounts.accounts()).verify("ann", PASSWORD)
    await change(accounts)
    assert not await (await keeps_accounts.accounts()).verify("ann", PASSWORD)


@pytest_twisted.ensureDeferred
async def test_a_new_password_opens_what_the_old_one_did(accounts: ManagedAccounts) -> None:
    await change_password(accounts)
    assert await accounts.verify("ann", "battery staple")


@pytest_twisted.ensureDeferred
async def test_a_user_who_was_shut_out_can_be_let_in_again(accounts: ManagedAccounts) -> None:
    await disable(accounts)
    await disable(accounts)
    assert not await accounts.verify("ann", PASSWORD)
    await accounts.set_enabled("ann", enabled=True)
    await accounts.set_enabled("ann", enabled=True)
    assert await accounts.verify("ann", PASSWORD)


@pytest_twisted.ensureDeferred
async def test_who_is_let_in_again_has_to_log_in(keeps_users: KeepsUsers) -> None:
    accounts = await keeps_users.accounts()
    await accounts.add("ann", PASSWORD, NOW)
    sessions = await keeps_users.sessions()
    await logged_in(sessions, "ann")
    await disable(accounts)
    await accounts.set_enabled("ann", enabled=True)
    assert await sessions.find(token_digest("ann"), NOW) is None


@pytest_twisted.ensureDeferred
async def test_a_removed_users_name_is_free(accounts: ManagedAccounts) -> None:
    await remove(accounts)
    assert await accounts.list() == []
    await accounts.add("ann", "another password", NOW)
    assert await accounts.verify("ann", "another password")
    assert not await accounts.verify("ann", PASSWORD)


@pytest.mark.parametrize("name", ["nobody", "", "Ann", "\0", "\ud800"])
@pytest_twisted.ensureDeferred
async def test_nobody_cannot_be_changed(accounts: ManagedAccounts, name: str) -> None:
    with pytest.raises(NotFound, match="no user"):
        await accounts.set_password(name, "battery staple")
    with pytest.raises(NotFound, match="no user"):
        await accounts.set_enabled(name, enabled=True)
    with pytest.raises(NotFound, match="no user"):
        await accounts.remove(name)
