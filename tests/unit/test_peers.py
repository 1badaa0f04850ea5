"""Against real peers on loopback that say exactly what a test has them say."""

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
import pytest_twisted
from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from oose import tls
from oose.credentials import Credentials
from oose.errors import (
    BadInput,
    ChecksumMismatch,
    DiskFull,
    NotAllowed,
    OoseError,
    TooLarge,
    Unavailable,
)
from oose.peers import READ, FileBody, PeerClient
from oose.peers.answers import Unreachable
from oose.peers.client import PING
from oose.reachability import Refused
from oose.volume import OpenFile

P = ParamSpec("P")
T = TypeVar("T")

CAME = 1_700_000_000_000  # ms
CREDENTIALS = Credentials("störe", "p:w")
HASH = hashlib.sha1(b"hello").hexdigest()
STORED = b'{"hash": "x"}'


class AtOnce:
    """A pool that needs no threads."""

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return call(*args, **kwargs)


@define
class ByHand:
    """A pool whose work is done when a test says so."""

    waiting: list[Deferred[None]] = field(factory=list)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        turn: Deferred[None] = Deferred()
        self.waiting.append(turn)
        await turn
        return call(*args, **kwargs)

    def turn(self) -> None:
        self.waiting.pop(0).callback(None)


@define
class Files:
    """Opens files, and knows whether they are still open."""

    folder: Path

    def open(self, content: bytes, pool: Any = None, size: int | None = None) -> OpenFile:
        path = self.folder / "file"
        path.write_bytes(content)
        descriptor = os.open(path, os.O_RDONLY)
        length = len(content) if size is None else size
        return OpenFile(descriptor, length, None, pool or AtOnce())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def is_open(file: OpenFile) -> bool:
    try:
        os.fstat(file.descriptor)
    except OSError:
        return False
    return True


def answer(code: int, body: bytes, head: str = "") -> bytes:
    lines = f"HTTP/1.1 {code} Whatever\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    return lines.encode() + body


def refusal(code: int, message: str) -> bytes:
    return answer(code, json.dumps({"error": message}).encode())


@define
class Peer(Factory):
    """Gives its answer when a request is there whole, or `early`: as soon as its head is."""

    answer: bytes
    early: bool = False
    then: str = "stay"
    deaf: bool = False
    port: int = 0
    head: bytes = b""
    body: bytes = b""
    connections: list["Connection"] = field(factory=list)
    asked: Deferred[None] = field(factory=Deferred)
    lost: Deferred[None] = field(factory=Deferred)

    def buildProtocol(self, addr: object) -> Any:
        self.connections.append(Connection(self))
        return self.connections[-1]


class Connection(Protocol):
    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.taken = b""
        self.over = False

    def connectionMade(self) -> None:
        if self.peer.deaf:
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.taken += data
        head, end, body = self.taken.partition(b"\r\n\r\n")
        if not end or self.peer.asked.called:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0] or b"0")
        if len(body) == length or self.peer.early:
            self.peer.head, self.peer.body = head, body
            self.transport.write(self.peer.answer)  # type: ignore[union-attr]
            self.end(self.peer.then)
            self.peer.asked.callback(None)

    def end(self, how: str) -> None:
        if self.over:
            return
        if how == "close":
            self.transport.loseConnection()  # type: ignore[union-attr]
        elif how == "abort":
            self.transport.abortConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over = True
        if not self.peer.lost.called:
            self.peer.lost.callback(None)


@asynccontextmanager
async def peer_at(
    said: bytes,
    *,
    early: bool = False,
    then: str = "stay",
    deaf: bool = False,
    context: CertificateOptions | None = None,
) -> AsyncIterator[Peer]:
    peer = Peer(said, early=early, then=then, deaf=deaf)
    listen: Any = reactor
    if context is None:
        port = listen.listenTCP(0, peer, interface="127.0.0.1")
    else:
        port = listen.listenSSL(0, peer, context, interface="127.0.0.1")
    peer.port = port.getHost().port
    try:
        yield peer
    finally:
        for connection in peer.connections:
            connection.end("abort")
        await port.stopListening()


@contextmanager
def failing(kind: type[OoseError], words: str) -> Iterator[None]:
    with pytest.raises(OoseError) as caught:
        yield
    assert type(caught.value) is kind
    assert words in caught.value.message


def client(clock: Clock | None = None, pem: Path | None = None) -> PeerClient:
    real: Any = reactor
    return PeerClient(
        real, tls.client_policy(True, own=pem), CREDENTIALS, clock=clock or Clock(), patience=60
    )


async def put(peer: Peer, file: OpenFile, clock: Clock | None = None) -> Any:
    url = f"http://127.0.0.1:{peer.port}/"
    return await client(clock).put_content(url, HASH, "txt", file, CAME)


# Sending.


@pytest_twisted.ensureDeferred
async def test_a_file_is_put_with_its_length_and_our_credentials(files: Files) -> None:
    clock = Clock()
    file = files.open(b"hello")
    async with peer_at(answer(201, STORED)) as peer:
        assert await put(peer, file, clock) == {"hash": "x"}
        await peer.lost
    lines = peer.head.split(b"\r\n")
    assert lines[0] == f"PUT /content/put/{HASH}.txt?created={CAME} HTTP/1.1".encode()
    assert b"Content-Length: 5" in lines
    assert b"Authorization: Basic " + b64encode("störe:p:w".encode()) in lines
    assert peer.body == b"hello"
    assert not is_open(file)
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_large_file_arrives_whole(files: Files) -> None:
    content = bytes(range(256)) * 20_000
    async with peer_at(answer(201, STORED)) as peer:
        await put(peer, files.open(content))
    assert peer.body == content


@pytest_twisted.ensureDeferred
async def test_an_empty_file_is_sent_too(files: Files) -> None:
    async with peer_at(answer(201, STORED)) as peer:
        await put(peer, files.open(b""))
    assert peer.body == b""


@pytest_twisted.ensureDeferred
async def test_peers_on_one_machine_trust_its_certificate(files: Files, tmp_path: Path) -> None:
    pem = tls.self_signed(tmp_path / "own.pem", [], datetime.now(UTC))
    content = b"x" * 1_000_000
    async with peer_at(answer(201, STORED), context=tls.load(pem)) as peer:
        url = f"https://localhost:{peer.port}"
        assert await client(pem=pem).put_content(url, HASH, "txt", files.open(content), CAME)
        with failing(Unreachable, f"No secure connection to localhost:{peer.port}"):
            await client().put_content(url, HASH, "txt", files.open(content), CAME)
    assert peer.body == content


# Refusals.


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (refusal(422, "other bytes"), ChecksumMismatch, "other bytes"),
        (refusal(507, "full"), DiskFull, "full"),
        (refusal(400, "bad"), BadInput, "bad"),
        (refusal(403, "no"), NotAllowed, "no"),
        (refusal(413, "large"), TooLarge, "large"),
        (refusal(503, "away"), Unavailable, "away"),
        (refusal(401, "who?"), Refused, "refuses our credentials"),
        (answer(401, b""), Refused, "refuses our credentials"),
        (refusal(500, "oops"), Unavailable, "answered 500: oops"),
        (refusal(405, "PUT?"), Unavailable, "answered 405: PUT?"),
        (answer(507, b"<html>"), Unavailable, "answered 507, and not as a peer does"),
        (answer(507, b'{"error": 1}'), Unavailable, "answered 507, and not as a peer does"),
        (answer(200, b"[]"), Unavailable, "answered 200, and not as a peer does"),
        (answer(200, b"\xff"), Unavailable, "answered 200, and not as a peer does"),
        (answer(200, b"[" * 100_000), Unavailable, "answered 200, and not as a peer does"),
        (answer(200, b" " * 200_000), Unavailable, "answered 200, and more than any peer does"),
        (answer(302, b"", "Location: http://x/\r\n"), Unavailable, "answered 302, and not"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_refusal_is_passed_on(
    said: bytes, kind: type[OoseError], words: str, files: Files
) -> None:
    file = files.open(b"hello")
    async with peer_at(said) as peer:
        with failing(kind, words):
            await put(peer, file)
        await peer.lost
    assert not is_open(file)


@pytest_twisted.ensureDeferred
async def test_what_a_peer_says_before_it_has_the_body_counts(files: Files) -> None:
    file = files.open(b"x" * 20_000_000)
    async with peer_at(refusal(507, "full"), early=True) as peer:
        with failing(DiskFull, "full"):
            await put(peer, file)
        await peer.lost
    assert not is_open(file)


@pytest_twisted.ensureDeferred
async def test_a_peer_that_is_not_there_is_named(files: Files) -> None:
    file = files.open(b"hello")
    async with peer_at(b"") as peer:
        pass
    with failing(Unreachable, f"127.0.0.1:{peer.port} refused the connection"):
        await put(peer, file)
    assert not is_open(file)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "did not answer as a web server does"),
        (b"220 hello\r\n", "did not answer as a web server does"),
        (answer(201, b"")[:-2], "did not answer as a web server does"),
        (answer(201, STORED)[:-1], "broke off before everything was there"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_peer_that_breaks_off_is_unavailable(said: bytes, words: str, files: Files) -> None:
    file = files.open(b"hello")
    async with peer_at(said, then="close") as peer:
        with failing(Unreachable, words):
            await put(peer, file)
    assert not is_open(file)


@pytest_twisted.ensureDeferred
async def test_a_peer_that_breaks_off_while_it_is_sent_to_is_unavailable(files: Files) -> None:
    file = files.open(b"x" * 20_000_000)
    async with peer_at(b"", early=True, then="abort") as peer:
        with failing(Unreachable, "did not answer as a web server does"):
            await put(peer, file)
    assert not is_open(file)


@pytest_twisted.ensureDeferred
async def test_a_file_that_has_become_shorter_is_not_passed_off_as_whole(files: Files) -> None:
    file = files.open(b"hello", size=6)
    async with peer_at(answer(201, STORED)) as peer:
        with failing(Unavailable, "shorter than it was"):
            await put(peer, file)
        await peer.lost
    assert not is_open(file)


# Pings.


@pytest_twisted.ensureDeferred
async def test_why_a_peer_does_not_answer_a_ping_is_told() -> None:
    clock = Clock()
    async with peer_at(answer(200, b"{}")) as peer:
        url = f"http://127.0.0.1:{peer.port}"
        await client(clock).greet(url)
        await peer.lost
    with failing(Unreachable, f"127.0.0.1:{peer.port} refused the connection"):
        await client(clock).greet(url)
    assert not await client(clock).ping(url)
    async with peer_at(b"") as peer:
        greeting = Deferred.fromCoroutine(client(clock).greet(f"http://127.0.0.1:{peer.port}"))
        await peer.asked
        clock.advance(PING)
        with failing(Unreachable, f"127.0.0.1:{peer.port} said nothing for 2 seconds"):
            await greeting
        await peer.lost
    assert not clock.getDelayedCalls()


# Patience.


@pytest_twisted.ensureDeferred
async def test_a_peer_that_never_answers_is_given_up(files: Files) -> None:
    clock = Clock()
    file = files.open(b"hello")
    async with peer_at(b"") as peer:
        result = Deferred.fromCoroutine(put(peer, file, clock))
        await peer.asked
        clock.advance(60)
        assert not result.called
        clock.advance(60)
        with failing(Unreachable, f"127.0.0.1:{peer.port} did not go on for 60 seconds"):
            await result
        await peer.lost
    assert not is_open(file)
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_peer_that_stops_in_its_answer_is_given_up(files: Files) -> None:
    clock = Clock()
    async with peer_at(answer(201, STORED)[:-1]) as peer:
        result = Deferred.fromCoroutine(put(peer, files.open(b"hello"), clock))
        await peer.asked
        for _ in range(20):
            await _turn()
        clock.pump([60, 60])
        with failing(Unreachable, "did not go on for 60 seconds"):
            await result
        await peer.lost


@pytest_twisted.ensureDeferred
async def test_a_peer_that_takes_no_more_is_given_up(files: Files) -> None:
    clock = Clock()
    file = files.open(b"x" * 50_000_000)
    async with peer_at(b"", deaf=True) as peer:
        result = Deferred.fromCoroutine(put(peer, file, clock))
        while not peer.connections:
            await _turn()
        for _ in range(200):
            await _turn()
        clock.pump([60, 60])
        with failing(Unreachable, "did not go on for 60 seconds"):
            await result
    assert not is_open(file)


@pytest_twisted.ensureDeferred
async def test_a_cancellation_closes_everything(files: Files) -> None:
    clock = Clock()
    file = files.open(b"hello")
    async with peer_at(b"") as peer:
        result = Deferred.fromCoroutine(put(peer, file, clock))
        await peer.asked
        result.cancel()
        with pytest.raises(CancelledError):
            await result
        await peer.lost
    assert not is_open(file)
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_cancellation_while_connecting_closes_the_file(files: Files) -> None:
    file = files.open(b"hello")
    async with peer_at(b"") as peer:
        result = Deferred.fromCoroutine(put(peer, file))
        result.cancel()
        with pytest.raises(CancelledError):
            await result
    assert not is_open(file)


# The body of a request.


@implementer(IConsumer)
@define
class Taker:
    """A consumer that keeps all it gets, and stops its producer when `enough` tells it to."""

    taken: list[bytes] = field(factory=list)
    on_write: Callable[[], None] = lambda: None

    def write(self, data: bytes) -> None:
        self.taken.append(data)
        self.on_write()

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802
        """Not by a body."""

    def unregisterProducer(self) -> None:  # noqa: N802
        """Not by a body."""


def test_a_body_is_a_body_producer(files: Files) -> None:
    body = FileBody(files.open(b"hello"))
    verifyObject(IBodyProducer, body)
    assert body.length == 5
    body.stopProducing()


@pytest_twisted.ensureDeferred
async def test_a_body_is_read_in_pieces_that_can_be_watched(files: Files) -> None:
    content = os.urandom(2 * READ + 5)
    file, digest, taker = files.open(content), hashlib.sha256(), Taker()
    body = FileBody(file, digest.update)
    await body.startProducing(taker)
    assert [len(piece) for piece in taker.taken] == [READ, READ, 5]
    assert b"".join(taker.taken) == content
    assert digest.digest() == hashlib.sha256(content).digest()
    assert body.sent == len(content)
    assert not is_open(file)


@pytest_twisted.ensureDeferred
async def test_a_body_sends_no_more_than_its_length(files: Files) -> None:
    taker = Taker()
    await FileBody(files.open(b"hello, world", size=5)).startProducing(taker)
    assert taker.taken == [b"hello"]


@pytest_twisted.ensureDeferred
async def test_a_paused_body_reads_nothing(files: Files) -> None:
    taker, pool = Taker(), ByHand()
    body = FileBody(files.open(b"x" * (READ + 1), pool))
    done = body.startProducing(taker)
    body.pauseProducing()
    body.pauseProducing()
    pool.turn()
    assert (len(taker.taken), pool.waiting) == (1, [])
    body.resumeProducing()
    body.resumeProducing()
    pool.turn()
    await done
    assert len(taker.taken) == 2


def test_a_body_stopped_while_it_reads_writes_nothing_and_closes_its_file(files: Files) -> None:
    taker, pool = Taker(), ByHand()
    file = files.open(b"hello", pool)
    body = FileBody(file)
    done = body.startProducing(taker)
    body.stopProducing()
    assert is_open(file)
    pool.turn()
    body.stopProducing()
    assert not is_open(file)
    assert taker.taken == []
    assert not done.called


def test_a_body_stopped_while_it_waits_reads_nothing_more(files: Files) -> None:
    pool = ByHand()
    file = files.open(b"x" * (READ + 1), pool)
    body = FileBody(file)
    body.pauseProducing()
    done = body.startProducing(Taker())
    body.stopProducing()
    assert pool.waiting == []
    assert not is_open(file)
    assert not done.called


def test_a_body_may_be_stopped_from_within_a_write(files: Files) -> None:
    file = files.open(b"x" * (READ + 1))
    body = FileBody(file)
    taker = Taker(on_write=body.stopProducing)
    done = body.startProducing(taker)
    assert len(taker.taken) == 1
    assert not is_open(file)
    assert not done.called


def test_a_body_that_fails_after_it_was_stopped_says_nothing(files: Files) -> None:
    pool = ByHand()
    file = files.open(b"", pool, size=1)
    body = FileBody(file)
    done = body.startProducing(Taker())
    body.stopProducing()
    pool.turn()
    assert not done.called
    assert not is_open(file)


@pytest_twisted.ensureDeferred
async def test_a_body_on_a_disk_that_fails_is_unavailable(files: Files, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    file = OpenFile(folder, 5, None, AtOnce())
    with failing(Unavailable, "cannot be read: Is a directory"):
        await FileBody(file).startProducing(Taker())
    assert not is_open(file)


@pytest_twisted.ensureDeferred
async def test_a_cancelled_body_closes_its_file(files: Files) -> None:
    pool = ByHand()
    file = files.open(b"hello", pool)
    done = FileBody(file).startProducing(Taker())
    done.cancel()
    with pytest.raises(CancelledError):
        await done
    pool.turn()
    assert not is_open(file)


async def _turn() -> None:
    turned: Deferred[None] = Deferred()
    real: Any = reactor
    real.callLater(0, turned.callback, None)
    await turned
