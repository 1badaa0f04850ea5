"""Answers with content, to clients that stay and clients that leave."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.deliver.delivery import Deliveries, Outgoing, judged
from oose.deliver.flow import Flow
from oose.ranges import Span
from tests.unit.rooms import PlayRoom
from tests.unit.wire import Wire, request

OUTGOING = Outgoing("a" * 40, "video/mp4", "inline", "private")


class Content:
    """Six bytes; `at_the_end` happens once they are sent."""

    size = 6
    whole = None
    closed = False

    def __init__(self, at_the_end: Any) -> None:
        self._at_the_end = at_the_end

    async def ready(self, flow: Flow, span: Span) -> None:
        pass

    async def send(self, flow: Flow, span: Span) -> bool:
        flow.write(b"a film")
        self._at_the_end(flow)
        return True

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def wire() -> Wire:
    room = PlayRoom()
    room.waits = Deferred()
    return Wire(room).send(request("GET", "/do/it"))


def carry(wire: Wire, content: Content) -> Deliveries:
    """Answer the request on `wire` with the content."""
    deliveries = Deliveries(Clock(), 60.0)
    work = Deferred.fromCoroutine(deliveries.carry(wire.channel.requests[0], OUTGOING, content))
    problems: list[Any] = []
    _ = work.addErrback(problems.append)
    assert problems == []
    assert (content.closed, deliveries.running) == (True, 0)
    return deliveries


def test_content_is_sent_to_its_end(wire: Wire) -> None:
    assert carry(wire, Content(lambda flow: None)).sent == 6
    assert wire.response().body == b"a film"


def test_a_client_that_has_it_all_and_leaves_is_no_failure(wire: Wire) -> None:
    def leave(flow: Flow) -> None:
        flow.stopProducing()  # as its transport would
        wire.leave()

    assert carry(wire, Content(leave)).sent == 6


def test_an_answer_that_nothing_has_changed_says_nothing_of_a_body(wire: Wire) -> None:
    held = Wire(wire.room)
    held.send(request("GET", "/do/it", headers={"If-None-Match": f'"{OUTGOING.etag}"'}))
    asked = held.channel.requests[0]
    answer = judged(asked, OUTGOING)
    assert answer is not None
    asked.reply(answer)
    response = held.response()
    assert response.status == 304
    assert response.headers["etag"] == f'"{OUTGOING.etag}"'
    assert not {"content-length", "content-type", "transfer-encoding"} & set(response.headers)
