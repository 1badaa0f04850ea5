"""The contract of `oose.purchases.Sessions`."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from attrs import evolve

from oose.purchases import Session, Sessions, token_digest
from tests.contract.kept import KeepsSessions

NOW = 4_000_000_000_000  # in 2096: Redis has a clock of its own, and keeps nothing that is over
SESSION = Session(token_digest("a token"), "ann", "192.0.2.7", NOW - 10, NOW + 100)


@pytest_twisted.async_yield_fixture
async def sessions(keeps_sessions: KeepsSessions) -> AsyncIterator[Sessions]:
    for name in ("ann", "ben"):
        await keeps_sessions.make_user(name)
    yield await keeps_sessions.sessions()


def session(token: str, username: str = "ann", expires: int = NOW + 100) -> Session:
    return evolve(SESSION, digest=token_digest(token), username=username, expires=expires)


@pytest_twisted.ensureDeferred
async def test_a_session_is_found_by_its_digest(sessions: Sessions) -> None:
    other = session("another", "ben")
    await sessions.add(SESSION)
    await sessions.add(other)
    assert await sessions.find(SESSION.digest, NOW) == SESSION
    assert await sessions.find(other.digest, NOW) == other


@pytest.mark.parametrize("digest", [token_digest("b"), "a token", "", "*", "%"])
@pytest_twisted.ensureDeferred
async def test_nothing_else_finds_it(sessions: Sessions, digest: str) -> None:
    await sessions.add(SESSION)
    assert await sessions.find(digest, NOW) is None
    assert not await sessions.remove(digest)
    await sessions.extend(digest, NOW + 999)
    assert await sessions.find(SESSION.digest, NOW) == SESSION


@pytest_twisted.ensureDeferred
async def test_a_session_is_there_when_it_is_opened_anew(
    sessions: Sessions, keeps_sessions: KeepsSessions
) -> None:
    await sessions.add(SESSION)
    assert await (await keeps_sessions.sessions()).find(SESSION.digest, NOW) == SESSION


@pytest_twisted.ensureDeferred
async def test_an_ended_session_is_not_found(sessions: Sessions) -> None:
    await sessions.add(SESSION)
    assert await sessions.find(SESSION.digest, SESSION.expires - 1) == SESSION
    assert await sessions.find(SESSION.digest, SESSION.expires) is None


@pytest_twisted.ensureDeferred
async def test_a_session_that_is_used_lasts_longer(
    sessions: Sessions, keeps_sessions: KeepsSessions
) -> None:
    await sessions.add(SESSION)
    longer = SESSION.expires + 1000
    await sessions.extend(SESSION.digest, longer)
    for way in (sessions, await keeps_sessions.sessions()):
        found = await way.find(SESSION.digest, SESSION.expires)
        assert found == evolve(SESSION, expires=longer)


@pytest_twisted.ensureDeferred
async def test_a_session_that_is_gone_is_not_brought_back_by_use(sessions: Sessions) -> None:
    await sessions.add(SESSION)
    assert await sessions.remove(SESSION.digest)
    await sessions.extend(SESSION.digest, NOW + 10_000)
    assert await sessions.find(SESSION.digest, NOW) is None


@pytest_twisted.ensureDeferred
async def test_a_logout_ends_one_session_everywhere(
    sessions: Sessions, keeps_sessions: KeepsSessions
) -> None:
    same_user = session("another device")
    await sessions.add(SESSION)
    await sessions.add(same_user)
    elsewhere = await keeps_sessions.sessions()
    assert await elsewhere.remove(SESSION.digest)
    assert await sessions.find(SESSION.digest, NOW) is None
    assert not await sessions.remove(SESSION.digest)
    assert await sessions.find(same_user.digest, NOW) == same_user


@pytest_twisted.ensureDeferred
async def test_no_session_is_forgotten_before_it_ends(sessions: Sessions) -> None:
    await sessions.add(SESSION)
    assert await sessions.prune(SESSION.expires - 1) == 0
    assert await sessions.find(SESSION.digest, NOW) == SESSION
