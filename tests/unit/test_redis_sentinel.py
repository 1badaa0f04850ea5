"""Sentinels that disagree, hang or know nothing; replicas that confirm, or do not."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.errors import Unavailable
from oose.redis import RedisConnection
from oose.redis.replication import Replication
from oose.settings.model import RedisSettings
from tests.ports import free_port
from tests.real import reactor
from tests.redis_server import ANY_POLICY, until
from tests.unit.logged import logged
from tests.unit.scripted_redis import Scripted, Talk, text

QUESTION = [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"films"]


class Watched(Talk):
    """A connection by way of three sentinels; the script is the master's."""

    sentinels: list[Scripted]

    def name(self, *masters: bytes | None) -> None:
        """What each sentinel answers."""
        for sentinel, said in zip(self.sentinels, masters, strict=True):
            sentinel.answers = {b"SENTINEL": said}

    @property
    def here(self) -> bytes:
        return at(self.script.number)


def at(port: int) -> bytes:
    return text(b"127.0.0.1", b"%d" % port)


@pytest_twisted.async_yield_fixture
async def redis() -> AsyncIterator[Watched]:
    clock = Clock()
    master, *sentinels = [Scripted().listen() for _ in range(4)]
    settings = RedisSettings(
        sentinels=tuple(("127.0.0.1", each.number) for each in sentinels),
        service="films",
        password="s3cret",
    )
    master.answers |= {b"AUTH": b"+OK\r\n", b"SET": b"+OK\r\n", b"WAIT": b":1\r\n"}
    watched = Watched(master, clock, RedisConnection(reactor, settings, ANY_POLICY, clock))
    watched.sentinels = sentinels
    watched.name(watched.here, watched.here, watched.here)
    async with AsyncExitStack() as stack:
        for each in (master, *sentinels):
            stack.push_async_callback(each.close)
        stack.push_async_callback(watched.connection.close)
        yield watched


@pytest_twisted.ensureDeferred
async def test_the_sentinels_are_asked_for_the_master(redis: Watched) -> None:
    connection = await redis.open()
    assert str(connection.server) == f"127.0.0.1:{redis.script.number}"
    assert [each.commands for each in redis.sentinels] == [[QUESTION]] * 3


@pytest_twisted.ensureDeferred
async def test_most_of_them_are_believed(redis: Watched) -> None:
    redis.name(at(free_port()), redis.here, redis.here)
    await redis.open()
    assert redis.script.heard(b"ROLE") == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"*-1\r\n",
        b"-ERR no\r\n",
        b"+OK\r\n",
        text(b"127.0.0.1"),
        text(b"127.0.0.1", b"x"),
        b"*2\r\n:1\r\n:2\r\n",
        b"garbage\r\n",
    ],
)
@pytest_twisted.ensureDeferred
async def test_those_that_know_nothing_are_passed_over(redis: Watched, answer: bytes) -> None:
    redis.name(answer, answer, redis.here)
    await redis.open()
    assert redis.script.heard(b"ROLE") == 3


@pytest_twisted.ensureDeferred
async def test_one_that_hangs_and_one_that_is_gone_do_not_hold_it_up_for_long(
    redis: Watched,
) -> None:
    redis.name(None, redis.here, redis.here)
    await redis.sentinels[1].close()
    opening = Deferred.fromCoroutine(redis.connection.open())
    await until(lambda: all(redis.sentinels[n].commands for n in (0, 2)))
    redis.sentinels[1].listen()  # for the end of the test
    redis.clock.advance(0.5)
    await opening
    assert redis.connection.server is not None


@pytest_twisted.ensureDeferred
async def test_without_any_that_knows_it_is_away(redis: Watched) -> None:
    redis.name(b"*-1\r\n", b"*-1\r\n", b"*-1\r\n")
    with pytest.raises(Unavailable, match="no sentinel says which server is films"):
        await redis.open()


@pytest_twisted.ensureDeferred
async def test_a_sentinel_that_wants_a_password_gets_it_and_no_other_does(
    redis: Watched,
) -> None:
    redis.name(None, redis.here, redis.here)
    asked: list[bytes] = []

    def answer(_: object) -> bytes:
        asked.append(b"")
        return b"-NOAUTH Authentication required.\r\n" if len(asked) == 1 else redis.here

    redis.sentinels[0].answers = {b"SENTINEL": answer, b"AUTH": b"+OK\r\n"}
    await redis.open()
    assert redis.sentinels[0].commands == [QUESTION, [b"AUTH", b"s3cret"], QUESTION]
    assert [each.heard(b"AUTH") for each in redis.sentinels] == [1, 0, 0]


@pytest_twisted.ensureDeferred
async def test_what_a_sentinel_names_and_is_no_master_is_not_used(redis: Watched) -> None:
    redis.script.answers[b"ROLE"] = text(b"slave")
    with pytest.raises(Unavailable, match="not a master"):
        await redis.open()


@pytest_twisted.ensureDeferred
async def test_a_master_that_lives_on_after_another_has_taken_over_is_left(
    redis: Watched,
) -> None:
    connection = await redis.open()
    other = Scripted().listen()
    other.answers = redis.script.answers
    try:
        redis.name(at(other.number), at(other.number), redis.here)
        redis.clock.advance(5)
        with logged("warn") as warned:
            await until(lambda: connection.server is None)
        assert warned == [f"Redis is away: 127.0.0.1:{redis.script.number} is no longer the master"]
        await redis.back()
        assert str(connection.server) == f"127.0.0.1:{other.number}"
        await connection.close()
    finally:
        await other.close()


@pytest_twisted.ensureDeferred
async def test_sentinels_that_are_away_change_nothing(redis: Watched) -> None:
    connection = await redis.open()
    redis.name(b"*-1\r\n", b"*-1\r\n", b"*-1\r\n")
    redis.clock.advance(5)
    await until(lambda: all(each.heard(b"SENTINEL") == 2 for each in redis.sentinels))
    await until(lambda: not any(each.conversations for each in redis.sentinels))
    redis.name(redis.here, redis.here, redis.here)
    redis.clock.advance(5)
    await until(lambda: all(each.heard(b"SENTINEL") == 3 for each in redis.sentinels))
    await until(lambda: not any(each.conversations for each in redis.sentinels))
    assert connection.server is not None
    assert connection.generation == 1


@pytest_twisted.ensureDeferred
async def test_a_write_waits_for_a_replica_and_reading_does_not_wait_behind_it(
    redis: Watched,
) -> None:
    connection = await redis.open()
    assert await connection.write((b"SET", b"a", b"b")) == ["OK"]
    assert redis.script.commands[-1] == [b"WAIT", b"1", b"200"]
    redis.script.answers[b"WAIT"] = None
    writing = [Deferred.fromCoroutine(connection.write((b"SET",))) for _ in range(4)]
    await until(lambda: redis.script.heard(b"WAIT") == 5)
    assert await connection.ask((b"PING",)) == ["PONG"]
    for each in redis.script.conversations:
        each.say(b":1\r\n" * 2)
        break
    for write in writing:
        _ = write.addErrback(lambda _: None)


def test_without_a_replica_writes_do_not_wait_long_and_the_log_says_so_once() -> None:
    clock = Clock()
    replication = Replication(clock)
    patience = []
    with logged("warn") as warned, logged("info") as told:
        for replicas in (1, 0, 0, 0, 1, 1):
            patience.append(int(replication.wait()[2]))
            replication.confirmed(replicas)
            clock.advance(0.5)
    assert patience == [200, 200, 1, 200, 1, 200]
    assert len(warned) == 1
    assert "unreplicated" in warned[0]
    assert len(told) == 1
