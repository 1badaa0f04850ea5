from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pytest
from twisted.internet.defer import CancelledError, Deferred

from oose.errors import Unavailable
from oose.passwords import MOST_WAITING, Passwords
from oose.pool import Inline
from tests.unit.at_once import at_once

P = ParamSpec("P")
T = TypeVar("T")


class Busy:
    """A pool whose threads are all at work: no call ever begins."""

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        never: Deferred[T] = Deferred()
        return await never


def test_a_password_is_known_by_its_hash() -> None:
    passwords = Passwords(Inline())
    hashed = at_once(passwords.hash("correct horse"))
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert at_once(passwords.verify(hashed, "correct horse"))
    assert not at_once(passwords.verify(hashed, "battery staple"))
    assert not at_once(passwords.verify(hashed, ""))


def test_the_same_password_is_never_kept_as_the_same_text() -> None:
    passwords = Passwords(Inline())
    assert at_once(passwords.hash("a")) != at_once(passwords.hash("a"))


@pytest.mark.parametrize("password", ["", "\ud800", "\0", "p\u00e4ss", "x" * 10_000])
def test_any_text_can_be_a_password(password: str) -> None:
    passwords = Passwords(Inline())
    hashed = at_once(passwords.hash(password))
    assert at_once(passwords.verify(hashed, password))
    assert not at_once(passwords.verify(hashed, password + "."))


@pytest.mark.parametrize("kept", [None, "", "nonsense", "$argon2id$", "\u00e9", "\ud800"])
def test_where_no_hash_is_kept_no_password_opens_anything(kept: str | None) -> None:
    passwords = Passwords(Inline())
    for password in ("nobody's password", "", "x"):
        assert not at_once(passwords.verify(kept, password))


def test_for_nobody_as_much_is_done_as_for_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []

    class Hasher:
        def hash(self, password: bytes) -> str:
            return "nobody's hash"

        def verify(self, hashed: str, password: bytes) -> bool:
            verified.append(hashed)
            return True

    passwords = Passwords(Inline())
    monkeypatch.setattr(passwords, "_hasher", Hasher())
    assert at_once(passwords.verify("somebody's hash", "x"))
    assert not at_once(passwords.verify(None, "x"))
    assert not at_once(passwords.verify(None, "x"))
    assert verified == ["somebody's hash", "nobody's hash", "nobody's hash"]


def test_too_many_logins_at_once_are_refused_until_some_are_done() -> None:
    passwords = Passwords(Busy())
    waiting = [
        Deferred.fromCoroutine(passwords.verify("nonsense", "x")) for _ in range(MOST_WAITING)
    ]
    with pytest.raises(Unavailable, match="Too many logins at once") as refused:
        at_once(passwords.verify("nonsense", "x"))
    assert refused.value.retry_after == 2
    left = waiting.pop()
    _ = left.addErrback(lambda failure: failure.trap(CancelledError))
    left.cancel()
    waiting.append(Deferred.fromCoroutine(passwords.verify("nonsense", "x")))
    assert not any(each.called for each in waiting)
