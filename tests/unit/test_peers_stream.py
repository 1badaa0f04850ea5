"""Bodies of requests from memory: whole, and piece by piece."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.iweb import IBodyProducer
from zope.interface.verify import verifyObject

from oose.peers.stream import StreamBody, WholeBody
from tests.unit.at_once import at_once


class Taker:
    """A consumer that keeps what it gets."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.taken.append(data)


def taker() -> Any:
    return Taker()


def test_a_whole_body_is_written_at_once() -> None:
    body, consumer = WholeBody([b"a", b"bc"]), taker()
    verifyObject(IBodyProducer, body)
    assert body.length == 3
    assert body.startProducing(consumer).called
    body.pauseProducing()
    body.resumeProducing()
    body.stopProducing()
    assert consumer.taken == [b"a", b"bc"]


def test_a_stream_waits_for_its_consumer_and_while_it_is_paused() -> None:
    body, consumer = StreamBody(), taker()
    verifyObject(IBodyProducer, body)
    first = Deferred.fromCoroutine(body.send([b"a", b"b"]))
    assert not first.called
    done = body.startProducing(consumer)
    assert first.called
    body.pauseProducing()
    body.pauseProducing()
    second = Deferred.fromCoroutine(body.send([b"c"]))
    assert not second.called
    moved = body.moved
    body.resumeProducing()
    assert second.called
    assert body.moved > moved
    body.resumeProducing()
    assert consumer.taken == [b"ab", b"c"]
    assert not done.called
    body.end()
    body.end()
    assert done.called
    body.pauseProducing()
    at_once(body.send([b"too late"]))
    assert consumer.taken == [b"ab", b"c"]


def test_nothing_is_written_for_nothing() -> None:
    body, consumer = StreamBody(), taker()
    _ = body.startProducing(consumer)
    at_once(body.send([b""]))
    assert consumer.taken == []


def test_a_stream_that_is_stopped_lets_go_of_what_waits() -> None:
    body, consumer = StreamBody(), taker()
    done = body.startProducing(consumer)
    body.pauseProducing()
    waiting = Deferred.fromCoroutine(body.send([b"a"]))
    done.cancel()
    assert waiting.called
    assert body.is_over
    assert consumer.taken == []
    _ = done.addErrback(lambda _: None)
