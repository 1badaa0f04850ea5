"""The engine as systemd sees it."""

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose.engine import CannotStart
from oose.systemd.inherited import Inherited
from oose.systemd.supervision import Supervision, supervision
from oose.tap import OoseService, put_together
from tests.machine.running import one_machine
from tests.machine.talk import connect, exchange, parse, request
from tests.real import reactor
from tests.systemd import ear

PING = request("GET", "/ping")


def supervised(folder: Path, *sockets: Inherited, told: str | None = None) -> OoseService:
    """A process of a prism and a store; systemd hands over `sockets` and listens at `told`."""
    plain = supervision({} if told is None else {"NOTIFY_SOCKET": told}, 0, reactor)
    by = Supervision(plain.notifier, plain.watchdog, sockets)
    return put_together(one_machine(folder), lambda: None, by)


async def start(service: OoseService) -> None:
    service.privilegedStartService()
    service.startService()
    await began(service)


async def began(service: OoseService) -> None:
    assert service.starting is not None
    await service.starting


@pytest_twisted.ensureDeferred
async def test_readiness_is_told_when_the_ports_answer_and_not_before(tmp_path: Path) -> None:
    with ear(str(tmp_path / "notify")) as listening:
        service = supervised(tmp_path, told=listening.address)
        reached, door = Deferred[None](), Deferred[None]()
        registry: Any = service._assembly.registry
        load = registry.load

        async def load_later() -> None:
            if not reached.called:
                reached.callback(None)
                await door
            await load()

        registry.load = load_later
        service.privilegedStartService()
        service.startService()
        await reached
        assert service._ports == []
        assert listening.heard() == []
        door.callback(None)
        await began(service)
        [[ready, _]] = listening.heard()
        assert ready == "READY=1"
        for bound in service._bound:
            assert parse(await exchange(bound.port, PING)).status == 200
        await service.stopService()
        [[stopping, _]] = listening.heard()
        assert stopping == "STOPPING=1"


def handed_over(stack: ExitStack, name: str) -> tuple[socket.socket, Inherited]:
    """A socket as systemd keeps it, and as it hands it over."""
    kept = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    given = kept.dup()
    given.setblocking(False)
    return kept, Inherited(name, given)


@pytest_twisted.ensureDeferred
async def test_who_connects_between_two_processes_is_answered_by_the_second(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        kept, given = handed_over(stack, "prism1")
        port = kept.getsockname()[1]
        first = supervised(tmp_path, given)
        await start(first)
        assert first._bound[-1].port == port
        assert parse(await exchange(port, PING)).status == 200
        await first.stopService()
        waiting = await connect(port)
        waiting.transport.write(PING)
        again = kept.dup()
        again.setblocking(False)
        second = supervised(tmp_path, Inherited("prism1", again))
        await start(second)
        assert parse(await waiting.closed).status == 200
        await second.stopService()


@pytest_twisted.ensureDeferred
async def test_who_has_connected_when_the_process_is_stopped_is_still_answered(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        kept, given = handed_over(stack, "prism1")
        service = supervised(tmp_path, given)
        await start(service)
        port = kept.getsockname()[1]
        fresh, used = await connect(port), await connect(port)
        keeps = request("GET", "/ping", {"Connection": "keep-alive"})
        used.transport.write(keeps)
        await used.until(b"pong")
        [site] = [each for each in service._sites if len(each._channels) == 2]
        stopped = service.stopService()
        for each in (fresh, used):
            each.transport.write(keeps)
        assert parse(await fresh.closed).headers["connection"] == "close"
        first, last = (await used.closed).split(b"HTTP/1.1 200 OK\r\n")[1:]
        assert b"Connection: close" not in first
        assert b"Connection: close" in last
        await stopped
        assert site._channels == set()


def test_a_socket_that_no_room_takes_ends_the_start(tmp_path: Path) -> None:
    with ExitStack() as stack:
        _, given = handed_over(stack, "other")
        with pytest.raises(CannotStart, match=r"systemd listens on .*\('other'\) for this process"):
            supervised(tmp_path, given).claim()
        given.socket.close()
