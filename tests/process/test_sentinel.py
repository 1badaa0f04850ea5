"""Redis with real replicas and sentinels, whose master is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from attrs import define, field
from twisted.internet.defer import Deferred

from oose.errors import Unavailable
from oose.purchases import Purchase, Session, new_token, token_digest
from oose.redis import EndedChannel, RedisPurchases, RedisSessions
from tests.real import reactor
from tests.redis_server import RedisServer, Replicated, connected, start_sentinel, until
from tests.unit.logged import logged

FAR = 4_000_000_000_000  # in 2096
HUNG = 20.0  # seconds: what took so long has hung, however slow the machine


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Replicated]:
    with start_sentinel(tmp_path, servers=2) as redis:
        yield redis


def purchase() -> Purchase:
    return Purchase(new_token(), "a" * 40, "mp4", ("localhost",), 1, FAR)


@define
class Customer:
    """Buys all the time, and notes what was answered and how long it took."""

    purchases: RedisPurchases
    bought: list[Purchase] = field(factory=list)
    refused: int = 0
    slowest: float = 0.0
    leaves: bool = False

    async def buy(self) -> None:
        while not self.leaves:
            begun = reactor.seconds()
            wanted = purchase()
            try:
                await self.purchases.add(wanted)
                self.bought.append(wanted)
            except Unavailable:
                self.refused += 1
                await until(lambda: reactor.seconds() > begun + 0.05)  # noqa: B023
            self.slowest = max(self.slowest, reactor.seconds() - begun)


def lose_by_kill(master: RedisServer) -> None:
    master.kill()


def lose_by_stop(master: RedisServer) -> None:
    master.pause()


@pytest.mark.parametrize("lose", [lose_by_kill, lose_by_stop])
@pytest_twisted.ensureDeferred
async def test_what_was_answered_is_there_after_a_failover_and_nothing_hangs_during_it(
    redis: Replicated, lose: Callable[[RedisServer], None]
) -> None:
    connection = await connected(redis.settings)
    channel = EndedChannel(connection, "oose", reactor)
    await channel.open()
    heard: list[str] = []
    channel.on_purchase(heard.append)
    sessions = RedisSessions(connection, "oose")
    session = Session(token_digest("t"), "ann", "::1", 1, FAR)
    await sessions.add(session)
    customer = Customer(RedisPurchases(connection, "oose", 0))
    buying = Deferred.fromCoroutine(customer.buy())
    await until(lambda: len(customer.bought) >= 100)
    old = connection.server
    master = redis.master()
    assert master is not None
    with logged("warn") as warned:
        lose(master)
        await until(lambda: connection.server is None)
        assert not channel.is_connected
        await until(lambda: connection.server is not None and channel.is_connected)
    assert connection.server != old
    before = len(customer.bought)
    await until(lambda: len(customer.bought) >= before + 10)
    customer.leaves = True
    await buying
    assert [line for line in warned if "away" in line][1:] == []
    assert customer.refused > 0
    assert customer.slowest < HUNG
    assert await sessions.find(session.digest, 0) == session
    for each in customer.bought:
        assert await customer.purchases.find(each.token) == each
    ended = customer.bought[0].token
    assert await customer.purchases.remove(ended)
    await until(lambda: heard)
    assert heard == [ended]
    await channel.close()
    await connection.close()


@pytest_twisted.ensureDeferred
async def test_without_a_replica_purchases_are_taken_and_the_log_says_so_once(
    redis: Replicated,
) -> None:
    connection = await connected(redis.settings)
    purchases = RedisPurchases(connection, "oose", 0)
    with logged("warn") as warned:
        await purchases.add(purchase())
        assert warned == []
        master = redis.master()
        for each in redis.servers:
            if each is not master:
                each.kill()
        for _ in range(5):
            wanted = purchase()
            await purchases.add(wanted)
            assert await purchases.find(wanted.token) == wanted
    assert len(warned) == 1
    assert "unreplicated" in warned[0]
    await connection.close()


@pytest_twisted.ensureDeferred
async def test_a_master_that_gives_way_in_order_is_followed(redis: Replicated) -> None:
    connection = await connected(redis.settings)
    purchases = RedisPurchases(connection, "oose", 0)
    wanted = purchase()
    await purchases.add(wanted)
    old = connection.server
    assert redis.sentinels[0].cli("SENTINEL", "FAILOVER", "mymaster") == "OK"
    await until(lambda: connection.server not in (None, old))
    assert await purchases.find(wanted.token) == wanted
    await connection.close()
