"""Parts of a file on their way to clients that read, stall or leave."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.deliver import sending
from oose.deliver.sending import KernelSender, ReadAheadSender, Sender
from oose.errors import Unavailable
from oose.pool import Inline
from oose.ranges import Span
from oose.volume import OpenFile

PATIENCE = 60.0


@define
class Transport:
    """A socket whose other end a test reads."""

    ours: socket.socket
    theirs: socket.socket
    producer: Any = None
    aborted: bool = False
    asks: int = 0
    answers: bool = True
    producerPaused: bool = False  # noqa: N815 # Twisted's name

    def fileno(self) -> int:
        return self.ours.fileno()

    def startWriting(self) -> None:  # noqa: N802 # Twisted's name
        self.asks += 1
        if self.answers:
            self.producer.resumeProducing()

    def abortConnection(self) -> None:
        self.aborted = True


@define
class Request:
    transport: Transport
    written: list[bytes] = field(factory=list)
    sentLength: int = 0  # noqa: N815 # Twisted's name

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802 # Twisted's
        assert streaming
        self.transport.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802 # Twisted's name
        self.transport.producer = None

    def write(self, data: bytes) -> None:
        self.written.append(data)


@pytest.fixture
def request_() -> Iterator[Request]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield Request(Transport(ours, theirs))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[OpenFile]:
    path = tmp_path / "film"
    path.write_bytes(DATA)
    descriptor = os.open(path, os.O_RDWR)
    yield OpenFile(descriptor, len(DATA), None, Inline())
    os.close(descriptor)


DATA = bytes(range(256)) * 4000


def begin(sender: Sender, span: Span) -> list[Any]:
    """Start to send; the result when there is one."""
    sender.start()
    done: list[Any] = []
    _ = Deferred.fromCoroutine(sender.send(span)).addBoth(done.append)
    return done


def drain(request: Request) -> bytes:
    return request.transport.theirs.recv(10_000_000)


def test_the_kernel_sends_what_the_client_takes(request_: Request, file: OpenFile) -> None:
    transport = request_.transport
    transport.answers = False
    sender = KernelSender(request_, file, Clock(), PATIENCE)
    span = Span(1000, len(DATA) - 10)
    done = begin(sender, span)
    taken = b""
    while not done:
        assert transport.producerPaused
        sender.resumeProducing()
        taken += drain(request_)
    sender.end()
    assert done == [True]
    assert taken == DATA[1000:-10]
    assert request_.sentLength == len(taken)
    assert transport.producer is None


def test_a_turn_is_bounded(
    request_: Request, file: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TURN", 1000)
    done = begin(KernelSender(request_, file, Clock(), PATIENCE), Span(0, 5000))
    assert done == [True]
    assert request_.transport.asks == 5
    assert drain(request_) == DATA[:5000]


def test_a_client_that_takes_nothing_is_cut_off(request_: Request, file: OpenFile) -> None:
    clock = Clock()
    request_.transport.answers = False
    sender = KernelSender(request_, file, clock, PATIENCE)
    done = begin(sender, Span(0, 5000))
    clock.advance(PATIENCE - 1)
    assert done == []
    clock.advance(1)
    assert done == [False]
    assert request_.transport.aborted
    sender.resumeProducing()
    assert done == [False]


@pytest.mark.parametrize("kind", [KernelSender, ReadAheadSender])
def test_a_client_that_has_left_ends_it(
    request_: Request, file: OpenFile, kind: type[Sender]
) -> None:
    request_.transport.answers = False
    sender = kind(request_, file, Clock(), PATIENCE)
    sender.start()
    sender.pauseProducing()
    done: list[Any] = []
    _ = Deferred.fromCoroutine(sender.send(Span(0, 500_000))).addBoth(done.append)
    assert done == []
    sender.stopProducing()
    assert done == [False]
    sender.end()
    assert request_.transport.producer is sender


def test_a_client_that_left_before_a_turn_is_not_asked(request_: Request, file: OpenFile) -> None:
    sender = KernelSender(request_, file, Clock(), PATIENCE)
    sender.start()
    sender.stopProducing()
    done: list[Any] = []
    _ = Deferred.fromCoroutine(sender.send(Span(0, 10))).addBoth(done.append)
    assert done == [False]
    assert request_.transport.asks == 0


def test_a_connection_that_broke_is_the_client_leaving(request_: Request, file: OpenFile) -> None:
    request_.transport.theirs.close()
    done = begin(KernelSender(request_, file, Clock(), PATIENCE), Span(0, 5000))
    assert done == [False]


@pytest.mark.parametrize("kind", [KernelSender, ReadAheadSender])
def test_a_file_that_became_shorter_is_noticed(
    request_: Request, file: OpenFile, kind: type[Sender]
) -> None:
    os.ftruncate(file.descriptor, 100)
    sender = kind(request_, file, Clock(), PATIENCE)
    done = begin(sender, Span(0, 5000))
    assert done[0].check(Unavailable)


def test_reading_ahead_sends_all_of_it(
    request_: Request, file: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "READ", 1000)
    done = begin(ReadAheadSender(request_, file, Clock(), PATIENCE), Span(5, 2505))
    assert done == [True]
    assert [len(piece) for piece in request_.written] == [1000, 1000, 500]
    assert b"".join(request_.written) == DATA[5:2505]


def test_no_descriptor_is_left_open(file: OpenFile) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            request = Request(Transport(ours, theirs))
            sender = KernelSender(request, file, Clock(), PATIENCE)
            begin(sender, Span(0, 10))
            sender.end()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
