"""A real Redis behind a network that does everything to what is asked and answered.

Whatever it is: a question ends within its time, what is answered is true, and what is kept is
kept whole.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import count
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.errors import Unavailable
from oose.purchases import Purchase, Session, token_digest
from oose.redis import RedisConnection, RedisPurchases, RedisSessions
from oose.settings.model import RedisSettings
from tests.fault_proxy import (
    CutShort,
    Delayed,
    Fault,
    FaultProxy,
    LostAnswer,
    ResetAfter,
    ResetBefore,
    Says,
    SaysAfter,
    Silence,
    Stalled,
    Truncated,
    proxied,
)
from tests.redis_server import RedisServer, connected, running, until

GARBAGE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
FAULTS: dict[str, Callable[[], Fault]] = {
    "none": Fault,
    "silence": Silence,
    "lost answer": LostAnswer,
    "reset before": ResetBefore,
    "reset after": ResetAfter,
    "half a command": lambda: CutShort(size=15),
    "half a transaction": lambda: CutShort(size=260),
    "half a transaction, and silence": lambda: Stalled(size=260),
    "nothing of the answer": lambda: Truncated(size=0),
    "half a line": lambda: Truncated(size=3),
    "half an answer": lambda: Truncated(size=40),
    "garbage": lambda: Says(GARBAGE),
    "garbage after": lambda: SaysAfter(GARBAGE),
    "an error": lambda: Says(b"-ERR oops\r\n"),
    "an error after": lambda: SaysAfter(b"-ERR oops\r\n"),
    "loading": lambda: Says(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "a replica": lambda: Says(b"-READONLY You can't write against a read only replica.\r\n"),
}
HANGS = (Silence, LostAnswer, Stalled)
TIMEOUT = 1.5
AFTERLIFE = 1000
FAR = 4_000_000_000_000  # in 2096
PURCHASE = Purchase("t", "a" * 40, "mp4", ("localhost", "b.org"), 3_600_000, FAR)
SESSION = Session("d", "ann", "192.0.2.7", 17, FAR)
numbers = count()


@define
class Way:
    """What a prism has of Redis, behind the proxy and under a clock; `sure` is the direct way."""

    proxy: FaultProxy
    clock: Clock
    connection: RedisConnection
    sure: RedisConnection

    @property
    def purchases(self) -> RedisPurchases:
        return RedisPurchases(self.connection, "oose", AFTERLIFE)

    @property
    def sessions(self) -> RedisSessions:
        return RedisSessions(self.connection, "oose")

    async def end(self, names: list[str], *works: Coroutine[Any, Any, Any]) -> list[Any]:
        """What becomes of `works`, begun together; where a fault hangs, their time runs out."""
        faults = [FAULTS[name]() for name in names]
        self.proxy.script.extend(faults)
        workings = [Deferred.fromCoroutine(work) for work in works]
        for fault in faults:
            if isinstance(fault, HANGS):
                _ = fault.struck.addCallback(lambda _: self.clock.advance(TIMEOUT))
        answers = [await outcome(working) for working in workings]
        self.proxy.script.clear()
        await until(self._is_back)
        return answers

    def _is_back(self) -> bool:
        self.clock.advance(0.5)
        return self.connection.server is not None

    async def purchase(self, token: str) -> Purchase | None:
        """What there is, whole and with its end."""
        found = await RedisPurchases(self.sure, "oose", AFTERLIFE).find(token)
        if found is not None:
            assert await self._ends("purchase", token) == found.expires + AFTERLIFE
        return found

    async def session(self, digest: str) -> Session | None:
        """The same."""
        return await RedisSessions(self.sure, "oose").find(digest, 0)

    async def _ends(self, kind: str, name: str) -> Any:
        [ends] = await self.sure.ask((b"PEXPIRETIME", f"oose:{kind}:{name}".encode()))
        return ends


async def outcome(working: Deferred[Any]) -> Any:
    try:
        return await working
    except Unavailable as error:
        return error


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest_twisted.async_yield_fixture
async def way(server: RedisServer) -> AsyncIterator[Way]:
    clock = Clock()
    clock.advance(1000)
    async with proxied(server.port) as proxy:
        behind = RedisSettings(url=f"redis://127.0.0.1:{proxy.port}", timeout=TIMEOUT)
        connection, sure = await connected(behind, clock), await connected(server.settings)
        yield Way(proxy, clock, connection, sure)
        await connection.close()
        await sure.close()


ANY = given(st.lists(st.sampled_from(sorted(FAULTS)), max_size=5))
OFTEN = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


def is_true(answer: object, truth: object) -> bool:
    """Whether it is what there is, or says that nobody knows."""
    return isinstance(answer, Unavailable) or answer == truth


@OFTEN
@ANY
@pytest_twisted.ensureDeferred
async def test_a_purchase_is_made_found_and_ended_as_it_is_answered(
    way: Way, names: list[str]
) -> None:
    bought = evolve(PURCHASE, token=f"t{next(numbers)}")
    token = bought.token
    [made] = await way.end(names, way.purchases.add(bought))
    there = await way.purchase(token)
    assert there == bought or (there is None and isinstance(made, Unavailable))
    found, other = await way.end(names, way.purchases.find(token), way.purchases.find("none"))
    assert is_true(found, there)
    assert is_true(other, None)
    [ended] = await way.end(names, way.purchases.remove(token))
    assert is_true(ended, there is not None)
    left = await way.purchase(token)
    assert left in ((None, there) if isinstance(ended, Unavailable) else (None,))


@OFTEN
@ANY
@pytest_twisted.ensureDeferred
async def test_a_session_is_made_found_and_ended_as_it_is_answered(
    way: Way, names: list[str]
) -> None:
    login = evolve(SESSION, digest=token_digest(f"s{next(numbers)}"))
    digest = login.digest
    [made] = await way.end(names, way.sessions.add(login))
    there = await way.session(digest)
    assert there == login or (there is None and isinstance(made, Unavailable))
    found, other = await way.end(names, way.sessions.find(digest, 0), way.sessions.find("none", 0))
    assert is_true(found, there)
    assert is_true(other, None)
    [extended] = await way.end(names, way.sessions.extend(digest, FAR + 5))
    longer = None if there is None else evolve(there, expires=FAR + 5)
    now = await way.session(digest)
    assert now in ((there, longer) if isinstance(extended, Unavailable) else (longer,))
    [ended] = await way.end(names, way.sessions.remove(digest))
    assert is_true(ended, there is not None)
    left = await way.session(digest)
    assert left in ((None, now) if isinstance(ended, Unavailable) else (None,))


@OFTEN
@ANY
@pytest_twisted.ensureDeferred
async def test_of_many_who_ask_at_once_nobody_gets_anothers_answer(
    way: Way, names: list[str]
) -> None:
    many = [evolve(PURCHASE, token=f"m{n}", ext=f"x{n}") for n in range(9)]
    for each in many:
        await RedisPurchases(way.sure, "oose", AFTERLIFE).add(each)
    found = await way.end(names, *(way.purchases.find(each.token) for each in many))
    assert all(is_true(answer, each) for answer, each in zip(found, many, strict=True))
    assert await way.end([], way.purchases.find("m4")) == [many[4]]


@pytest_twisted.ensureDeferred
async def test_an_answer_that_comes_late_is_taken_or_goes_to_nobody(way: Way) -> None:
    one, two = (evolve(PURCHASE, token=f"l{n}", ext=f"x{n}") for n in range(2))
    for each in (one, two):
        await way.purchases.add(each)
    for wait in (TIMEOUT - 0.01, TIMEOUT):
        late = Delayed()
        way.proxy.next(late)
        finding = Deferred.fromCoroutine(outcome(Deferred.fromCoroutine(way.purchases.find("l0"))))
        await until(lambda late=late: late.struck.called)  # type: ignore[misc]
        way.clock.advance(wait)
        late.release()
        answer = await finding
        assert isinstance(answer, Unavailable) if wait == TIMEOUT else answer == one
        [after] = await way.end([], way.purchases.find("l1"))
        assert is_true(after, two)
        assert await way.end([], way.purchases.find("l1")) == [two]
