import json

import pytest
import pytest_twisted
from attrs import frozen
from twisted.internet.task import Clock

from oose.errors import NotAuthenticated
from oose.stats import Stats
from oose.web.client import ClientAddress
from oose.web.room import Lobby
from oose.web.routing import Access


@frozen
class Request:
    accept: str | None = None

    def header(self, name: bytes) -> str | None:
        return {b"accept": self.accept}[name]


class Gate:
    async def authorise(self, request: object, access: Access) -> None:
        if access is Access.PEER:
            raise NotAuthenticated("This needs credentials")


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(1000.5)
    return clock


@pytest.fixture
def lobby(clock: Clock) -> Lobby:
    gate = Gate()
    return Lobby("store", gate, ClientAddress(), Stats(1000.0, "3.0"), clock)  # type: ignore[arg-type] # as much of a gate as is asked


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_everybody_is_welcome_in_json(lobby: Lobby, accept: str | None) -> None:
    answer = lobby.welcome(Request(accept))  # type: ignore[arg-type] # as much as is looked at
    assert answer.status == 200
    assert json.loads(answer.body) == {"message": "Welcome to OOSE version 3.0"}


def test_a_browser_gets_a_page(lobby: Lobby) -> None:
    request = Request("text/html,application/xhtml+xml,*/*;q=0.8")
    answer = lobby.welcome(request)  # type: ignore[arg-type] # as much as is looked at
    assert answer.headers == ((b"Content-Type", b"text/html; charset=utf-8"),)
    assert b"Version 3.0. This store keeps and delivers media files" in answer.body
    assert b"body{font:16px/1.5" in answer.body


@pytest_twisted.ensureDeferred
async def test_the_gate_decides_who_comes_in(lobby: Lobby) -> None:
    request = Request()
    await lobby.authorise(request, Access.OPEN)  # type: ignore[arg-type] # as much as is looked at
    with pytest.raises(NotAuthenticated):
        await lobby.authorise(request, Access.PEER)  # type: ignore[arg-type] # as above


def test_what_is_answered_is_counted(lobby: Lobby) -> None:
    lobby.count("ping", 200)
    assert lobby.tree() == {"version": "3.0", "uptime": 0.5, "requests": {"ping": {"200": 1}}}


def test_the_time_is_in_milliseconds(lobby: Lobby, clock: Clock) -> None:
    assert lobby.now() == 1_000_500
    clock.advance(0.0019)
    assert lobby.now() == 1_000_501
