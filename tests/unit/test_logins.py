from typing import Any

import pytest
from twisted.internet.defer import Deferred

from oose.attempts import PAIR, LoginAttempts
from oose.errors import NotAuthenticated, TooManyAttempts, Unavailable
from oose.logins import BELIEVED, Login, Logins
from oose.purchases import Session, token_digest
from tests.unit.at_once import at_once
from tests.unit.kept import MemorySessions, OneUser

NOW = 1_800_000_000_000
DAY = 86_400_000
HOME = "192.0.2.1"


class Door:
    """The logins of `anna`; an unused session lasts for a day."""

    def __init__(self) -> None:
        self.users = OneUser()
        self.sessions = MemorySessions()
        self.logins = Logins(self.users, self.sessions, LoginAttempts(), DAY)

    def login(self, username: str = "anna", password: str = "right", now: int = NOW) -> Login:
        return at_once(self.logins.login(username, password, HOME, now))

    def authenticate(self, login: Login, now: int) -> Session | None:
        try:
            return at_once(self.logins.authenticate(login.token, now))
        except NotAuthenticated:
            return None


def test_the_right_password_makes_a_session() -> None:
    door = Door()
    login = door.login()
    assert login.session == Session(token_digest(login.token), "anna", HOME, NOW, NOW + DAY)
    assert door.sessions.kept == {login.session.digest: login.session}


def test_the_token_itself_is_kept_nowhere() -> None:
    door = Door()
    login = door.login()
    assert login.token not in repr(door.sessions.kept)


@pytest.mark.parametrize(("username", "password"), [("anna", "wrong"), ("nobody", "right")])
def test_wrong_passwords_and_unknown_users_are_refused_in_the_same_words(
    username: str, password: str
) -> None:
    door = Door()
    with pytest.raises(NotAuthenticated) as refused:
        door.login(username, password)
    assert refused.value.message == "Invalid username or password"
    assert door.sessions.kept == {}


def test_guessing_is_stopped_before_the_password_is_looked_at() -> None:
    door = Door()
    for _ in range(PAIR.failures):
        with pytest.raises(NotAuthenticated):
            door.login(password="wrong")
    with pytest.raises(TooManyAttempts):
        door.login()
    assert door.users.asked == PAIR.failures


def outcomes(door: Door, *passwords: str) -> list[list[Any]]:
    """Log in with all of them at once; what becomes of each."""
    door.users.late = Deferred()
    found: list[list[Any]] = []
    for password in passwords:
        done: list[Any] = []
        work = Deferred.fromCoroutine(door.logins.login("anna", password, HOME, NOW))
        _ = work.addErrback(lambda failure: failure.value).addCallback(done.append)
        found.append(done)
    door.users.late.callback(None)
    return found


def test_guessing_many_at_once_is_stopped_like_guessing_one_by_one() -> None:
    door = Door()
    found = outcomes(door, *["wrong"] * 200, "right")
    assert door.users.asked == PAIR.failures
    kinds = [type(done[0]) for done in found]
    assert kinds == [NotAuthenticated] * PAIR.failures + [TooManyAttempts] * (201 - PAIR.failures)


def test_many_right_logins_at_once_are_not_guesses() -> None:
    door = Door()
    found = outcomes(door, *["right"] * 200)
    assert [type(done[0]) for done in found] == [Login] * 200
    assert len(door.logins._turns) == 0


def test_logins_that_nobody_could_look_at_are_no_failures() -> None:
    door = Door()
    door.users.is_away = True
    for _ in range(100):
        with pytest.raises(Unavailable):
            door.login()
    door.users.is_away = False
    door.login()


def test_a_login_forgives_what_was_mistyped() -> None:
    door = Door()
    for _ in range(3):
        for _ in range(PAIR.failures - 1):
            with pytest.raises(NotAuthenticated):
                door.login(password="wrong")
        door.login()


def test_a_session_that_is_used_lasts_on() -> None:
    door = Door()
    login = door.login()
    for n in range(1, 10):
        now = NOW + n * (DAY - 1)
        session = door.authenticate(login, now)
        assert session is not None
        assert session.expires == now + DAY
    assert door.authenticate(login, NOW + 10 * DAY) is None


def test_a_session_that_is_not_used_ends() -> None:
    door = Door()
    login = door.login()
    assert door.authenticate(login, NOW + DAY) is None


def test_using_a_session_often_does_not_write_often() -> None:
    door = Door()
    login = door.login()
    kept = door.sessions.kept[login.session.digest]
    assert door.authenticate(login, NOW + 60_000) == kept
    assert door.sessions.kept[login.session.digest] == kept
    assert door.authenticate(login, NOW + 120_000) != kept


def test_a_session_is_believed_for_a_moment_and_then_looked_up_again() -> None:
    door = Door()
    login = door.login()
    for after in (0, BELIEVED - 1):
        assert door.authenticate(login, NOW + after) is not None
    assert door.sessions.found == 0
    for after in (BELIEVED, 2 * BELIEVED - 1):
        assert door.authenticate(login, NOW + after) is not None
    assert door.sessions.found == 1
    door.sessions.kept.clear()
    assert door.authenticate(login, NOW + 2 * BELIEVED) is None


@pytest.mark.parametrize("token", ["", "anything", "\udc80", "x" * 64])
def test_any_other_text_is_no_token(token: str) -> None:
    door = Door()
    door.login()
    with pytest.raises(NotAuthenticated, match="unknown or has ended; log in again"):
        at_once(door.logins.authenticate(token, NOW))


def test_a_digest_is_no_token() -> None:
    door = Door()
    login = door.login()
    assert door.authenticate(Login(login.session.digest, login.session), NOW) is None


def test_after_logout_the_token_is_dead_at_once() -> None:
    door = Door()
    login = door.login()
    assert door.authenticate(login, NOW) is not None
    at_once(door.logins.logout(login.token))
    assert door.authenticate(login, NOW) is None


def test_a_session_ended_while_it_is_looked_up_is_not_believed() -> None:
    door = Door()
    login = door.login()
    late: Deferred[None] = Deferred()
    door.sessions.late = late
    looking = Deferred.fromCoroutine(door.logins.authenticate(login.token, NOW + BELIEVED))
    assert not looking.called
    at_once(door.logins.logout(login.token))
    door.sessions.late = None
    late.callback(None)
    assert looking.called
    assert door.authenticate(login, NOW) is None


def test_a_peer_s_wrong_credentials_count_like_a_failed_login() -> None:
    door = Door()
    for _ in range(PAIR.failures):
        error = door.logins.refuse_guess("prism", HOME, NOW)
        assert isinstance(error, NotAuthenticated)
        assert error.message == "Wrong credentials"
    with pytest.raises(TooManyAttempts):
        door.logins.refuse_guess("prism", HOME, NOW)
