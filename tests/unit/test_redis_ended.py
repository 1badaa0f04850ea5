"""Who hears what has ended, and how soon it is known that somebody may not."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.errors import Unavailable
from oose.purchases import token_digest
from oose.redis import EndedChannel, RedisConnection, RedisPurchases, RedisSessions
from oose.redis.line import Server
from tests.redis_server import until
from tests.unit.scripted_redis import Conversation, Talk, talk, text

SUBSCRIBED = b"*3\r\n$9\r\nsubscribe\r\n$7\r\np:ended\r\n:1\r\n"
PONG = text(b"pong", b"")


@define
class Listening:
    """A channel on a scripted server, under a clock; `heard` is what ended."""

    talk: Talk
    channel: EndedChannel
    heard: list[str]

    @property
    def clock(self) -> Clock:
        return self.talk.clock

    @property
    def script_line(self) -> Conversation:
        """The server's end of the channel's connection."""
        return self.talk.script.conversations[-1]

    def says(self, message: bytes) -> None:
        self.script_line.say(text(b"message", b"p:ended", message))

    async def pinged(self, count: int) -> None:
        """Wait until so many pings have come on the channel."""
        await until(lambda: self.talk.script.heard(b"PING") == 4 + count)


@pytest_twisted.async_yield_fixture
async def listening() -> AsyncIterator[Listening]:
    async with talk() as talking:
        channel = EndedChannel(talking.connection, "p", talking.clock)
        heard: list[str] = []
        channel.on_purchase(heard.append)
        channel.on_session(lambda digest: heard.append(f"session {digest}"))
        talking.script.answers[b"SUBSCRIBE"] = SUBSCRIBED
        yield Listening(talking, channel, heard)
        await channel.close()


async def opened(listening: Listening) -> EndedChannel:
    await listening.talk.open()
    await listening.channel.open()
    return listening.channel


@pytest_twisted.ensureDeferred
async def test_endings_are_told_by_kind_and_others_passed_over(listening: Listening) -> None:
    channel = await opened(listening)
    assert channel.is_connected
    for message in (b"purchase:abc", b"film:abc", b"nothing", b"session:d", b"purchase:x:y"):
        listening.says(message)
    await until(lambda: len(listening.heard) == 3)
    assert listening.heard == ["abc", "session d", "x:y"]


@pytest_twisted.ensureDeferred
async def test_it_is_connected_for_two_seconds_after_a_ping_that_was_answered(
    listening: Listening,
) -> None:
    channel = await opened(listening)
    era = channel.era
    line = listening.channel._line
    assert line is not None
    listening.clock.advance(1)
    await listening.pinged(1)
    await until(lambda: not line.waiting)
    listening.talk.script.answers[b"PING"] = None
    listening.clock.advance(1.99)
    assert channel.is_connected
    await listening.pinged(2)
    listening.talk.script.answers[b"PING"] = b"+PONG\r\n"
    listening.clock.advance(0.01)
    assert not channel.is_connected
    await until(lambda: not line.is_up)
    await until(lambda: again(listening))
    assert channel.era > era


def again(listening: Listening) -> bool:
    """Let the next second come where it waits for it; whether it is connected."""
    if listening.channel.is_connected:
        return True
    if [call.getTime() for call in listening.clock.getDelayedCalls()] == [
        listening.clock.seconds() + 1
    ]:
        listening.clock.advance(1)
    return False


@pytest_twisted.ensureDeferred
async def test_a_process_that_was_frozen_does_not_believe_that_it_is_connected(
    listening: Listening,
) -> None:
    channel = await opened(listening)
    listening.clock.rightNow += 60  # nothing of it has run meanwhile
    assert not channel.is_connected


@pytest_twisted.ensureDeferred
async def test_when_it_breaks_it_is_not_connected_and_comes_back_in_another_era(
    listening: Listening,
) -> None:
    channel = await opened(listening)
    era = channel.era
    listening.script_line.hang_up()
    await until(lambda: not channel.is_connected)
    assert channel.era == era
    await until(lambda: again(listening))
    assert channel.era == era + 1
    listening.says(b"purchase:abc")
    await until(lambda: listening.heard)


@pytest_twisted.ensureDeferred
async def test_it_tries_each_second_as_long_as_it_cannot_listen(listening: Listening) -> None:
    channel = await opened(listening)
    script = listening.talk.script
    for refusal in (
        b"-NOPERM this user has no permissions\r\n",
        lambda conversation: conversation.hang_up(),
    ):
        script.answers[b"SUBSCRIBE"] = refusal
        listening.script_line.hang_up()
        await until(lambda: not channel.is_connected)
        asked = script.heard(b"SUBSCRIBE")
        await until(lambda: again(listening) or script.heard(b"SUBSCRIBE") > asked + 1)  # noqa: B023
        script.answers[b"SUBSCRIBE"] = SUBSCRIBED
        await until(lambda: again(listening))


@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_let_it_listen_is_left_in_time(listening: Listening) -> None:
    await listening.talk.open()
    listening.talk.script.answers[b"SUBSCRIBE"] = None

    opening = Deferred.fromCoroutine(listening.channel.open())
    await until(lambda: listening.talk.script.heard(b"SUBSCRIBE"))
    listening.clock.advance(1.5)
    with pytest.raises(Unavailable, match="does not answer"):
        await opening
    await until(lambda: len(listening.talk.script.conversations) == 3)
    assert not listening.channel.is_connected


@pytest_twisted.ensureDeferred
async def test_while_nobody_can_be_asked_it_is_not_connected(listening: Listening) -> None:
    channel = await opened(listening)
    _ = listening.talk.connection.distrust("a test")
    assert not channel.is_connected
    line = listening.channel._line
    listening.clock.advance(1)
    await until(lambda: listening.talk.connection.server)
    assert channel.is_connected
    assert listening.channel._line is line  # it had not broken


@pytest_twisted.ensureDeferred
async def test_it_listens_where_questions_are_asked(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await opened(listening)
    line = channel._line
    elsewhere = property(lambda _: Server("192.0.2.1", 6379))
    with monkeypatch.context() as patched:
        patched.setattr(RedisConnection, "server", elsewhere)
        assert not channel.is_connected
        listening.clock.advance(1)
        await until(lambda: channel._line not in (None, line))
    assert channel.is_connected


@pytest_twisted.ensureDeferred
async def test_removals_and_logouts_are_told_before_they_are_answered(
    listening: Listening,
) -> None:
    connection = await listening.talk.open()
    script = listening.talk.script
    script.answers |= {b"DEL": b":0\r\n", b"PUBLISH": b":0\r\n"}
    assert not await RedisPurchases(connection, "p", 0).remove("t")
    assert not await RedisSessions(connection, "p").remove(token_digest("t"))
    assert [command for command in script.commands if command[0] in (b"DEL", b"PUBLISH")] == [
        [b"DEL", b"p:purchase:t"],
        [b"PUBLISH", b"p:ended", b"purchase:t"],
        [b"DEL", f"p:session:{token_digest('t')}".encode()],
        [b"PUBLISH", b"p:ended", f"session:{token_digest('t')}".encode()],
    ]


@pytest_twisted.ensureDeferred
async def test_it_can_be_closed_at_any_time(listening: Listening) -> None:
    await listening.channel.close()
    channel = await opened(listening)
    await channel.open()
    assert listening.talk.script.heard(b"SUBSCRIBE") == 1
    await channel.close()
    assert not channel.is_connected
    await until(lambda: len(listening.talk.script.conversations) == 3)
    assert listening.clock.getDelayedCalls() == []
