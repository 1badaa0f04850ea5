"""Redis that hangs, breaks off, refuses or talks nonsense: an answer soon, or `Unavailable`."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from oose.errors import Unavailable
from oose.purchases import Purchase, Session
from oose.redis import RedisPurchases, RedisSessions
from oose.redis.line import RedisLine
from tests.ports import free_port
from tests.redis_server import until
from tests.unit.logged import logged
from tests.unit.scripted_redis import MASTER, Asked, Conversation, Talk, talk, text

OK = b"+OK\r\n"
GET = (b"GET", b"x")


@pytest_twisted.async_yield_fixture
async def redis() -> AsyncIterator[Talk]:
    async with talk() as talking:
        talking.script.answers[b"GET"] = b"$1\r\nx\r\n"
        yield talking


async def away(redis: Talk) -> None:
    """Let it be found not to answer."""
    answer, redis.script.answers[b"GET"] = redis.script.answers[b"GET"], None
    asked = redis.ask(*GET)
    count = redis.script.heard(b"GET")
    await until(lambda: redis.script.heard(b"GET") > count)
    redis.clock.advance(1.5)
    assert asked.is_refused
    redis.script.answers[b"GET"] = answer


# Time.


@pytest_twisted.ensureDeferred
async def test_a_question_is_answered(redis: Talk) -> None:
    connection = await redis.open()
    assert await connection.ask(GET, (b"PING",)) == [b"x", "PONG"]


@pytest_twisted.ensureDeferred
async def test_a_server_that_hangs_is_waited_for_no_longer_than_the_timeout(redis: Talk) -> None:
    redis.script.answers[b"GET"] = None
    await redis.open()
    asked = redis.ask(*GET, again=True)
    await until(lambda: redis.script.heard(b"GET"))
    redis.clock.advance(1.49)
    assert asked.outcome is None
    redis.clock.advance(0.01)
    assert asked.is_refused
    assert redis.ask(*GET).outcome.retry_after > 0


@pytest_twisted.ensureDeferred
async def test_once_known_to_be_away_it_is_asked_nothing_until_a_probe_finds_it(
    redis: Talk,
) -> None:
    connection = await redis.open()
    redis.script.answers[b"PING"] = None
    await away(redis)
    assert connection.server is None
    asked = redis.script.heard(b"GET")
    assert redis.ask(*GET).is_refused
    redis.clock.advance(0)
    for probe in (1, 2, 3):
        await until(lambda: redis.script.heard(b"PING") >= 3 * (probe + 1))  # noqa: B023
        assert redis.ask(*GET, again=True).is_refused
        redis.clock.advance(1.5)
        redis.clock.advance(0)
    redis.script.answers[b"PING"] = b"+PONG\r\n"
    redis.clock.advance(1.5)
    await redis.back()
    assert redis.script.heard(b"GET") == asked
    assert await connection.ask(GET) == [b"x"]


@pytest_twisted.ensureDeferred
async def test_one_attempt_a_second_is_made(redis: Talk) -> None:
    connection = await redis.open()
    tries = []
    with logged("warn") as warned:
        await redis.script.close()
        await until(lambda: connection.server is None)
        for _ in range(3):
            await until(redis.is_probe_due)
            tries.append(redis.until_probe())
            redis.clock.advance(tries[-1])
    assert tries == [1, 1, 1]
    assert len(warned) == 1
    redis.script.listen(redis.script.number)
    await redis.back()
    assert await connection.ask(GET) == [b"x"]


@pytest_twisted.ensureDeferred
async def test_the_log_says_once_that_it_is_away_and_once_that_it_is_back(redis: Talk) -> None:
    connection = await redis.open()
    where = f"127.0.0.1:{redis.script.number}"
    with logged("warn") as warned, logged("info") as told:
        for _ in range(2):
            redis.ask(*GET)
        await away(redis)
        for _ in range(3):
            assert redis.ask(*GET).is_refused
        redis.clock.advance(0)
        await until(lambda: connection.server)
    assert warned == [f"Redis is away: {where} does not answer"]
    assert told == [f"Redis is back, at {where}"]


@pytest_twisted.ensureDeferred
async def test_everybody_who_waits_for_a_server_that_hangs_is_told_together(redis: Talk) -> None:
    redis.script.answers[b"GET"] = None
    await redis.open()
    asked = [redis.ask(*GET) for _ in range(5)]
    await until(lambda: redis.script.heard(b"GET") == 5)
    redis.clock.advance(1.5)
    assert all(each.is_refused for each in asked)


# Connections that break.


@pytest_twisted.ensureDeferred
async def test_a_broken_connection_is_made_anew_and_what_may_be_repeated_is(redis: Talk) -> None:
    connection = await redis.open()
    generation = connection.generation

    def hang_up_once(conversation: Conversation) -> None:
        redis.script.answers[b"GET"] = b"$1\r\nx\r\n"
        conversation.hang_up()

    redis.script.answers[b"GET"] = hang_up_once
    redis.clock.advance(1)
    with logged("warn") as warned:
        assert await redis.ask(*GET, again=True).ended() == [b"x"]
    assert warned == []
    assert connection.generation == generation + 1
    redis.script.answers[b"GET"] = hang_up_once
    redis.clock.advance(1)
    assert isinstance(await redis.ask(*GET).ended(), Unavailable)


@pytest_twisted.ensureDeferred
async def test_what_is_asked_while_a_connection_is_made_waits_for_it(redis: Talk) -> None:
    connection = await redis.open()
    redis.script.answers[b"ROLE"] = None
    redis.clock.advance(1)
    redis.script.hang_up()
    await until(lambda: redis.script.heard(b"ROLE") == 6)
    waiting, gone = redis.ask(*GET), redis.ask(*GET)
    gone.deferred.cancel()
    assert isinstance(gone.outcome, CancelledError)
    for each in redis.script.conversations:
        each.say(MASTER)
    assert await waiting.ended() == [b"x"]
    assert connection.server is not None


@pytest_twisted.ensureDeferred
async def test_it_does_not_wait_longer_than_for_an_answer(redis: Talk) -> None:
    await redis.open()
    redis.script.answers[b"PING"] = None
    redis.clock.advance(1)
    redis.script.hang_up()
    await until(lambda: redis.script.heard(b"PING") == 6)
    redis.clock.advance(0.5)
    early = redis.ask(*GET)
    redis.clock.advance(0.9)
    assert early.outcome is None
    redis.clock.advance(0.1)  # the attempt has had its time
    assert await early.ended()
    assert early.is_refused


@pytest_twisted.ensureDeferred
async def test_a_question_that_waited_is_refused_in_time_although_the_attempt_goes_on(
    redis: Talk,
) -> None:
    connection = await redis.open()
    redis.script.answers[b"GET"] = lambda conversation: conversation.hang_up()
    redis.script.answers[b"PING"] = None
    redis.clock.advance(1)
    redis.clock.callLater(0.75, redis.script.hang_up)
    asked = redis.ask(b"SILENCE", again=True)
    await until(lambda: redis.script.heard(b"SILENCE"))
    redis.clock.advance(0.75)
    await until(lambda: redis.script.heard(b"PING") == 6)
    assert asked.outcome is None
    redis.clock.advance(0.75)
    assert asked.is_refused
    assert connection.server is None


@pytest_twisted.ensureDeferred
async def test_a_server_that_breaks_off_again_and_again_is_not_called_again_and_again(
    redis: Talk,
) -> None:
    connection = await redis.open()
    redis.script.hang_up()
    with logged("warn") as warned:
        await until(lambda: connection.server is None)
    assert redis.ask(*GET, again=True).is_refused
    assert len(warned) == 1
    assert "breaks off" in warned[0]
    assert redis.script.heard(b"PING") == 3


@pytest_twisted.ensureDeferred
async def test_a_connection_that_ends_while_the_others_begin_is_noticed(
    redis: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await redis.open()
    dial = connection.servers.dial

    async def dial_and_lose_one(count: int) -> list[RedisLine]:
        lines = await dial(count)
        lines[0].abort()
        return lines

    with monkeypatch.context() as patched:
        patched.setattr(connection.servers, "dial", dial_and_lose_one)
        redis.clock.advance(1)
        redis.script.hang_up()
        await until(lambda: connection.generation > 1)
        assert connection.server is None
    await redis.back()


@pytest_twisted.ensureDeferred
async def test_whoever_leaves_does_not_shift_the_answers(redis: Talk) -> None:
    redis.script.answers[b"GET"] = None
    connection = await redis.open()
    asked = [redis.ask(*GET) for _ in range(3)]  # one on each connection
    await until(lambda: redis.script.heard(b"GET") == 3)
    for each in asked:
        each.deferred.cancel()
        assert isinstance(each.outcome, CancelledError)
    late = [redis.ask(b"PING") for _ in range(3)]
    for conversation in redis.script.conversations:
        conversation.say(b"$1\r\nx\r\n")
    assert [await each.ended() for each in late] == [["PONG"]] * 3
    assert connection.server is not None


# Answers that are none.


@pytest.mark.parametrize("code", ["READONLY", "LOADING", "MASTERDOWN", "NOAUTH"])
@pytest_twisted.ensureDeferred
async def test_a_server_that_is_no_master_now_is_left_at_once(redis: Talk, code: str) -> None:
    connection = await redis.open()
    redis.script.answers[b"SET"] = f"-{code} not now\r\n".encode()
    with logged("warn") as warned:
        both = redis.ask(b"SET"), redis.ask(b"SET")
        for each in both:
            assert isinstance(await each.ended(), Unavailable)
    assert warned == [f"Redis is away: 127.0.0.1:{redis.script.number} answers {code}"]
    redis.clock.advance(1)
    await until(lambda: connection.server)


@pytest.mark.parametrize("answer", [b":1\r\n", b"-READONLY no\r\n"])
@pytest_twisted.ensureDeferred
async def test_two_bad_answers_at_once_are_one_reason_to_leave(redis: Talk, answer: bytes) -> None:
    connection = await redis.open()
    asked: list[Conversation] = []

    def say_both_at_once(conversation: Conversation) -> bytes | None:
        asked.append(conversation)
        return answer * 2 if asked.count(conversation) == 2 else None

    redis.script.answers[b"HGETALL"] = say_both_at_once
    purchases = RedisPurchases(connection, "p", 0)
    finding = [Asked(Deferred.fromCoroutine(purchases.find("t"))) for _ in range(6)]
    for each in finding:
        assert isinstance(await each.ended(), Unavailable)
    assert connection.server is None
    assert len(redis.clock.getDelayedCalls()) == 1
    await redis.back()


@pytest_twisted.ensureDeferred
async def test_other_refusals_are_in_the_log_once_and_reading_goes_on(redis: Talk) -> None:
    connection = await redis.open()
    redis.script.answers[b"SET"] = b"-OOM command not allowed, secret\r\n"
    with logged("error") as errors:
        for _ in range(3):
            assert isinstance(await redis.ask(b"SET").ended(), Unavailable)
    assert errors == [f"Redis at 127.0.0.1:{redis.script.number} refuses: OOM"]
    assert await connection.ask(GET) == [b"x"]


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"\x16\x03\x01\r\n", b"\xff\r\n", b"$-9\r\n"]
)
@pytest_twisted.ensureDeferred
async def test_garbage_is_not_taken_for_an_answer(redis: Talk, garbage: bytes) -> None:
    await redis.open()
    redis.script.answers[b"GET"] = garbage
    redis.clock.advance(1)
    assert isinstance(await redis.ask(*GET, again=True).ended(), Unavailable)


PURCHASE = Purchase("t" * 64, "a" * 40, "mp4", ("localhost",), 1, 4_000_000_000_000)
SESSION = Session("d" * 64, "ann", "::1", 1, 4_000_000_000_000)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"EXEC", OK),
        (b"DEL", OK),
        (b"HGETALL", b":1\r\n"),
        (b"HGETALL", text(b"alone")),
        (b"HGETALL", b"*2\r\n$1\r\na\r\n:1\r\n"),
        (b"PEXPIRETIME", OK),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_answer_to_another_question_is_not_believed_and_ends_the_connection(
    redis: Talk, command: bytes, answer: bytes
) -> None:
    connection = await redis.open()
    redis.script.answers |= {
        b"MULTI": OK,
        b"HSET": b"+QUEUED\r\n",
        b"PEXPIREAT": b"+QUEUED\r\n",
        b"EXEC": b"*2\r\n:5\r\n:1\r\n",
        b"HGETALL": text(),
        b"PEXPIRETIME": b":-2\r\n",
        b"DEL": b":1\r\n",
        b"PUBLISH": b":0\r\n",
        command: answer,
    }
    purchases, sessions = RedisPurchases(connection, "p", 0), RedisSessions(connection, "p")
    failed = 0
    for work in (
        purchases.add(PURCHASE),
        sessions.find("d", 0),
        purchases.find("t"),
        sessions.remove("d"),
    ):
        try:
            await work
        except Unavailable:
            failed += 1
            redis.clock.advance(1)
            await until(lambda: connection.server)
    assert failed == {b"HGETALL": 2}.get(command, 1)
    assert connection.generation == failed + 1


# Beginning and ending.


@pytest.mark.parametrize(
    ("command", "answer", "words"),
    [
        (b"PING", b"-LOADING Redis is loading\r\n", "answers LOADING"),
        (b"PING", b"+HELLO\r\n", "does not answer as Redis does"),
        (b"PING", b"-NOAUTH needed\r\n", r"username or password \(NOAUTH\)"),
        (b"ROLE", text(b"slave", b"10.0.0.1"), "not a master"),
        (b"ROLE", b"+master\r\n", "not a master"),
        (b"SELECT", b"-ERR index is out of range\r\n", "answers ERR"),
        (b"ROLE", lambda conversation: conversation.hang_up(), "broke off"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_server_that_cannot_serve_is_told_as_what_it_is(
    redis: Talk, command: bytes, answer: bytes, words: str
) -> None:
    right = redis.script.answers[command]
    redis.script.answers[command] = answer
    async with talk(url=f"redis://127.0.0.1:{redis.script.number}/3") as other:
        with pytest.raises(Unavailable, match=words):
            await other.connection.open()
        redis.script.answers[command] = right
        await other.connection.open()
        assert [b"SELECT", b"3"] in redis.script.commands


@pytest_twisted.ensureDeferred
async def test_an_account_that_may_not_ask_for_the_role_may_serve(redis: Talk) -> None:
    redis.script.answers[b"ROLE"] = b"-NOPERM no\r\n"
    connection = await redis.open()
    assert await connection.ask(GET) == [b"x"]


@pytest_twisted.ensureDeferred
async def test_a_password_is_in_no_message() -> None:
    async with talk(username="oose", password="s3cret") as redis:
        redis.script.answers[b"AUTH"] = b"-ERR unknown command 'AUTH', with args: 's3cret'\r\n"
        with pytest.raises(Unavailable) as refused:
            await redis.open()
        redis.script.answers[b"AUTH"] = b"-WRONGPASS s3cret\r\n"
        with pytest.raises(Unavailable, match="refuses our username or password") as wrong:
            await redis.open()
        assert redis.script.commands[0] == [b"AUTH", b"oose", b"s3cret"]
    assert "s3cret" not in f"{refused.value} {wrong.value}"


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there_or_hangs_is_told_when_it_is_opened() -> None:
    async with talk(url=f"redis://127.0.0.1:{free_port()}/no-number") as redis:
        with pytest.raises(Unavailable, match="refused the connection"):
            await redis.open()
        assert redis.ask(*GET).is_refused
    async with talk(url="redis://\u00e9.example") as redis:
        opening = Deferred.fromCoroutine(redis.connection.open())
        with pytest.raises(Unavailable, match="is not a host's name"):
            await opening
    async with talk() as redis:
        redis.script.answers[b"PING"] = None
        opening = Deferred.fromCoroutine(redis.connection.open())
        await until(lambda: redis.script.heard(b"PING") == 3)
        redis.clock.advance(1.5)
        with pytest.raises(Unavailable, match="does not answer"):
            await opening
        await until(lambda: not redis.script.conversations)


@pytest_twisted.ensureDeferred
async def test_what_is_open_is_not_opened_twice(redis: Talk) -> None:
    connection = await redis.open()
    await redis.open()
    assert (connection.generation, len(redis.script.conversations)) == (1, 3)
    await away(redis)
    with pytest.raises(Unavailable):
        await redis.open()


@pytest_twisted.ensureDeferred
async def test_questions_are_counted_and_not_their_commands(redis: Talk) -> None:
    connection = await redis.open()
    await connection.ask(GET, GET)
    await connection.ask(GET)
    assert connection.asked == 2


@pytest_twisted.ensureDeferred
async def test_closing_ends_questions_attempts_and_probes(redis: Talk) -> None:
    redis.script.answers[b"GET"] = None
    connection = await redis.open()
    asked = redis.ask(*GET, again=True)
    await until(lambda: redis.script.heard(b"GET"))
    await connection.close()
    assert asked.is_refused
    assert redis.ask(*GET, again=True).is_refused
    await until(lambda: not redis.script.conversations)
    await redis.open()
    redis.script.answers[b"PING"] = None
    redis.clock.advance(1)
    redis.script.hang_up()
    await until(lambda: redis.script.heard(b"PING") == 9)
    await connection.close()  # an attempt is under way
    await until(lambda: not redis.script.conversations)
    redis.script.answers[b"PING"] = b"+PONG\r\n"
    await redis.open()
    redis.script.hang_up()
    await until(lambda: connection.server is None)
    assert redis.clock.getDelayedCalls()
    await connection.close()  # a probe is to come
    assert redis.clock.getDelayedCalls() == []
