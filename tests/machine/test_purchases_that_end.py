"""Purchases that are over open nothing, neither on the prism nor on a store that knew them."""

import os
import sys
from pathlib import Path

import pytest_twisted
from twisted.internet.utils import getProcessOutputAndValue

from oose.purchases import Purchase, new_token
from tests.machine.running import Machine
from tests.machine.talk import exchange, parse, request
from tests.machine.test_prism_routes import HELLO
from tests.redis_server import until


async def statuses(machine: Machine, token: str) -> list[int]:
    """What a viewer hears from the prism, and from the store itself."""
    viewed = await machine.view(f"/{token}/a.txt")
    direct = parse(await exchange(machine.ports[0], request("GET", f"/play/{token}/a.txt")))
    return [viewed.status, direct.status]


@pytest_twisted.ensureDeferred
async def test_what_has_expired_opens_nothing_although_it_is_not_forgotten_yet(
    machine: Machine,
) -> None:
    await machine.upload(b"hello")
    purchases = machine.service._assembly.databases.purchases
    now = machine.service._assembly.now()
    over, good = (
        Purchase(new_token(), HELLO, "txt", ("*",), 1000, until) for until in (now, now + 3_600_000)
    )
    for each in (over, good):
        await purchases.add(each)
    assert await statuses(machine, over.token) == [404, 404]
    assert await statuses(machine, good.token) == [200, 200]
    assert await purchases.find(over.token) == over


@pytest_twisted.ensureDeferred
async def test_purchases_of_content_end_where_they_are_remembered_too(machine: Machine) -> None:
    await machine.upload(b"hello")
    tokens = [(await machine.purchase(HELLO))["token"] for _ in range(2)]
    for token in tokens:
        assert await statuses(machine, token) == [200, 200]
    assert await machine.service._assembly.desk.end_of(HELLO) == 2
    for token in tokens:
        assert await statuses(machine, token) == [404, 404]


@pytest_twisted.ensureDeferred
async def test_so_do_those_that_a_command_ends_in_a_process_of_its_own(
    machine: Machine, tmp_path: Path
) -> None:
    await machine.upload(b"hello")
    token = (await machine.purchase(HELLO))["token"]
    assert await statuses(machine, token) == [200, 200]
    config = tmp_path / "local.py"
    config.write_text(f"root = {str(machine.settings.root)!r}\nprism = {{'enabled': True}}\n")
    endings = machine.service._assembly.databases.endings
    era = endings.era
    command = ["-m", "oose", "purchases", "remove", token, "--config", str(config)]
    out, err, code = await getProcessOutputAndValue(sys.executable, command, env=os.environ)
    assert (code, err) == (0, b"")
    assert out == b"1 purchase removed; a prism that runs here follows within a second\n"
    await until(lambda: endings.era > era)
    assert await statuses(machine, token) == [404, 404]
