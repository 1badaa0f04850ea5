"""Parts of a file on their way to clients that read, stall or leave."""

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.deliver import sending
from oose.deliver.flow import Flow
from oose.deliver.sending import LocalFile, by_kernel, read_ahead
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
    secure: bool = False

    def isSecure(self) -> bool:  # Twisted's name
        return self.secure

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802 # Twisted's
        assert streaming
        self.transport.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802 # Twisted's name
        self.transport.producer = None

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.sentLength += len(data)


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


Way = Callable[[OpenFile, Flow, Span], Awaitable[bool]]
WAYS = pytest.mark.parametrize("way", [by_kernel, read_ahead])


def flow_to(request: Request, clock: Clock | None = None) -> Flow:
    flow = Flow(request, clock or Clock(), PATIENCE)
    flow.start()
    return flow


def begin(way: Any, file: OpenFile, flow: Flow, span: Span) -> list[Any]:
    """Start to send; the result when there is one."""
    done: list[Any] = []
    _ = Deferred.fromCoroutine(way(file, flow, span)).addBoth(done.append)
    return done


def drain(request: Request) -> bytes:
    return request.transport.theirs.recv(10_000_000)


def test_the_kernel_sends_what_the_client_takes(request_: Request, file: OpenFile) -> None:
    transport = request_.transport
    transport.answers = False
    flow = flow_to(request_)
    done = begin(by_kernel, file, flow, Span(1000, len(DATA) - 10))
    taken = b""
    while not done:
        assert transport.producerPaused
        flow.resumeProducing()
        taken += drain(request_)
    flow.end()
    assert done == [True]
    assert taken == DATA[1000:-10]
    assert flow.sent == len(taken)
    assert transport.producer is None


def test_a_turn_is_bounded(
    request_: Request, file: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TURN", 1000)
    done = begin(by_kernel, file, flow_to(request_), Span(0, 5000))
    assert done == [True]
    assert request_.transport.asks == 5
    assert drain(request_) == DATA[:5000]


@WAYS
def test_a_client_that_takes_nothing_is_cut_off(
    request_: Request, file: OpenFile, way: Way
) -> None:
    clock = Clock()
    request_.transport.answers = False
    flow = flow_to(request_, clock)
    flow.pauseProducing()
    done = begin(way, file, flow, Span(0, 5000))
    clock.advance(PATIENCE - 1)
    assert done == []
    clock.advance(1)
    assert done == [False]
    assert request_.transport.aborted
    flow.end()
    assert not clock.getDelayedCalls()


def test_time_counts_only_while_the_client_takes_nothing(request_: Request, file: OpenFile) -> None:
    clock = Clock()
    request_.transport.answers = False
    flow = flow_to(request_, clock)
    flow.pauseProducing()
    clock.advance(PATIENCE - 1)
    flow.resumeProducing()
    assert not clock.getDelayedCalls()
    flow.pauseProducing()
    clock.advance(PATIENCE - 1)
    assert not request_.transport.aborted
    flow.end()
    assert not clock.getDelayedCalls()


@WAYS
def test_a_client_that_has_left_ends_it(request_: Request, file: OpenFile, way: Way) -> None:
    request_.transport.answers = False
    flow = flow_to(request_)
    flow.pauseProducing()
    done = begin(way, file, flow, Span(0, 500_000))
    assert done == []
    flow.stopProducing()
    assert done == [False]
    flow.end()
    assert request_.transport.producer is flow


def test_a_client_that_left_before_a_turn_is_not_asked(request_: Request, file: OpenFile) -> None:
    flow = flow_to(request_)
    flow.stopProducing()
    assert begin(by_kernel, file, flow, Span(0, 10)) == [False]
    flow.arm()
    assert request_.transport.asks == 0


def test_a_connection_that_broke_is_the_client_leaving(request_: Request, file: OpenFile) -> None:
    request_.transport.theirs.close()
    assert begin(by_kernel, file, flow_to(request_), Span(0, 5000)) == [False]


@WAYS
def test_a_file_that_became_shorter_is_noticed(request_: Request, file: OpenFile, way: Way) -> None:
    os.ftruncate(file.descriptor, 100)
    flow = flow_to(request_)
    done = begin(way, file, flow, Span(0, 5000))
    assert done[0].check(Unavailable)
    assert flow.sent == len(drain(request_) if way is by_kernel else b"".join(request_.written))


@WAYS
def test_a_disk_that_fails_is_noticed(
    request_: Request, file: OpenFile, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "sendfile", fail)
    monkeypatch.setattr(os, "pread", fail)
    done = begin(way, file, flow_to(request_), Span(0, 5000))
    assert done[0].check(Unavailable)
    assert "Input/output error" in str(done[0].value)


def test_what_went_out_before_a_disk_failed_is_counted(
    request_: Request, file: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sendfile = os.sendfile

    def fail_later(out: int, source: int, offset: int, count: int) -> int:
        if offset >= 2000:
            raise OSError(errno.EIO, "Input/output error")
        return sendfile(out, source, offset, min(count, 1000))

    monkeypatch.setattr(os, "sendfile", fail_later)
    flow = flow_to(request_)
    done = begin(by_kernel, file, flow, Span(0, 5000))
    assert done[0].check(Unavailable)
    assert flow.sent == 2000
    assert drain(request_) == DATA[:2000]


def test_reading_ahead_sends_all_of_it(
    request_: Request, file: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "READ", 1000)
    done = begin(read_ahead, file, flow_to(request_), Span(5, 2505))
    assert done == [True]
    assert [len(piece) for piece in request_.written] == [1000, 1000, 500]
    assert b"".join(request_.written) == DATA[5:2505]


def test_a_small_file_is_sent_from_memory(request_: Request, file: OpenFile) -> None:
    small = LocalFile(evolve(file, size=5, whole=b"hello"))
    done: list[Any] = []
    flow = flow_to(request_)
    _ = Deferred.fromCoroutine(small.ready(flow, Span(1, 3))).addBoth(done.append)
    _ = Deferred.fromCoroutine(small.send(flow, Span(1, 3))).addBoth(done.append)
    assert done == [None, True]
    assert request_.written == [b"el"]


@pytest.mark.parametrize("secure", [False, True])
def test_a_large_file_goes_the_way_that_its_connection_allows(
    request_: Request, file: OpenFile, *, secure: bool
) -> None:
    request_.secure = secure
    done: list[Any] = []
    work = LocalFile(file).send(flow_to(request_), Span(0, 5000))
    _ = Deferred.fromCoroutine(work).addBoth(done.append)
    assert done == [True]
    assert (b"".join(request_.written) if secure else drain(request_)) == DATA[:5000]


def test_no_descriptor_is_left_open(file: OpenFile) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            flow = flow_to(Request(Transport(ours, theirs)))
            begin(by_kernel, file, flow, Span(0, 10))
            flow.end()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


class Heard:
    """A source that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")

    def stop(self) -> None:
        self.told.append("stop")


def test_a_source_is_told_how_fast_the_client_is(request_: Request) -> None:
    flow = flow_to(request_)
    first, second, third = Heard(), Heard(), Heard()
    flow.attend(first)
    flow.pauseProducing()
    flow.attend(second)
    flow.resumeProducing()
    flow.stopProducing()
    flow.attend(None)
    flow.resumeProducing()
    flow.attend(third)
    assert first.told == ["pause"]
    assert second.told == ["pause", "resume", "stop"]
    assert third.told == []
