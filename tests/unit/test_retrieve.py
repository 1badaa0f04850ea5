"""Against real servers on loopback that say exactly what a test has them say."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from attrs import define, field, frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import DNSLookupError, TCPTimedOutError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from oose import tls
from oose.errors import NotAllowed, OoseError, SourceFailed, SourceTooSlow, TooLarge, Unavailable
from oose.retrieve import Head, Limits, Retriever, parse_source
from tests.real import reactor

FILE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


@define
class Server(Factory):
    """Answers the request on each connection with the next of `answers`, then does `after`."""

    answers: list[bytes]
    after: str = "close"
    greeting: bytes = b""
    port: int = 0
    heads: list[bytes] = field(factory=list)
    connections: list["Connection"] = field(factory=list)
    asked: Deferred[None] = field(factory=Deferred)
    lost: Deferred[None] = field(factory=Deferred)

    def buildProtocol(self, addr: object) -> Any:
        connection = Connection(self)
        self.connections.append(connection)
        return connection


class Connection(Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.head = b""
        self.over = False

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.server.greeting)

    def dataReceived(self, data: bytes) -> None:
        self.head += data
        if not self.head.endswith(b"\r\n\r\n"):
            return
        self.server.heads.append(self.head)
        assert self.transport is not None
        self.transport.write(self.server.answers.pop(0))
        self.end(self.server.after)
        if not self.server.asked.called:
            self.server.asked.callback(None)

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def end(self, how: str) -> None:
        assert self.transport is not None
        if self.over:
            return
        if how == "close":
            self.transport.loseConnection()
        elif how == "abort":
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over = True
        if not self.server.lost.called:
            self.server.lost.callback(None)


@asynccontextmanager
async def serving(
    *answers: bytes, after: str = "close", context: CertificateOptions | None = None
) -> AsyncIterator[Server]:
    server = Server(list(answers), after)
    port: Any
    if context is None:
        port = reactor.listenTCP(0, server, interface="127.0.0.1")
    else:
        port = reactor.listenSSL(0, server, context, interface="127.0.0.1")
    server.port = port.getHost().port
    try:
        yield server
    finally:
        for connection in server.connections:
            connection.end("abort")
        stopped = port.stopListening()
        assert stopped is not None
        await stopped


@define
class Receiver:
    """Takes the bytes; `pauses_at` bytes it has the source wait until `go_on`."""

    pauses_at: int | None = None
    fails_with: Exception | None = None
    body: bytes = b""
    held: Deferred[None] = field(factory=Deferred)
    pause: Callable[[], None] = lambda: None
    go_on: Callable[[], None] = lambda: None

    def on_pressure(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self.pause, self.go_on = pause, resume

    def feed(self, chunk: bytes) -> None:
        if self.fails_with is not None:
            raise self.fails_with
        self.body += chunk
        if self.pauses_at is not None and len(self.body) >= self.pauses_at:
            self.pause()
            if not self.held.called:
                self.held.callback(None)


@frozen
class Names:
    """A name server; `script` holds one answer for each time it is asked."""

    script: list[Sequence[str] | Exception]
    asked: list[str] = field(factory=list)

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@define
class Import:
    """One import as a test sets it up."""

    clock: Clock = field(factory=Clock)
    receiver: Receiver = field(factory=Receiver)
    heads: list[Head] = field(factory=list)
    names: Names | None = None
    allow_private: bool = True
    max_size: int | None = None
    max_redirects: int = 3
    policy: IPolicyForHTTPS | None = None

    async def begin(self, head: Head) -> Receiver:
        self.heads.append(head)
        return self.receiver

    async def fetch(self, request: object) -> bytes:
        retriever = Retriever(
            reactor,
            self.clock,
            Limits(
                allow_private=self.allow_private,
                timeout=30,
                max_size=self.max_size,
                max_redirects=self.max_redirects,
            ),
            resolve=self.names.resolve if self.names else None,
            policy=self.policy,
        )
        receiver = await retriever.fetch(parse_source(request), self.begin)
        assert receiver is self.receiver
        assert not self.clock.getDelayedCalls()
        return receiver.body


async def fetched(*answers: bytes, after: str = "close") -> bytes:
    async with serving(*answers, after=after) as server:
        return await Import().fetch(f"http://127.0.0.1:{server.port}/")


def outcome_of(result: Deferred[Any]) -> None:
    """Raise what has failed already."""
    failures: list[Failure] = []
    _ = result.addErrback(failures.append)
    failures[0].raiseException()


@contextmanager
def failing(kind: type[OoseError], words: str) -> Iterator[None]:
    with pytest.raises(OoseError) as caught:
        yield
    assert type(caught.value) is kind
    assert words in caught.value.message


# What comes in whole.


@pytest_twisted.ensureDeferred
async def test_a_file_is_fed_to_the_receiver_whole() -> None:
    done = Import()
    async with serving(FILE) as server:
        url = f"http://127.0.0.1:{server.port}/a%20b?c=d"
        assert await done.fetch(url) == b"hello"
    assert done.heads == [Head(url, "text/plain", 5)]
    lines = server.heads[0].split(b"\r\n")
    assert lines[0] == b"GET /a%20b?c=d HTTP/1.1"
    assert b"Accept-Encoding: identity" in lines
    assert b"Connection: close" in lines
    assert f"Host: 127.0.0.1:{server.port}".encode() in lines


@pytest_twisted.ensureDeferred
async def test_the_importers_headers_are_sent() -> None:
    async with serving(FILE) as server:
        url = f"http://me:you@127.0.0.1:{server.port}/"
        headers = {"X-Key": "ä", "User-Agent": "mine"}
        await Import().fetch({"url": url, "method": "get", "headers": headers})
    assert b"\r\nX-Key: \xc3\xa4\r\n" in server.heads[0]
    assert b"\r\nAuthorization: Basic bWU6eW91\r\n" in server.heads[0]
    assert b"OOSE" not in server.heads[0]


@pytest_twisted.ensureDeferred
async def test_names_are_resolved_by_the_reactor() -> None:
    async with serving(FILE) as server:
        assert await Import().fetch(f"http://localhost:{server.port}/") == b"hello"


@pytest_twisted.ensureDeferred
async def test_the_connection_is_closed_after_a_whole_file() -> None:
    async with serving(FILE, after="stay") as server:
        await Import().fetch(f"http://127.0.0.1:{server.port}/")
        await server.lost


@pytest_twisted.ensureDeferred
async def test_chunks_are_joined() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert await fetched(head + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n") == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    done = Import()
    async with serving(b"HTTP/1.0 200 OK\r\nContent-Encoding: Identity\r\n\r\nhello") as server:
        assert await done.fetch(f"http://127.0.0.1:{server.port}/") == b"hello"
    assert (done.heads[0].content_type, done.heads[0].length) == (None, None)


@pytest_twisted.ensureDeferred
async def test_an_empty_file_is_a_file() -> None:
    assert await fetched(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == b""


@pytest_twisted.ensureDeferred
async def test_a_file_of_exactly_the_largest_size_is_taken() -> None:
    async with serving(FILE) as server:
        done = Import(max_size=5)
        assert await done.fetch(f"http://127.0.0.1:{server.port}/") == b"hello"


# What does not.


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\noops!", "answered 404 Not Found"),
        (b"HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n", "answered 500"),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nx", "answered 206 Partial"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "answered 204 No Content"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "answered 304 Not Modified"),
        (b"HTTP/1.1 300 Choose\r\nLocation: /b\r\n\r\n", "answered 300 Choose"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "answered 302 without saying where"),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://a/b\r\n\r\n", "no http or https URL"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[x/\r\n\r\n", "no http or https URL"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://a b/\r\n\r\n", "no http or https URL"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nx", "encoded as gzip"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "broke off before"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhel", "broke off before"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "broke off before"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhel", "did not answer as"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "did not answer as"),
        (b"HTTP/1.1 200 OK\r\nContent-", "did not answer as"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "did not answer as"),
        (b"", "did not answer as"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, "did not answer as"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_answer_that_is_no_whole_file_is_refused(answer: bytes, words: str) -> None:
    with failing(SourceFailed, words):
        await fetched(answer)


@pytest_twisted.ensureDeferred
async def test_endless_headers_are_cut_off() -> None:
    async with serving(b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, after="stay") as server:
        with failing(SourceFailed, "did not answer as a web server does"):
            await Import().fetch(f"http://127.0.0.1:{server.port}/")
        await server.lost


@pytest_twisted.ensureDeferred
async def test_a_body_without_a_length_that_the_network_cuts_off_is_not_whole() -> None:
    job = Import(receiver=Receiver(pauses_at=1))
    async with serving(b"HTTP/1.1 200 OK\r\n\r\nhello", after="stay") as server:
        result = Deferred.fromCoroutine(job.fetch(f"http://127.0.0.1:{server.port}/"))
        await job.receiver.held
        server.connections[0].end("abort")
        job.receiver.go_on()
        with failing(SourceFailed, "broke off before everything"):
            await result


@pytest_twisted.ensureDeferred
async def test_a_source_that_is_not_there_is_named() -> None:
    async with serving() as server:
        pass
    with failing(SourceFailed, "127.0.0.1 refused the connection"):
        await Import().fetch(f"http://127.0.0.1:{server.port}/")


@pytest_twisted.ensureDeferred
async def test_a_name_that_nobody_has_is_named() -> None:
    with failing(SourceFailed, "There is no host nowhere.example"):
        await Import(names=Names([DNSLookupError()])).fetch("http://nowhere.example/")


@pytest_twisted.ensureDeferred
async def test_a_file_that_says_it_is_too_large_is_not_begun() -> None:
    job = Import(max_size=4)
    async with serving(FILE) as server:
        with failing(TooLarge, "larger than 4 bytes"):
            await job.fetch(f"http://127.0.0.1:{server.port}/")
    assert job.heads == []


@pytest_twisted.ensureDeferred
async def test_a_file_that_turns_out_too_large_is_cut_off() -> None:
    job = Import(max_size=4)
    async with serving(b"HTTP/1.1 200 OK\r\n\r\nhello", after="stay") as server:
        with failing(TooLarge, "larger than 4 bytes"):
            await job.fetch(f"http://127.0.0.1:{server.port}/")
        await server.lost
    assert job.receiver.body == b""


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_fails_ends_the_import() -> None:
    job = Import(receiver=Receiver(fails_with=Unavailable("disk is gone")))
    async with serving(FILE[:-1], after="stay") as server:
        with failing(Unavailable, "disk is gone"):
            await job.fetch(f"http://127.0.0.1:{server.port}/")
        await server.lost


@pytest_twisted.ensureDeferred
async def test_nothing_is_fed_to_a_receiver_that_failed() -> None:
    class Counting(Receiver):
        def feed(self, chunk: bytes) -> None:
            self.body += chunk
            super().feed(b"")

    job = Import(receiver=Counting(fails_with=Unavailable("disk is gone")))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(head + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n") as server:
        with failing(Unavailable, "disk is gone"):
            await job.fetch(f"http://127.0.0.1:{server.port}/")
    assert job.receiver.body == b"hel"


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_cannot_begin_ends_the_import() -> None:
    class Refusing(Import):
        async def begin(self, head: Head) -> Receiver:
            raise Unavailable("no store")

    async with serving(FILE, after="stay") as server:
        with failing(Unavailable, "no store"):
            await Refusing().fetch(f"http://127.0.0.1:{server.port}/")
        await server.lost


# Time, pressure, cancellation.


@pytest_twisted.ensureDeferred
async def test_a_source_that_never_answers_is_given_up() -> None:
    job = Import()
    async with serving(b"", after="stay") as server:
        result = Deferred.fromCoroutine(job.fetch(f"http://127.0.0.1:{server.port}/"))
        await server.asked
        job.clock.advance(30)
        with failing(SourceTooSlow, "longer than 30 seconds"):
            await result
        await server.lost


@pytest_twisted.ensureDeferred
async def test_a_source_that_stops_in_the_middle_is_given_up() -> None:
    job = Import(receiver=Receiver(pauses_at=4))
    async with serving(FILE[:-1], after="stay") as server:
        result = Deferred.fromCoroutine(job.fetch(f"http://127.0.0.1:{server.port}/"))
        await job.receiver.held
        job.receiver.go_on()
        job.clock.advance(30)
        with failing(SourceTooSlow, "longer than 30 seconds"):
            await result
        await server.lost


@pytest_twisted.ensureDeferred
async def test_a_name_server_that_never_answers_is_given_up() -> None:
    class Silent(Names):
        async def resolve(self, host: str) -> Sequence[str]:
            return await Deferred[Sequence[str]]()

    job = Import(names=Silent([]))
    result = Deferred.fromCoroutine(job.fetch("http://example.com/"))
    job.clock.advance(30)
    with failing(SourceTooSlow, "longer than 30 seconds"):
        await result


@pytest_twisted.ensureDeferred
async def test_the_source_waits_while_the_receiver_has_enough() -> None:
    body = bytes(range(256)) * 65536
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    job = Import(receiver=Receiver(pauses_at=1))
    async with serving(head + body) as server:
        result = Deferred.fromCoroutine(job.fetch(f"http://127.0.0.1:{server.port}/"))
        await job.receiver.held
        for _ in range(50):
            await _turn()
        assert len(job.receiver.body) < 1024 * 1024
        job.receiver.pauses_at = None
        job.receiver.go_on()
        assert await result == body
    job.receiver.pause()
    job.receiver.go_on()


@pytest_twisted.ensureDeferred
async def test_a_receiver_may_hold_and_release_the_source_at_every_chunk() -> None:
    class Fickle(Receiver):
        def feed(self, chunk: bytes) -> None:
            super().feed(chunk)
            self.pause()
            self.go_on()

    body = b"x" * 1_000_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(head + body) as server:
        job = Import(receiver=Fickle())
        assert await job.fetch(f"http://127.0.0.1:{server.port}/") == body


@pytest_twisted.ensureDeferred
async def test_a_receiver_may_hold_and_release_the_source_before_the_first_byte() -> None:
    class Early(Receiver):
        def on_pressure(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
            super().on_pressure(pause, resume)
            pause()
            resume()
            pause()
            self.held.callback(None)

    job = Import(receiver=Early())
    async with serving(FILE[:-1], after="stay") as server:
        result = Deferred.fromCoroutine(job.fetch(f"http://127.0.0.1:{server.port}/"))
        await job.receiver.held
        server.connections[0].say(b"o")
        for _ in range(20):
            await _turn()
        assert job.receiver.body == b"hell"
        job.receiver.go_on()
        assert await result == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_all_there_before_the_receiver_is_ready_is_taken() -> None:
    class Slow(Import):
        async def begin(self, head: Head) -> Receiver:
            await server.lost
            return self.receiver

    async with serving(FILE, after="stay") as server:
        assert await Slow().fetch(f"http://127.0.0.1:{server.port}/") == b"hello"


@pytest_twisted.ensureDeferred
async def test_nothing_is_fed_after_a_cancellation() -> None:
    body = b"x" * 10_000_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    job = Import(receiver=Receiver(pauses_at=1))
    async with serving(head + body, after="stay") as server:
        result = Deferred.fromCoroutine(job.fetch(f"http://127.0.0.1:{server.port}/"))
        await job.receiver.held
        taken = len(job.receiver.body)
        job.receiver.pauses_at = None
        job.receiver.go_on()
        result.cancel()
        with pytest.raises(CancelledError):
            await result
        await server.lost
        assert len(job.receiver.body) == taken
        assert not job.clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_cancellation_before_the_answer_closes_the_connection() -> None:
    job = Import()
    async with serving(b"", after="stay") as server:
        result = Deferred.fromCoroutine(job.fetch(f"http://127.0.0.1:{server.port}/"))
        await server.asked
        result.cancel()
        with pytest.raises(CancelledError):
            await result
        await server.lost


@pytest_twisted.ensureDeferred
async def test_a_cancellation_while_connecting_is_one_too() -> None:
    job = Import(names=Names([["127.0.0.1"]]))
    async with serving() as server:
        result = Deferred.fromCoroutine(job.fetch(f"http://a.example:{server.port}/"))
        result.cancel()
        with pytest.raises(CancelledError):
            await result


# Redirects.


def redirect(location: str, code: int = 302) -> bytes:
    return f"HTTP/1.1 {code} Go\r\nLocation: {location}\r\nContent-Length: 3\r\n\r\nno!".encode()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest_twisted.ensureDeferred
async def test_redirects_are_followed(code: int) -> None:
    job = Import()
    async with serving(redirect("../c d?e#f", code), FILE) as server:
        assert await job.fetch(f"http://127.0.0.1:{server.port}/a/b/x") == b"hello"
    assert server.heads[1].startswith(b"GET /a/c%20d?e HTTP/1.1\r\n")
    assert job.heads[0].url == f"http://127.0.0.1:{server.port}/a/c%20d?e"


@pytest_twisted.ensureDeferred
async def test_as_many_redirects_as_allowed_are_followed_and_no_more() -> None:
    async with serving(*[redirect("/x")] * 3, FILE) as server:
        await Import(max_redirects=3).fetch(f"http://127.0.0.1:{server.port}/")
    async with serving(*[redirect("/x")] * 3) as server:
        with failing(SourceFailed, "redirects more than 2 times"):
            await Import(max_redirects=2).fetch(f"http://127.0.0.1:{server.port}/")


@pytest_twisted.ensureDeferred
async def test_the_connection_to_a_redirecting_server_is_closed() -> None:
    async with serving(redirect("/x"), after="stay") as server, serving(FILE) as other:
        server.answers = [redirect(f"http://127.0.0.1:{other.port}/")]
        await Import().fetch(f"http://127.0.0.1:{server.port}/")
        await server.lost


@pytest_twisted.ensureDeferred
async def test_credentials_stay_with_their_server() -> None:
    headers = {"Authorization": "Bearer x", "cookie": "a=b", "X-Key": "c"}
    async with serving() as server, serving() as other:
        back = f"http://127.0.0.1:{server.port}/"
        server.answers = [redirect("/x"), redirect(f"http://127.0.0.1:{other.port}/"), FILE]
        other.answers = [redirect(back)]
        await Import().fetch({"url": back, "headers": headers})
    assert b"Bearer x" in server.heads[1]
    assert b"a=b" in server.heads[1]
    for head in (other.heads[0], server.heads[2]):
        assert b"Bearer x" not in head
        assert b"a=b" not in head
        assert b"X-Key: c" in head.replace(b"X-key", b"X-Key")


# Addresses.


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "１２７.0.0.1",
    ],
)
@pytest_twisted.ensureDeferred
async def test_internal_addresses_are_refused_however_they_are_spelt(host: str) -> None:
    async with serving(FILE) as server:
        with failing(NotAllowed, "retrieve.allow_private"):
            await Import(allow_private=False).fetch(f"http://{host}:{server.port}/")
    assert server.connections == []


@pytest_twisted.ensureDeferred
async def test_one_internal_address_among_public_ones_is_enough_to_refuse() -> None:
    names = Names([["93.184.216.34", "127.0.0.1"]])
    with failing(NotAllowed, "not a host on the public internet"):
        await Import(allow_private=False, names=names).fetch("http://a.example/")


@given(
    st.lists(st.ip_addresses().filter(lambda address: not address.is_global), min_size=1),
    st.lists(st.just("93.184.216.34")),
)
def test_any_answer_with_an_internal_address_is_refused(
    internal: list[object], public: list[str]
) -> None:
    names = Names([[*public, *map(str, internal)]])
    job = Import(allow_private=False, names=names)
    result = Deferred.fromCoroutine(job.fetch("http://a.example/"))
    with failing(NotAllowed, "not a host on the public internet"):
        outcome_of(result)


@pytest_twisted.ensureDeferred
async def test_each_server_redirected_to_is_resolved_once() -> None:
    names = Names([["127.0.0.1"], ["127.0.0.1"]])
    async with serving() as server:
        server.answers = [redirect(f"http://b.example:{server.port}/"), FILE]
        await Import(names=names).fetch(f"http://a.example:{server.port}/")
    assert names.asked == ["a.example", "b.example"]


@pytest_twisted.ensureDeferred
async def test_the_next_address_is_tried_when_one_cannot_be_reached() -> None:
    async with serving(FILE) as server:
        names = Names([["127.0.0.2", "::1", "127.0.0.1"]])
        assert await Import(names=names).fetch(f"http://a.example:{server.port}/") == b"hello"


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111"])
def test_only_the_address_that_was_judged_is_connected_to(address: str) -> None:
    memory = MemoryReactorClock()
    names = Names([[address], ["127.0.0.1"]])
    limits = Limits(allow_private=False, timeout=30, max_size=None, max_redirects=3)
    retriever = Retriever(memory, memory, limits, resolve=names.resolve)
    source = parse_source("http://rebinding.example:8080/")
    result = Deferred.fromCoroutine(retriever.fetch(source, Import().begin))
    [(host, port, factory, *_)] = memory.tcpClients
    assert (host, port) == (address, 8080)
    assert names.asked == ["rebinding.example"]
    factory.clientConnectionFailed(cast("Any", None), Failure(TCPTimedOutError()))
    with failing(SourceFailed, "rebinding.example did not take the connection in time"):
        outcome_of(result)


# TLS.


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "tls.pem"
    return tls.self_signed(path, ["a.example"], datetime.now(UTC))


@pytest_twisted.ensureDeferred
async def test_https_is_spoken(pem: Path) -> None:
    names = Names([["127.0.0.1"]])
    async with serving(FILE, context=tls.load(pem)) as server:
        job = Import(names=names, policy=tls.client_policy(pem, own=None))
        assert await job.fetch(f"https://a.example:{server.port}/") == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_nobody_vouches_for_is_refused(pem: Path) -> None:
    async with serving(FILE, context=tls.load(pem)) as server:
        with failing(SourceFailed, "No secure connection to 127.0.0.1"):
            await Import().fetch(f"https://127.0.0.1:{server.port}/")
    assert server.heads == []


@pytest_twisted.ensureDeferred
async def test_a_certificate_for_another_name_is_refused(pem: Path) -> None:
    names = Names([["127.0.0.1"]])
    async with serving(FILE, context=tls.load(pem)) as server:
        job = Import(names=names, policy=tls.client_policy(pem, own=None))
        with failing(SourceFailed, "certificate of b.example is for another name"):
            await job.fetch(f"https://b.example:{server.port}/")
    assert server.heads == []


@pytest_twisted.ensureDeferred
async def test_a_server_without_tls_is_refused_for_https() -> None:
    async with serving() as server:
        server.greeting = b"220 Hello\r\n"
        with failing(SourceFailed, "No secure connection to 127.0.0.1"):
            await Import().fetch(f"https://127.0.0.1:{server.port}/")


@pytest_twisted.ensureDeferred
async def test_a_body_without_a_length_that_tls_did_not_end_is_not_whole(pem: Path) -> None:
    job = Import(
        names=Names([["127.0.0.1"]]),
        policy=tls.client_policy(pem, own=None),
        receiver=Receiver(pauses_at=1),
    )
    answer = b"HTTP/1.1 200 OK\r\n\r\nhello"
    async with serving(answer, after="stay", context=tls.load(pem)) as server:
        result = Deferred.fromCoroutine(job.fetch(f"https://a.example:{server.port}/"))
        await job.receiver.held
        transport: Any = server.connections[0].transport
        beneath = transport.transport
        beneath.loseConnection()
        job.receiver.go_on()
        with failing(SourceFailed, "broke off before everything"):
            await result


async def _turn() -> None:
    turned: Deferred[None] = Deferred()
    reactor.callLater(0, turned.callback, None)
    await turned
