"""Sockets that systemd hands over."""

import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from twisted.internet.endpoints import _SystemdParser
from twisted.internet.task import Clock
from twisted.python.systemd import ListenFDs

from oose.systemd.inherited import inherited
from oose.systemd.reclaiming import reclaim
from oose.systemd.supervision import supervision
from oose.systemd.variables import BadHandover

PID = 7


class Hands:
    """Puts sockets at descriptors that follow each other; whoever takes them closes them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def listening(self, host: str = "127.0.0.1") -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return self._stack.enter_context(socket.create_server((host, 0), family=family))

    def unready(self, *kind: Any) -> socket.socket:
        return self._stack.enter_context(socket.socket(*kind))

    def over(self, *sockets: socket.socket) -> int:
        """The first of the descriptors."""
        count = len(sockets)
        first = next(
            at for at in range(300, 10_000) if not any(map(is_open, range(at, at + count)))
        )
        end = first + count
        for at, each in enumerate(sockets, first):
            assert fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, at) == at
            os.set_inheritable(at, True)
        self._stack.callback(os.closerange, first, end)
        return first


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
def hands() -> Iterator[Hands]:
    with ExitStack() as stack:
        yield Hands(stack)


def variables(count: int, names: str | None = None, pid: int = PID) -> dict[str, str]:
    environment = {"LISTEN_PID": str(pid), "LISTEN_FDS": str(count), "OTHER": "1"}
    if names is not None:
        environment["LISTEN_FDNAMES"] = names
    return environment


def close(found: Sequence[Any]) -> None:
    for each in found:
        each.socket.close()


def test_they_are_taken_with_their_names_and_no_child_gets_them(hands: Hands) -> None:
    one, two = hands.listening(), hands.listening("::1")
    environment = variables(2, "prism1:oose-store@a.socket")
    found = inherited(environment, PID, hands.over(one, two))
    assert environment == {"OTHER": "1"}
    assert [each.name for each in found] == ["prism1", "oose-store@a.socket"]
    assert [each.address for each in found] == [s.getsockname()[:2] for s in (one, two)]
    assert str(found[0]) == f"127.0.0.1:{one.getsockname()[1]} ('prism1')"
    assert str(found[1]) == f"[::1]:{two.getsockname()[1]} ('oose-store@a.socket')"
    assert not any(each.socket.get_inheritable() for each in found)
    assert not any(each.socket.getblocking() for each in found)
    close(found)


def test_without_names_they_have_none(hands: Hands) -> None:
    found = inherited(variables(1), PID, hands.over(hands.listening()))
    assert [each.name for each in found] == ["unknown"]
    close(found)


@pytest.mark.parametrize(
    "environment",
    [
        variables(1, pid=PID + 1),
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": str(PID)},
        variables(0, ""),
        {},
    ],
)
def test_none_are_taken_that_are_not_for_this_process(environment: dict[str, str]) -> None:
    assert inherited(environment, PID) == ()
    assert not any(name.startswith("LISTEN") for name in environment)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"LISTEN_PID": "me", "LISTEN_FDS": "1"}, "LISTEN_PID is 'me'"),
        ({"LISTEN_PID": str(PID), "LISTEN_FDS": "²"}, "LISTEN_FDS is '²'"),
        (variables(2, "one"), "LISTEN_FDNAMES has 1 names in the environment for 2 sockets"),
    ],
)
def test_variables_that_systemd_would_not_set_are_refused(
    environment: dict[str, str], said: str
) -> None:
    with pytest.raises(BadHandover, match=said):
        inherited(environment, PID)


def test_a_descriptor_that_is_no_socket_is_refused(hands: Hands) -> None:
    reads, writes = os.pipe()
    try:
        with pytest.raises(BadHandover, match=r"'x' \(descriptor \d+\) is no socket: Socket oper"):
            inherited(variables(1, "x"), PID, reads)
    finally:
        os.close(reads)
        os.close(writes)
    with pytest.raises(BadHandover, match="is no socket: Bad file descriptor"):
        inherited(variables(1, "x"), PID, 999_999)


@pytest.mark.parametrize(
    "kind",
    [
        (socket.AF_INET, socket.SOCK_STREAM),  # it does not listen
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_UNIX, socket.SOCK_STREAM),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET),
    ],
)
def test_a_socket_that_takes_no_connections_over_tcp_is_refused(
    hands: Hands, kind: tuple[Any, ...]
) -> None:
    given = hands.unready(*kind)
    if kind[0] == socket.AF_UNIX:
        given.bind("")  # a name of the system's choice
        given.listen()
    with pytest.raises(BadHandover, match="'x' is no TCP socket that listens"):
        inherited(variables(1, "x"), PID, hands.over(given))


def test_all_that_systemd_set_is_taken_at_once() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", **variables(0, "")}
    assert supervision(environment, PID, Clock()).sockets == ()
    assert environment == {"OTHER": "1"}


def test_what_twisted_has_taken_is_had_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = variables(2, "a:b")
    monkeypatch.setattr("twisted.python.systemd.getpid", lambda: PID)
    monkeypatch.setattr(_SystemdParser, "_sddaemon", ListenFDs.fromEnvironment(environment))
    assert environment == {"OTHER": "1", "LISTEN_FDNAMES": "a:b"}
    reclaim(environment, PID)
    assert environment == variables(2, "a:b")
    other: dict[str, str] = {}
    reclaim(other, PID)
    assert other == {}


def test_where_twisted_has_taken_nothing_there_is_nothing_to_have_back() -> None:
    environment = {"LISTEN_FDNAMES": "a"}
    reclaim(environment, PID)
    assert environment == {"LISTEN_FDNAMES": "a"}
