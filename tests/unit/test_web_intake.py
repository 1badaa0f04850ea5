from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.web.http import HTTPChannel

from oose.background import in_background
from oose.errors import DiskFull, TooLarge
from oose.log import request_id
from oose.web.answers import Answer
from oose.web.channel import LINGER_BYTES, LINGER_SECONDS
from oose.web.intake import NoBody
from tests.unit.logged import logged
from tests.unit.rooms import PlayRoom
from tests.unit.wire import MemoryTransport, Wire, json_request, request

GOOD = {"X-OOSE-Token": "good"}


@pytest.fixture
def room() -> PlayRoom:
    return PlayRoom()


@pytest.fixture
def wire(room: PlayRoom) -> Wire:
    return Wire(room)


def test_the_private_names_of_twisted_that_are_used_are_still_there() -> None:
    for name in (
        "_send100Continue",
        "_respondToBadRequestAndDisconnect",
        "_receivedHeaderSize",
        "_receivedHeaderCount",
    ):
        assert hasattr(HTTPChannel, name)
    channel: Any = HTTPChannel()
    channel.timeOut = None
    channel.makeConnection(MemoryTransport())
    channel.requestFactory = lambda *_: None
    channel.lineReceived(b"GET /x HTTP/1.1")
    assert (channel._command, channel._path, channel._version) == (b"GET", b"/x", b"HTTP/1.1")
    assert hasattr(channel, "_networkProducer")


def test_a_request_without_a_body_is_answered(wire: Wire, room: PlayRoom) -> None:
    response = wire.send(request("GET", "/ping?x=1")).response()
    assert response.status == 200
    assert response.json() == {"pong": "pong"}
    assert response.headers["server"] == "oose"
    assert response.headers["x-request-id"]
    assert room.counts == {("ping", 200): 1}


def test_head_gets_the_headers_without_the_body(wire: Wire) -> None:
    wire.send(request("HEAD", "/ping"))
    assert b"Content-Length: 16" in wire.raw
    assert wire.raw.endswith(b"\r\n\r\n")


def test_two_requests_in_one_segment_are_answered_in_order(wire: Wire) -> None:
    wire.send(request("GET", "/ping") + json_request("POST", "/echo", {"value": 7}))
    assert [r.json() for r in wire.responses()] == [{"pong": "pong"}, {"value": 7}]


def test_a_route_that_takes_no_body_ignores_a_little_of_it(wire: Wire) -> None:
    assert wire.send(request("POST", "/ping", b"x" * 100)).response().status == 200


def test_a_route_that_takes_no_body_refuses_much_of_it(wire: Wire) -> None:
    body = b"x" * (NoBody.limit + 1)
    assert wire.send(request("POST", "/ping", body)).response().status == 413


def test_a_body_is_fed_as_it_arrives(wire: Wire, room: PlayRoom) -> None:
    whole = request("PUT", "/put/a", b"0123456789", GOOD)
    wire.send(whole[:-5])
    assert room.taker.data == b"01234"
    assert wire.raw == b""
    wire.send(whole[-5:])
    assert wire.response().json() == {"name": "a", "size": 10}
    assert room.opened == [(10, {"name": "a"})]
    assert room.taker.abandoned == 1


def test_what_happens_to_a_body_bears_the_id_of_its_request(wire: Wire, room: PlayRoom) -> None:
    seen: list[str | None] = []

    async def later() -> None:
        seen.append(request_id.get())

    def feed(data: bytes) -> None:
        seen.append(request_id.get())
        in_background(later())

    room.taker.feed = feed  # type: ignore[method-assign] # the body that looks
    whole = request("PUT", "/put/a", b"0123456789", GOOD)
    wire.send(whole[:-5]).send(whole[-5:])
    assert seen == [wire.response().headers["x-request-id"]] * 4
    assert request_id.get() is None


def test_a_chunked_body_has_no_known_length(wire: Wire, room: PlayRoom) -> None:
    head = request("PUT", "/put/a", headers={**GOOD, "Transfer-Encoding": "chunked"})
    wire.send(head + b"3\r\nabc\r\n0\r\n\r\n")
    assert wire.response().json() == {"name": "a", "size": 3}
    assert room.opened == [(None, {"name": "a"})]


def test_an_empty_body_opens_its_taker_too(wire: Wire, room: PlayRoom) -> None:
    wire.send(request("PUT", "/put/a", headers=GOOD))
    assert wire.response().json() == {"name": "a", "size": 0}
    assert room.opened == [(0, {"name": "a"})]


def test_nothing_is_read_while_the_login_is_checked(wire: Wire, room: PlayRoom) -> None:
    room.door = Deferred()
    whole = request("PUT", "/put/a", b"0123456789", GOOD)
    wire.send(whole[:-8])
    assert wire.transport.producerState == "paused"
    assert room.taker.data == b""
    room.door.callback(None)
    assert room.taker.data == b"01"
    assert wire.transport.producerState == "producing"
    assert wire.transport.bufferSize == 256 * 1024
    wire.send(whole[-8:])
    assert wire.response().status == 200
    assert wire.transport.bufferSize == 64 * 1024


def test_a_body_that_arrives_whole_before_the_login_is_checked_is_kept(
    wire: Wire, room: PlayRoom
) -> None:
    room.door = Deferred()
    wire.send(request("PUT", "/put/a", b"0123456789", GOOD))
    room.door.callback(None)
    assert wire.response().json() == {"name": "a", "size": 10}


def test_a_client_that_expects_it_is_told_to_continue_once_it_is_admitted(
    wire: Wire, room: PlayRoom
) -> None:
    room.door = Deferred()
    whole = request("PUT", "/put/a", b"01", {**GOOD, "Expect": "100-Continue"})
    wire.send(whole[:-2])
    assert wire.raw == b""
    room.door.callback(None)
    assert wire.raw == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(whole[-2:])
    assert wire.raw.count(b"HTTP/1.1") == 2


def test_a_client_that_did_not_wait_is_not_told_to_continue(wire: Wire, room: PlayRoom) -> None:
    room.door = Deferred()
    wire.send(request("PUT", "/put/a", b"01", {**GOOD, "Expect": "100-continue"}))
    room.door.callback(None)
    assert wire.response().status == 200


def test_without_a_login_the_body_is_not_read_and_the_connection_ends(
    wire: Wire, room: PlayRoom
) -> None:
    whole = request("PUT", "/put/a", b"x" * 100)
    wire.send(whole[:-50])
    response = wire.response()
    assert response.status == 401
    assert response.headers["connection"] == "close"
    assert "www-authenticate" in response.headers
    assert wire.transport.half_closed
    assert room.opened == []


def test_what_follows_a_refused_request_is_never_another_request(wire: Wire) -> None:
    refused = request("PUT", "/put/a", b"x" * 100)[:-50]
    wire.send(refused).send(b"x" * 50 + request("GET", "/ping"))
    assert wire.response().status == 401
    wire.send(request("GET", "/ping"))
    assert wire.response().status == 401


def test_a_refused_client_is_listened_to_for_a_while(wire: Wire) -> None:
    wire.send(request("PUT", "/put/a", b"x" * 100)[:-50])
    wire.clock.advance(LINGER_SECONDS - 0.1)
    assert not wire.transport.aborted
    wire.clock.advance(0.1)
    assert wire.transport.aborted


def test_a_refused_client_that_sends_on_and_on_is_cut_off(wire: Wire) -> None:
    wire.send(request("PUT", "/put/a", b"x" * 100)[:-50])
    wire.send(b"x" * LINGER_BYTES)
    assert not wire.transport.aborted
    wire.send(b"x")
    assert wire.transport.aborted


def test_a_refused_client_that_leaves_leaves_no_timer(wire: Wire) -> None:
    wire.send(request("PUT", "/put/a", b"x" * 100)[:-50])
    wire.leave()
    assert not [call for call in wire.clock.getDelayedCalls() if "abort" in str(call)]


def test_over_tls_there_is_no_half_closing(room: PlayRoom, monkeypatch: Any) -> None:
    wire = Wire(room)
    monkeypatch.setattr(type(wire.channel), "isSecure", lambda self: True)
    wire.send(request("PUT", "/put/a", b"x" * 100)[:-50])
    assert wire.response().status == 401
    assert not wire.transport.half_closed


def test_a_taker_that_cannot_be_opened_refuses_before_the_body(wire: Wire, room: PlayRoom) -> None:
    room.open_error = DiskFull("full")
    wire.send(request("PUT", "/put/a", b"x" * 100, GOOD)[:-50])
    assert wire.response().status == 507


def test_a_taker_may_refuse_in_the_middle(wire: Wire, room: PlayRoom) -> None:
    whole = request("PUT", "/put/a", b"x" * 100, GOOD)
    wire.send(whole[:-50])
    room.taker.raises = TooLarge("too much")
    wire.send(whole[-50:-25])
    assert wire.response().json() == {"error": "too much"}
    assert room.taker.abandoned == 1
    room.taker.raises = None
    wire.channel.requests[0].handleContentChunk(b"more")
    assert len(room.taker.data) == 50


def test_a_refused_client_that_leaves_at_once_leaves_nothing(wire: Wire, room: PlayRoom) -> None:
    wire.send(request("PUT", "/put/a", b"x" * 100, GOOD)[:-50])
    room.taker.raises = TooLarge("too much")
    room.taker.abandoning = Deferred()
    wire.send(b"x" * 25)
    wire.leave()
    room.taker.abandoning.callback(None)
    assert room.taker.abandoned == 1
    assert room.counts == {("put", 413): 1}


def test_a_client_that_leaves_while_its_request_ends_is_counted(wire: Wire, room: PlayRoom) -> None:
    room.taker.abandoning = Deferred()
    wire.send(request("PUT", "/put/a", b"x", GOOD))
    wire.leave()
    room.taker.abandoning.callback(None)
    assert room.taker.abandoned == 1
    assert room.counts == {("put", 200): 1}


def test_what_cannot_be_withdrawn_is_in_the_log(wire: Wire, room: PlayRoom) -> None:
    room.taker.abandoning = Deferred()
    wire.send(request("PUT", "/put/a", b"x", GOOD))
    with logged("critical") as said:
        room.taker.abandoning.errback(DiskFull("dead"))
    assert "could not be withdrawn" in said[0]
    assert room.counts == {("put", 200): 1}


def test_a_client_that_leaves_in_the_middle_leaves_nothing(wire: Wire, room: PlayRoom) -> None:
    wire.send(request("PUT", "/put/a", b"x" * 100, GOOD)[:-50])
    wire.leave()
    assert room.taker.abandoned == 1
    assert wire.raw == b""


def test_a_client_that_leaves_between_two_requests_is_nothing_special(wire: Wire) -> None:
    wire.send(request("GET", "/ping"))
    wire.leave()
    assert wire.response().status == 200


def test_a_client_that_leaves_in_the_headers_is_nothing_special(wire: Wire, room: PlayRoom) -> None:
    wire.send(b"GET /ping HT")
    wire.leave()
    wire.connect()
    wire.send(b"GET /ping HTTP/1.1\r\nHost")
    wire.leave()
    assert room.counts == {}


def test_a_stalled_upload_is_ended_with_an_answer(wire: Wire, room: PlayRoom) -> None:
    wire.send(request("PUT", "/put/a", b"x" * 100, GOOD)[:-50])
    wire.clock.advance(60)
    assert wire.response().status == 408
    assert room.taker.abandoned == 1


def test_stalled_headers_are_ended_with_an_answer(wire: Wire) -> None:
    wire.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n")
    wire.clock.advance(60)
    assert wire.response().status == 408


def test_an_idle_connection_is_closed_without_a_word(wire: Wire) -> None:
    wire.clock.advance(60)
    assert wire.transport.disconnecting
    assert wire.raw == b""


def test_a_client_is_not_blamed_while_it_is_held_back(wire: Wire, room: PlayRoom) -> None:
    wire.send(request("PUT", "/put/a", b"x" * 100, GOOD)[:-50])
    wire.channel.pause_intake()
    wire.clock.advance(600)
    wire.channel.resume_intake()
    wire.send(b"x" * 50)
    assert wire.response().status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nContent-Length: no\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nA: " + b"x" * 40_000, 431),
        (b"GET /ping HTTP/1.1\r\n" + b"A: %s\r\n" % (b"x" * 30_000) * 2, 431),
        (b"GET /ping HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /" + b"x" * 70_000, 431),
    ],
)
def test_what_is_not_http_is_refused_in_json(wire: Wire, data: bytes, status: int) -> None:
    response = wire.send(data).response()
    assert response.status == status
    assert response.json()["error"]
    assert wire.transport.half_closed


def test_broken_chunks_are_refused_in_json(wire: Wire, room: PlayRoom) -> None:
    head = request("PUT", "/put/a", headers={**GOOD, "Transfer-Encoding": "chunked"})
    wire.send(head).send(b"not a length\r\n")
    assert wire.response().status == 400
    wire.leave()
    assert room.taker.abandoned == 1


def test_an_unexpected_error_is_answered_without_its_traceback(wire: Wire, room: PlayRoom) -> None:
    def fail(request: Any) -> Answer:
        raise RuntimeError("secret")

    room.does = fail
    response = wire.send(request("GET", "/do/it")).response()
    assert response.status == 500
    assert "secret" not in response.body.decode()
    assert response.headers["x-request-id"] in response.json()["error"]


def test_an_answer_that_cannot_be_completed_is_cut(wire: Wire, room: PlayRoom) -> None:
    def half(request: Any) -> Answer:
        request.begin(200, ())
        request.write(b"half")
        raise RuntimeError("disk died")

    room.does = half
    wire.send(request("GET", "/do/it"))
    assert wire.transport.aborted


def test_an_answer_for_a_client_that_has_left_goes_nowhere(wire: Wire, room: PlayRoom) -> None:
    room.waits = Deferred(lambda waits: waits.callback(None))  # goes on where it is cancelled
    room.does = lambda _: Answer(200, b"late")
    wire.send(request("GET", "/do/it"))
    wire.leave()
    assert wire.raw == b""


def test_a_client_that_leaves_while_it_waits_cancels_the_handler(
    wire: Wire, room: PlayRoom
) -> None:
    cancelled: list[object] = []
    room.waits = Deferred(cancelled.append)
    wire.send(request("GET", "/do/it"))
    wire.leave()
    assert cancelled == [room.waits]


def test_a_handler_that_answers_itself_is_left_alone(wire: Wire, room: PlayRoom) -> None:
    def answer(request: Any) -> None:
        assert request.query == b"a=b"
        assert not request.is_gone
        request.begin(200, ((b"Content-Length", b"2"),))
        request.write(b"ok")
        request.finish()

    room.does = answer
    assert wire.send(request("GET", "/do/it?a=b")).response().body == b"ok"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/ping", 405),
        ("GET", "/put/a", 405),
        ("GET", "/do/%ff", 400),
    ],
)
def test_what_matches_no_route_is_refused(
    wire: Wire, room: PlayRoom, method: str, path: str, status: int
) -> None:
    assert wire.send(request(method, path)).response().status == status
    assert room.counts == {("none", status): 1}


@pytest.mark.parametrize("target", ["http://x/ping", "HTTPS://x:1/ping?x=1"])
def test_a_target_may_begin_with_scheme_and_host(wire: Wire, target: str) -> None:
    assert wire.send(request("GET", target)).response().json() == {"pong": "pong"}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /ping HTTP/1.1\r\n\r\n", 400),
        (b"GET http://x/ping HTTP/1.1\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"PUT /put/a HTTP/1.1\r\nX-OOSE-Token: good\r\nContent-Length: 9\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (b"GET /ping HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_a_request_has_one_host(wire: Wire, room: PlayRoom, head: bytes, status: int) -> None:
    response = wire.send(head).response()
    assert response.status == status
    assert status == 200 or response.json() == {"error": "The request must have one Host header"}
    assert room.opened == []


def test_a_wrong_method_names_the_right_ones(wire: Wire) -> None:
    assert wire.send(request("PUT", "/ping")).response().headers["allow"] == "GET, HEAD, POST"
