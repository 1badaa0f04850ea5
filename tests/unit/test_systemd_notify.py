"""What systemd is told, over real datagram sockets."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from oose.systemd.notify import AGAIN, Notifier, notify_address
from tests.systemd import Ear, ear
from tests.unit.logged import logged


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ear]:
    abstract = f"@oose-test-{secrets.token_hex(8)}"
    with ear(str(tmp_path / "notify") if request.param == "path" else abstract) as listening:
        yield listening


def test_it_says_how_the_service_is(listening: Ear) -> None:
    notifier = Notifier(listening.address, Clock())
    notifier.waiting("Waiting for\nthe databases", 1.5)
    notifier.ready("Ready")
    notifier.alive()
    notifier.stopping("Stopping")
    notifier.close()
    assert listening.heard() == [
        ["STATUS=Waiting for the databases", "EXTEND_TIMEOUT_USEC=1500000"],
        ["READY=1", "STATUS=Ready"],
        ["WATCHDOG=1"],
        ["STOPPING=1", "STATUS=Stopping"],
    ]


def test_where_nobody_listens_nobody_is_told() -> None:
    notifier = Notifier(None, Clock())
    with logged("warn") as said:
        notifier.ready("Ready")
        notifier.close()
    assert said == []


def fill(address: str) -> None:
    """Send until there is no room."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, suppress(BlockingIOError):
        other.setblocking(False)
        while True:
            other.sendto(b"other", address)


def test_what_finds_no_room_is_sent_again_in_order_and_nothing_twice(tmp_path: Path) -> None:
    clock = Clock()
    with ear(str(tmp_path / "notify")) as listening:
        notifier = Notifier(listening.address, clock)
        fill(listening.address)
        notifier.ready("Ready")
        for _ in range(3):
            notifier.alive()
        clock.advance(AGAIN)
        assert {line for [line] in listening.heard()} == {"other"}
        clock.advance(AGAIN)
        assert listening.heard() == [["READY=1", "STATUS=Ready"], ["WATCHDOG=1"]]
        assert clock.getDelayedCalls() == []
        notifier.alive()
        assert listening.heard() == [["WATCHDOG=1"]]


def test_after_the_end_nothing_is_sent_again(tmp_path: Path) -> None:
    clock = Clock()
    with ear(str(tmp_path / "notify")) as listening:
        notifier = Notifier(listening.address, clock)
        fill(listening.address)
        notifier.stopping("Stopping")
        notifier.close()
        assert clock.getDelayedCalls() == []


def test_what_cannot_be_sent_is_in_the_log_once(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "nobody"), Clock())
    with logged("warn") as said:
        notifier.ready("Ready")
        notifier.alive()
    assert said == ["systemd cannot be told how oose is: No such file or directory"]
    notifier.close()


def test_the_address_is_taken_out_of_the_environment() -> None:
    for address in ("/run/systemd/notify", "@name"):
        environment = {"NOTIFY_SOCKET": address, "OTHER": "1"}
        assert notify_address(environment) == address
        assert environment == {"OTHER": "1"}
    assert notify_address({}) is None


@pytest.mark.parametrize("address", ["vsock:2:1234", ""])
def test_an_address_of_another_kind_is_said_and_left(address: str) -> None:
    environment = {"NOTIFY_SOCKET": address}
    with logged("warn") as said:
        assert notify_address(environment) is None
    assert environment == {}
    [line] = said
    assert line.startswith(f"NOTIFY_SOCKET is {address!r}, neither a path")
