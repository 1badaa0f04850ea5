"""Connections end in order, or are cut when their time is over."""

from typing import Any

from twisted.internet.defer import Deferred

from oose.web.channel import ON_ITS_WAY
from tests.unit.rooms import PlayRoom
from tests.unit.wire import Wire, request


def draining(wire: Wire) -> list[int]:
    cut: list[int] = []
    _ = Deferred.fromCoroutine(wire.site.drain(30)).addCallback(cut.append)
    return cut


def test_what_does_not_end_in_time_is_cut() -> None:
    room = PlayRoom()
    room.waits = Deferred()
    wire = Wire(room)
    wire.send(request("GET", "/do/it"))
    cut = draining(wire)
    wire.clock.advance(29)
    assert cut == []
    wire.clock.advance(1)
    assert cut == [1]
    assert wire.transport.aborted


def test_without_connections_there_is_nothing_to_wait_for() -> None:
    wire = Wire(PlayRoom())
    wire.leave()
    assert draining(wire) == [0]


def test_the_last_to_leave_ends_the_wait() -> None:
    room = PlayRoom()
    room.waits = Deferred()
    wire = Wire(room)
    wire.send(request("GET", "/do/it"))
    cut = draining(wire)
    wire.leave()
    assert cut == [0]


def test_an_idle_connection_ends_once_no_request_can_be_on_its_way() -> None:
    for before in (b"", request("GET", "/ping")):  # a new one, and one that was used
        wire = Wire(PlayRoom(), idle_timeout=60)
        wire.send(before)
        cut = draining(wire)
        wire.clock.advance(ON_ITS_WAY - 0.1)
        assert not wire.transport.disconnecting
        wire.clock.advance(0.1)
        assert wire.transport.disconnecting
        wire.leave()
        assert cut == [0]


def test_a_request_that_was_on_its_way_is_answered_and_is_the_last() -> None:
    for before in (b"", request("GET", "/ping")):
        wire = Wire(PlayRoom())
        wire.send(before)
        draining(wire)
        wire.send(request("GET", "/ping"))
        last = wire.responses()[-1]
        assert (last.status, last.headers["connection"]) == (200, "close")
        assert wire.transport.disconnecting


def test_a_request_that_began_to_arrive_has_all_the_time_that_others_have() -> None:
    wire = Wire(PlayRoom(), idle_timeout=60)
    draining(wire)
    whole = request("GET", "/ping")
    wire.send(whole[:10])
    wire.clock.advance(20)
    wire.send(whole[10:])
    assert wire.response().headers["connection"] == "close"
    wire = Wire(PlayRoom(), idle_timeout=60)
    wire.send(whole[:30])  # the first line, and a little
    draining(wire)
    wire.clock.advance(20)
    wire.send(whole[30:])
    assert wire.response().headers["connection"] == "close"


def test_a_client_that_was_not_told_that_this_answer_is_the_last_may_ask_once_more() -> None:
    for asks in (True, False):
        begun: list[Any] = []

        def begin(request: Any, begun: list[Any] = begun) -> None:
            request.begin(200, ((b"content-length", b"8"),))
            request.write(b"half")
            begun.append(request)

        room = PlayRoom()
        room.does = begin
        wire = Wire(room)
        wire.send(request("GET", "/do/it"))
        draining(wire)
        begun[0].write(b"half")
        begun[0].finish()
        assert "connection" not in wire.response().headers
        assert not wire.transport.disconnecting
        if asks:
            wire.send(request("GET", "/ping"))
            assert wire.responses()[-1].headers["connection"] == "close"
        else:
            wire.clock.advance(ON_ITS_WAY)
        assert wire.transport.disconnecting


def test_a_refusal_lingers_once() -> None:
    wire = Wire(PlayRoom())
    wire.send(request("PUT", "/put/a", b"x" * 100)[:-50])
    before = len(wire.clock.getDelayedCalls())
    wire.channel.linger()
    assert len(wire.clock.getDelayedCalls()) == before


def test_a_receive_is_widened_beneath_tls() -> None:
    class Layer:
        def __init__(self, transport: Any) -> None:
            self.wrappedProtocol = None
            self.transport = transport

    wire = Wire(PlayRoom())
    tcp = wire.transport
    wire.channel.transport = Layer(Layer(tcp))
    wire.channel.widen(123)
    assert tcp.bufferSize == 123


def test_a_connection_is_asked_once_where_it_ends() -> None:
    """The system is asked for it, which a small request would notice."""
    wire = Wire(PlayRoom())
    asked: list[int] = []
    transport: Any = wire.transport
    real = transport.getHost

    def ask() -> Any:
        asked.append(1)
        return real()

    transport.getHost = ask
    for _ in range(3):
        wire.send(request("GET", "/do/it"))
    assert asked == [1]
    assert wire.channel.getHost() == real()


def test_an_answer_that_cannot_be_completed_is_cut() -> None:
    room = PlayRoom()
    wire = Wire(room)

    def half(request: Any) -> Any:
        request.begin(200, ())
        request.write(b"half")
        raise ZeroDivisionError

    room.does = half
    wire.send(request("GET", "/do/it"))
    assert wire.transport.aborted
    assert b"Something went wrong" not in wire.raw


def test_a_connection_that_was_ended_is_not_waited_for_for_ever() -> None:
    wire = Wire(PlayRoom(), idle_timeout=60)
    wire.send(request("GET", "/ping", headers={"Connection": "close"}))
    assert wire.transport.disconnecting
    wire.clock.advance(60)
    wire.clock.advance(15)
    assert wire.transport.aborted
