"""What a request looks like in the debug output."""

import pytest

from oose.web.tracing import LONGEST, shown_target
from tests.unit.logged import debugged
from tests.unit.rooms import PlayRoom
from tests.unit.wire import Wire, json_request, request

TOKEN = "LKN85njz" * 8


def test_a_request_is_one_line_with_what_is_known_of_it() -> None:
    wire = Wire(PlayRoom())
    with debugged("oose:http") as said:
        wire.send(json_request("POST", "/echo?x=1", {"value": 7}))
    (line,) = said
    assert line.startswith("POST /echo?x=1 from 192.168.1.1: 200, 12 bytes in, ")
    assert line.endswith(" out, 0 ms")


def test_how_long_it_took_and_that_nobody_waited_is_shown() -> None:
    wire = Wire(PlayRoom())
    with debugged("oose:http") as said:
        wire.send(request("PUT", "/put/a", b"x" * 10, {"X-OOSE-Token": "good"})[:-5])
        wire.clock.advance(1.5)
        wire.leave()
    (line,) = said
    assert line.startswith("PUT /put/a from 192.168.1.1: given up, 5 bytes in, 0 out, 1500 ms")


def test_nothing_is_shown_that_nobody_asked_for() -> None:
    with debugged("oose:*,-oose:http") as said:
        Wire(PlayRoom()).send(request("GET", "/ping"))
    assert said == []


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (f"/{TOKEN}/film.mp4?start=0", "/LKN85n.../film.mp4?start=0"),
        (f"/play/{TOKEN}/a", "/play/LKN85n.../a"),
        (f"/x?token={TOKEN}", "/x?token=LKN85n..."),
        (f"/static/{'0a' * 32}/a", f"/static/{'0a' * 32}/a"),
        (f"/static/{'0a' * 20}/a", f"/static/{'0a' * 20}/a"),
        ("/\xe4", "/\\xe4"),
        ("/" + "x-" * 500, ("/" + "x-" * 500)[:LONGEST]),
    ],
)
def test_tokens_are_cut(target: str, shown: str) -> None:
    assert shown_target(target.encode("latin-1")) == shown
