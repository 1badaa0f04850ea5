from base64 import b64encode
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from oose.attempts import PAIR, LoginAttempts
from oose.credentials import Credentials
from oose.errors import NotAuthenticated, TooManyAttempts
from oose.logins import Logins
from oose.purchases import Session
from oose.web.client import ClientAddress
from oose.web.gate import Gate
from oose.web.routing import Access
from tests.unit.at_once import at_once
from tests.unit.kept import MemorySessions, OneUser

PASSWORD = "correct horse battery"
HOME = "192.0.2.1"


def basic(username: bytes, password: str) -> str:
    return "Basic " + b64encode(username + b":" + password.encode()).decode("ascii")


OWN = basic(b"prism", PASSWORD)


@define
class Request:
    headers: dict[bytes, str]
    session: Session | None = None

    def header(self, name: bytes) -> str | None:
        return self.headers.get(name)

    def getClientAddress(self) -> IPv4Address:
        return IPv4Address("TCP", HOME, 5000)


@define
class Entrance:
    """A gate, and the logins behind it."""

    clock: Clock = field(factory=Clock)
    attempts: LoginAttempts = field(factory=LoginAttempts)
    logins: Logins = field(init=False)
    gate: Gate = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.logins = Logins(OneUser(), MemorySessions(), self.attempts, 86_400_000)
        own = Credentials("prism", PASSWORD)
        self.gate = Gate(own, self.logins, ClientAddress(), self.clock)

    def enter(
        self, access: Access, authorization: str | None = None, token: str | None = None
    ) -> Request:
        """A request with these headers that was let in."""
        given = {b"authorization": authorization, b"x-oose-token": token}
        request: Any = Request({name: value for name, value in given.items() if value is not None})
        at_once(self.gate.authorise(request, access))
        entered: Request = request
        return entered

    def token(self) -> str:
        return at_once(self.logins.login("anna", "right", HOME, 0)).token


def test_what_is_open_needs_nothing_and_looks_at_nothing() -> None:
    entrance = Entrance()
    for _ in range(2 * PAIR.failures):
        assert entrance.enter(Access.OPEN, basic(b"prism", "wrong"), "wrong").session is None


@pytest.mark.parametrize("access", [Access.SESSION, Access.PEER])
def test_a_room_s_own_credentials_open_everything(access: Access) -> None:
    assert Entrance().enter(access, OWN).session is None


def test_a_session_opens_what_needs_one() -> None:
    entrance = Entrance()
    session = entrance.enter(Access.SESSION, token=entrance.token()).session
    assert session is not None
    assert session.username == "anna"


def test_a_session_opens_nothing_that_is_for_peers() -> None:
    entrance = Entrance()
    with pytest.raises(NotAuthenticated, match="needs the credentials of this prism or store"):
        entrance.enter(Access.PEER, token=entrance.token())


def test_a_session_that_has_ended_opens_nothing() -> None:
    entrance = Entrance()
    token = entrance.token()
    entrance.clock.advance(86_400)
    with pytest.raises(NotAuthenticated, match="unknown or has ended"):
        entrance.enter(Access.SESSION, token=token)


@pytest.mark.parametrize("token", [None, ""])
def test_without_anything_there_is_no_entry(token: str | None) -> None:
    with pytest.raises(NotAuthenticated, match="send the session's token in the header X-OOSE"):
        Entrance().enter(Access.SESSION, token=token)


@given(st.text(), st.sampled_from([Access.SESSION, Access.PEER]))
def test_no_other_text_opens_anything(text: str, access: Access) -> None:
    entrance = Entrance()
    entrance.token()
    for authorization in (None, text, "Basic " + text):
        with pytest.raises(NotAuthenticated):
            entrance.enter(access, authorization, text)


def test_wrong_credentials_are_not_helped_by_a_session() -> None:
    entrance = Entrance()
    with pytest.raises(NotAuthenticated, match="Wrong credentials"):
        entrance.enter(Access.SESSION, basic(b"prism", "wrong"), entrance.token())


@pytest.mark.parametrize(
    ("wrong", "name"),
    [(basic(b"prism", "x"), "prism"), (basic(b"\xff", "x"), "\ufffd"), ("Bearer x", "")],
)
def test_guesses_count_like_failed_logins(wrong: str, name: str) -> None:
    entrance = Entrance()
    for _ in range(PAIR.failures):
        with pytest.raises(NotAuthenticated):
            entrance.enter(Access.PEER, wrong)
    with pytest.raises(TooManyAttempts):
        entrance.enter(Access.PEER, wrong)
    with pytest.raises(TooManyAttempts):
        entrance.attempts.check(name, HOME, 0)


def test_a_peer_comes_in_whatever_is_guessed_beside_it() -> None:
    entrance = Entrance()
    for _ in range(PAIR.failures):
        with pytest.raises(NotAuthenticated):
            entrance.enter(Access.PEER, basic(b"prism", "wrong"))
    entrance.enter(Access.PEER, OWN)
