"""What was received of an upload that is refused in the middle is gone at once."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import deferLater

from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import BOUNDARY, FORM, connect, form, parse, request
from tests.real import reactor

LIMIT = 12_000_000
PIECE = b"x" * 500_000
NEXT = b'\r\n--%s\r\nContent-Disposition: form-data; name="g"; filename="b"\r\n\r\n' % BOUNDARY
START = form(("f", "a.bin", "x/y", b"")).partition(b"\r\n--")[0]


@pytest_twisted.async_yield_fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    """A machine with two stores, so that every file is received twice."""
    root = tmp_path_factory.mktemp("machine")
    stores: list[Mapping[str, Any]] = [
        {"enabled": True, "name": f"s{n}", "port": 0, "root": str(root / f"s{n}"), "min_free": 0}
        for n in (1, 2)
    ]
    prism = {"enabled": True, "port": 0, "max_upload": LIMIT}
    async with running(one_machine(root, prism=prism, store=stores)) as machine:
        yield machine


def receiving(machine: Machine) -> list[int]:
    """What is held of uploads: files, those that wrote, and those in `incoming`."""
    held = []
    for holdings in machine.service._assembly.holdings:
        shared = holdings.volume._receiving
        held += [shared.count, shared.unsynced, len(list(shared.disk.incoming.iterdir()))]
    return held


async def refuse(machine: Machine, *pieces: bytes, status: int) -> None:
    """Send a body in chunks until it is refused, leave at once, and see that nothing stays."""
    headers = {**FORM, "X-OOSE-Token": machine.token, "Transfer-Encoding": "chunked"}
    connection = await connect(machine.ports[-1])
    connection.transport.write(request("POST", "/content/upload", headers))
    for piece in pieces:
        connection.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    await connection.until(b"\r\n\r\n")
    connection.transport.abortConnection()
    assert parse(await connection.closed).status == status
    await nothing_stays(machine)


async def nothing_stays(machine: Machine) -> None:
    """Wait until nothing is held of any upload."""
    for _ in range(5_000):
        if not any(receiving(machine)):
            return
        await deferLater(reactor, 0.001)
    assert receiving(machine) == [0] * 6


@pytest_twisted.ensureDeferred
async def test_a_file_that_becomes_too_large_leaves_nothing(machine: Machine) -> None:
    await refuse(machine, START, *[PIECE] * 30, status=413)


@pytest_twisted.ensureDeferred
async def test_two_files_that_become_too_large_leave_nothing(machine: Machine) -> None:
    await refuse(machine, START, *[PIECE] * 10, NEXT, *[PIECE] * 20, status=413)


@pytest_twisted.ensureDeferred
async def test_a_form_that_breaks_late_leaves_nothing(machine: Machine) -> None:
    broken = b"\r\n--" + BOUNDARY + b"nonsense"
    await refuse(machine, START, *[PIECE] * 10, NEXT, *[PIECE] * 5, broken, status=400)


@pytest_twisted.ensureDeferred
async def test_a_body_that_is_cut_short_is_told_to_who_still_listens(machine: Machine) -> None:
    headers = {**FORM, "X-OOSE-Token": machine.token, "Content-Length": "5000000"}
    whole = request("POST", "/content/upload", headers, START + PIECE * 4)
    for sent in (whole, whole[:100]):
        connection = await connect(machine.ports[-1])
        connection.transport.write(sent)
        connection.transport.loseWriteConnection()
        answer = parse(await connection.closed)
        assert (answer.status, answer.error) == (400, "The request is cut short")
        await nothing_stays(machine)


@pytest_twisted.ensureDeferred
async def test_who_ends_between_two_requests_is_gone(machine: Machine) -> None:
    connection = await connect(machine.ports[-1])
    connection.transport.write(request("GET", "/ping", {"Connection": "keep-alive"}))
    await connection.until(b"pong")
    connection.transport.loseWriteConnection()
    assert (await connection.closed).count(b"HTTP/1.1") == 1
