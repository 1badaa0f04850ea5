"""A real Redis that is killed, stopped, restarted, demoted, locked or encrypted."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_twisted
from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.attempts import LoginAttempts
from oose.errors import NotAuthenticated, NotFound, Unavailable
from oose.logins import Logins
from oose.purchases import Purchase, Session, token_digest
from oose.purchasing import PurchaseDesk
from oose.redis import EndedChannel, RedisConnection, RedisPurchases, RedisSessions
from oose.tls import client_policy, self_signed
from tests.ports import free_port
from tests.real import reactor
from tests.redis_server import ANY_POLICY, RedisServer, connected, running, until
from tests.unit.kept import OneUser

FAR = 4_000_000_000_000  # in 2096
PURCHASE = Purchase("t" * 64, "a" * 40, "mp4", ("localhost", "b.org"), 3_600_000, FAR)
SESSION = Session(token_digest("a token"), "ann", "192.0.2.7", 17, FAR)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    """A server as good as new; tests that harm one start their own."""
    shared.cli("FLUSHALL")
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path / "redis") as server:
        yield server


@define
class Prism:
    """What one process has of Redis, under a clock of its own."""

    clock: Clock
    connection: RedisConnection
    channel: EndedChannel
    purchases: RedisPurchases
    sessions: RedisSessions

    @classmethod
    async def start(cls, server: RedisServer) -> "Prism":
        clock = Clock()
        connection = await connected(server.settings, clock)
        channel = EndedChannel(connection, "oose", clock)
        await channel.open()
        purchases = RedisPurchases(connection, "oose", 1000)
        return cls(clock, connection, channel, purchases, RedisSessions(connection, "oose"))

    async def stop(self) -> None:
        await self.channel.close()
        await self.connection.close()

    async def back(self) -> None:
        """Let time go on slowly until it is connected again, and hears what ends."""
        await until(self._is_back)

    def _is_back(self) -> bool:
        self.clock.advance(0.05)
        return self.channel.is_connected


@pytest_twisted.async_yield_fixture
async def prism(own: RedisServer) -> AsyncIterator[Prism]:
    prism = await Prism.start(own)
    yield prism
    await prism.stop()


# What is kept.


@pytest_twisted.ensureDeferred
async def test_keys_and_fields_are_as_the_documents_say(server: RedisServer) -> None:
    prism = await Prism.start(server)
    await prism.purchases.add(PURCHASE)
    await prism.sessions.add(SESSION)
    assert server.cli("HGETALL", f"oose:purchase:{PURCHASE.token}").split("\n") == [
        *("hash", "a" * 40, "ext", "mp4", "referrer", "localhost,b.org"),
        *("life", "3600000", "expirationDate", str(FAR)),
    ]
    assert server.cli("PEXPIRETIME", f"oose:purchase:{PURCHASE.token}") == str(FAR + 1000)
    assert server.cli("HGETALL", f"oose:session:{SESSION.digest}").split("\n") == [
        *("username", "ann", "ip", "192.0.2.7", "createdAt", "17"),
    ]
    assert server.cli("PEXPIRETIME", f"oose:session:{SESSION.digest}") == str(FAR)
    await prism.sessions.extend(SESSION.digest, FAR + 5)
    assert server.cli("PEXPIRETIME", f"oose:session:{SESSION.digest}") == str(FAR + 5)
    assert await prism.purchases.prune(FAR) == await prism.sessions.prune(FAR) == 0
    await prism.stop()


@pytest_twisted.ensureDeferred
async def test_what_was_over_long_ago_is_not_kept(server: RedisServer) -> None:
    prism = await Prism.start(server)
    await prism.purchases.add(evolve(PURCHASE, expires=1))
    await prism.sessions.add(evolve(SESSION, expires=1))
    assert server.cli("DBSIZE") == "0"
    await prism.stop()


@pytest.mark.parametrize(
    "fields",
    [
        ["HSET", "hash", "a"],
        ["HSET", "hash", "a", "ext", "b", "referrer", "", "life", "x", "expirationDate", "1"],
        ["HSET", "username", "a", "ip", "b", "createdAt", "x"],
        ["HSET", "hash", b"\xff".decode("utf-8", "surrogateescape")],
        ["SADD", "x"],
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_key_that_somebody_else_wrote_is_no_purchase_and_no_session(
    server: RedisServer, fields: list[str]
) -> None:
    prism = await Prism.start(server)
    command, *rest = fields
    for key in ("oose:purchase:t", "oose:session:d"):
        server.cli(command, key, *rest)
        server.cli("PEXPIREAT", key, str(FAR))
    with pytest.raises(Unavailable):
        await prism.purchases.find("t")
    with pytest.raises(Unavailable):
        await prism.sessions.find("d", 0)
    await prism.purchases.add(PURCHASE)
    assert await prism.purchases.find(PURCHASE.token) == PURCHASE
    assert prism.connection.generation == 1
    await prism.stop()


@pytest_twisted.ensureDeferred
async def test_a_purchase_from_no_page_comes_back_so(server: RedisServer) -> None:
    prism = await Prism.start(server)
    purchase = evolve(PURCHASE, referrers=())
    await prism.purchases.add(purchase)
    assert await prism.purchases.find(PURCHASE.token) == purchase
    await prism.stop()


# Who may come in.


@pytest_twisted.ensureDeferred
async def test_a_password_is_needed_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", password="s3cret")
    try:
        server.start()
        connection = await connected(server.settings)
        assert await connection.ask((b"PING",)) == ["PONG"]
        await connection.close()
        for password in (None, "wrong"):
            settings = evolve(server.settings, password=password)
            with pytest.raises(Unavailable, match="refuses our username or password"):
                await connected(settings)
        server.cli("ACL", "SETUSER", "films", "on", ">pw", "~oose:*", "&oose:*", "+@all", "-role")
        settings = evolve(server.settings, username="films", password="pw")
        connection = await connected(settings)
        await RedisPurchases(connection, "oose", 0).add(PURCHASE)
        with pytest.raises(Unavailable):
            await RedisPurchases(connection, "other", 0).add(PURCHASE)
        await connection.close()
    finally:
        server.stop()


@pytest_twisted.ensureDeferred
async def test_a_url_may_name_a_database(server: RedisServer) -> None:
    connection = await connected(evolve(server.settings, url=f"{server.settings.url}/5"))
    await RedisPurchases(connection, "oose", 0).add(PURCHASE)
    assert server.cli("-n", "5", "DBSIZE") == "1"
    assert server.cli("DBSIZE") == "0"
    await connection.close()


@pytest_twisted.ensureDeferred
async def test_over_tls_the_certificate_is_verified(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "own.pem", ["127.0.0.1"], datetime.now(UTC))
    server = RedisServer(tmp_path / "redis", tls=pem)
    try:
        server.start()
        connection = await connected(server.settings, policy=client_policy(pem, own=None))
        await RedisPurchases(connection, "oose", 0).add(PURCHASE)
        await connection.close()
        with pytest.raises(Unavailable, match="certificate or its TLS is not acceptable"):
            await connected(server.settings, policy=client_policy(verify=True, own=None))
        with pytest.raises(Unavailable):
            await connected(evolve(server.settings, url=f"redis://127.0.0.1:{server.port}"))
    finally:
        server.stop()


# Outages.


async def refused(work: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(Unavailable) as away:
        await work()
    assert away.value.retry_after


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_killed_is_found_again_when_it_is_restarted(
    own: RedisServer, prism: Prism
) -> None:
    await prism.purchases.add(PURCHASE)
    era = prism.channel.era
    own.kill()
    await until(lambda: prism.connection.server is None)
    assert not prism.channel.is_connected
    for _ in range(3):
        await refused(lambda: prism.purchases.find(PURCHASE.token))
        await refused(lambda: prism.purchases.add(PURCHASE))
        await refused(lambda: prism.sessions.remove("d"))
    own.start()
    await prism.back()
    assert prism.channel.era > era
    await prism.purchases.add(PURCHASE)
    assert await prism.purchases.find(PURCHASE.token) == PURCHASE


@pytest_twisted.ensureDeferred
async def test_a_server_that_hangs_is_given_up_and_found_again(
    own: RedisServer, prism: Prism
) -> None:
    await prism.purchases.add(PURCHASE)
    own.pause()
    finding = Deferred.fromCoroutine(prism.purchases.find(PURCHASE.token))
    adding = Deferred.fromCoroutine(prism.purchases.add(PURCHASE))
    prism.clock.advance(1.5)
    for asked in (finding, adding):
        assert asked.called
        with pytest.raises(Unavailable):
            await asked
    await refused(lambda: prism.sessions.find("d", 0))
    prism.clock.advance(1.5)
    assert not prism.channel.is_connected
    own.resume()
    await prism.back()
    assert await prism.purchases.find(PURCHASE.token) == PURCHASE


@pytest_twisted.ensureDeferred
async def test_a_server_that_becomes_a_replica_is_left_until_it_is_a_master_again(
    own: RedisServer, prism: Prism
) -> None:
    own.cli("CONFIG", "SET", "replica-serve-stale-data", "yes")
    own.cli("REPLICAOF", "127.0.0.1", str(free_port()))
    await refused(lambda: prism.purchases.add(PURCHASE))
    assert prism.connection.server is None
    own.cli("REPLICAOF", "NO", "ONE")
    await prism.back()
    await prism.purchases.add(PURCHASE)


@pytest_twisted.ensureDeferred
async def test_idle_connections_that_the_server_closes_are_replaced_unnoticed(
    own: RedisServer, prism: Prism
) -> None:
    await prism.purchases.add(PURCHASE)
    for _ in range(3):
        prism.clock.advance(1)
        generation = prism.connection.generation
        own.cli("CLIENT", "KILL", "TYPE", "normal")
        await until(lambda: prism.connection.generation > generation)  # noqa: B023
        assert await prism.purchases.find(PURCHASE.token) == PURCHASE


# Several prisms on one Redis.


@pytest_twisted.ensureDeferred
async def test_what_ends_on_one_prism_is_over_on_the_other_at_once(server: RedisServer) -> None:
    here, there = await Prism.start(server), await Prism.start(server)
    seen = PurchaseDesk(here.purchases, 30_000, endings=here.channel)
    other = PurchaseDesk(there.purchases, 30_000, endings=there.channel)
    purchase = await other.sell("a" * 40, "mp4", ("*",), 60_000, FAR)
    doors = [
        Logins(OneUser(), each.sessions, LoginAttempts(), 60_000, endings=each.channel)
        for each in (here, there)
    ]
    login = await doors[1].login("anna", "right", "::1", FAR)
    heard: list[str] = []
    here.channel.on_purchase(heard.append)
    here.channel.on_session(heard.append)
    assert await seen.valid(purchase.token, FAR) == purchase
    assert (await doors[0].authenticate(login.token, FAR)).username == "anna"
    await other.remove(purchase.token)
    await doors[1].logout(login.token)
    await until(lambda: len(heard) == 2)
    with pytest.raises(NotFound):
        await seen.valid(purchase.token, FAR)
    with pytest.raises(NotAuthenticated):
        await doors[0].authenticate(login.token, FAR)
    assert heard == [purchase.token, login.session.digest]
    for each in (here, there):
        await each.stop()


@pytest_twisted.ensureDeferred
async def test_purchases_that_end_with_their_content_are_over_on_every_prism(
    server: RedisServer,
) -> None:
    here, there = await Prism.start(server), await Prism.start(server)
    seen = PurchaseDesk(here.purchases, 30_000, endings=here.channel)
    other = PurchaseDesk(there.purchases, 30_000, endings=there.channel)
    ending = [await other.sell("a" * 40, "mp4", ("*",), 60_000, FAR) for _ in range(3)]
    kept = await other.sell("b" * 40, "mp4", ("*",), 60_000, FAR)
    heard: list[str] = []
    here.channel.on_purchase(heard.append)
    for each in (*ending, kept):
        assert await seen.valid(each.token, FAR) == each
    assert await other.end_of("a" * 40) == 3
    await until(lambda: len(heard) == 3)
    assert seen.cached() == {"b" * 40: 1}
    for each in ending:
        for desk in (seen, other):
            with pytest.raises(NotFound):
                await desk.valid(each.token, FAR)
    assert await seen.valid(kept.token, FAR) == kept
    for prism in (here, there):
        await prism.stop()


@pytest_twisted.ensureDeferred
async def test_a_purchase_seen_before_goes_on_without_redis_and_no_longer_than_it_may(
    own: RedisServer, prism: Prism
) -> None:
    desk = PurchaseDesk(prism.purchases, 30_000, endings=prism.channel)
    purchase = await desk.sell("a" * 40, "mp4", ("*",), 60_000, FAR)
    await desk.valid(purchase.token, FAR)
    own.kill()
    await until(lambda: prism.connection.server is None)
    assert await desk.valid(purchase.token, FAR + 29_999) == purchase
    await refused(lambda: desk.valid(purchase.token, FAR + 30_000))
    await refused(lambda: desk.sell("a" * 40, "mp4", ("*",), 60_000, FAR))
    own.start()  # with nothing in it
    await prism.back()
    with pytest.raises(NotFound):
        await desk.valid(purchase.token, FAR)
    assert RedisConnection(reactor, own.settings, ANY_POLICY, prism.clock).server is None
