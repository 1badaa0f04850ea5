"""What a connection to Redis makes of what comes in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from oose.redis.line import Lost, RedisLine, Server, refusals


class Transport(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        assert enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        assert enabled


class Talking:
    def __init__(self) -> None:
        self.line = RedisLine(Server("127.0.0.1", 6379))
        self.transport = Transport()
        self.line.makeConnection(self.transport)

    def ask(self, *commands: bytes) -> list[Any]:
        """Where the replies, or the error, will be found."""
        found: list[Any] = []
        asking = Deferred.fromCoroutine(self.line.ask([(each,) for each in commands]))
        _ = asking.addCallbacks(found.extend, lambda failure: found.append(failure.value))
        return found

    def end(self) -> None:
        self.line.connectionLost(Failure(ConnectionLost()))


EVERYTHING = (
    b"+OK\r\n:-7\r\n$-1\r\n$4\r\na\r\nb\r\n$0\r\n\r\n*0\r\n*-1\r\n"
    b"*2\r\n$1\r\nx\r\n*2\r\n:1\r\n$-1\r\n"
)
MEANS = ["OK", -7, None, b"a\r\nb", b"", [], None, [b"x", [1, None]]]


@given(st.lists(st.integers(1, 40)))
def test_replies_come_in_order_however_they_are_cut(sizes: list[int]) -> None:
    talking = Talking()
    found = talking.ask(*[b"X"] * len(MEANS))
    rest = EVERYTHING
    for size in [*sizes, len(rest)]:
        talking.line.dataReceived(rest[:size])
        rest = rest[size:]
    assert found == MEANS
    assert talking.line.waiting == 0


def test_many_replies_may_come_at_once() -> None:
    talking = Talking()
    found = talking.ask(*[b"X"] * 3000)
    talking.line.dataReceived(b"$1\r\nx\r\n" * 3000)
    assert found == [b"x"] * 3000


def test_commands_are_sent_as_redis_takes_them() -> None:
    talking = Talking()
    talking.ask(b"PING", "é\r\n".encode())
    assert talking.transport.value() == b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\n\xc3\xa9\r\n\r\n"


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"$99999999999\r\n",
        b"*x\r\n",
        b"*-2\r\n",
        b"*99999999999\r\n",
        b":x\r\n",
        b"+\xff\r\n",
        b"+" + b"x" * 20_000,
        b"+" + b"x" * 20_000 + b"\r\n",
        b"+OK\r\n+OK\r\n",
        b"+OK\r\n$1\r\nx\r\n",
    ],
)
def test_what_redis_does_not_say_ends_the_connection(garbage: bytes) -> None:
    talking = Talking()
    talking.ask(b"PING")
    talking.line.dataReceived(garbage)
    assert talking.transport.aborted


def test_when_it_ends_everybody_who_waits_hears_of_it_and_its_owner_first() -> None:
    talking = Talking()
    order: list[str] = []
    talking.line.on_lost = lambda _: order.append("owner")
    first, second = talking.ask(b"A", b"B"), talking.ask(b"C")
    talking.line.dataReceived(b"+OK\r\n")
    _ = talking.line.gone.addCallback(lambda _: order.append("gone"))
    talking.end()
    assert [type(each) for each in first + second] == [Lost, Lost]
    assert order == ["owner", "gone"]
    assert not talking.line.is_up
    [late] = talking.ask(b"D")
    assert isinstance(late, Lost)


def test_nobody_needs_to_listen_to_its_end() -> None:
    talking = Talking()
    talking.line.connectionLost(Failure(ConnectionDone()))
    assert not talking.line.is_up


def test_a_question_given_up_does_not_shift_the_answers() -> None:
    talking = Talking()
    given_up = Deferred.fromCoroutine(talking.line.ask([(b"A",)]))
    _ = given_up.addErrback(lambda _: None)
    found = talking.ask(b"B")
    given_up.cancel()
    talking.line.dataReceived(b"+for A\r\n+for B\r\n")
    assert found == ["for B"]


def test_a_message_is_for_the_subscriber_and_answers_nothing() -> None:
    talking = Talking()
    heard: list[bytes] = []
    message = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
    talking.line.dataReceived(message)
    talking.line.on_message = heard.append
    found = talking.ask(b"PING")
    talking.line.dataReceived(message + b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
    assert heard == [b"hi"]
    assert found == [[b"pong", b""]]


def test_refusals_are_told_by_their_first_word_only() -> None:
    talking = Talking()
    found = talking.ask(b"A", b"B", b"C", b"D")
    talking.line.dataReceived(
        b"-ERR unknown 'AUTH', args: 'secret'\r\n-READONLY no\r\n*2\r\n:1\r\n-OOM x\r\n-\r\n"
    )
    assert refusals(found) == ["ERR", "READONLY", "OOM", "ERR"]
    assert refusals([None, "OK", [b"x"]]) == []


def test_it_is_ended_once_and_takes_no_question_after() -> None:
    talking = Talking()
    talking.line.abort()
    assert talking.transport.aborted
    [late] = talking.ask(b"A")
    assert isinstance(late, Lost)
    talking.transport.aborted = False
    talking.line.abort()
    assert not talking.transport.aborted
    talking.end()


def test_a_server_is_named_as_in_a_url() -> None:
    assert str(Server("::1", 1)) == "[::1]:1"
    assert str(Server("localhost", 1)) == "localhost:1"
