"""A store that cannot look up purchases, and viewers who bring a prism's word for one."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve

from oose.credentials import Credentials
from oose.errors import NotFound, OoseError, Unavailable
from oose.purchases import Purchase
from oose.vouchers import LIFE, Vouchers
from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import Response

HELLO = hashlib.sha1(b"hello").hexdigest()
TOKEN = "t" * 64
VOUCHERS = Vouchers(Credentials("peer", "p" * 20))


@define
class Desk:
    """A desk that only says what is wrong."""

    error: OoseError

    async def valid(self, token: str, now: int) -> Purchase:
        raise self.error


@define
class Viewer:
    """Asks a store that has `hello`, with whatever voucher."""

    machine: Machine

    def voucher(self, token: str = TOKEN, content_hash: str = HELLO, age: int = 0) -> str:
        now = self.machine.service._assembly.now() - age
        purchase = Purchase(token, content_hash, "txt", ("*",), LIFE, now + 10 * LIFE)
        return VOUCHERS.issue(purchase, now)

    async def play(self, query: str, **headers: str) -> Response:
        target = f"/play/{TOKEN}/a.txt?{query}"
        return await self.machine.ask(target, store=0, headers=headers)


async def viewer(
    machine: Machine, error: OoseError, vouchers: Vouchers | None = VOUCHERS
) -> Viewer:
    await machine.ask(f"/content/put/{HELLO}.txt", method="PUT", store=0, body=b"hello")
    [store] = machine.service._assembly.stores
    desk: Any = Desk(error)
    store._parts = evolve(store._parts, desk=desk, vouchers=vouchers)
    return Viewer(machine)


@pytest_twisted.ensureDeferred
async def test_a_voucher_opens_what_cannot_be_looked_up(machine: Machine) -> None:
    found = await viewer(machine, Unavailable("away"))
    given = found.voucher()
    whole = await found.play(f"start=0&voucher={given}")
    assert (whole.status, whole.body) == (200, b"hello")
    assert whole.headers["content-type"] == "text/plain"
    part = await found.play(f"voucher={given}&attach=b.txt", Range="bytes=1-2")
    assert (part.status, part.body) == (206, b"el")
    assert "b.txt" in part.headers["content-disposition"]
    assert (await found.play(f"voucher=theirs&voucher={given}")).body == b"hello"


@pytest_twisted.ensureDeferred
async def test_nginx_serves_it_as_what_was_looked_up(tmp_path: Path) -> None:
    store = {"enabled": True, "port": 0, "min_free": 0, "accel_redirect": "/internal"}
    async with running(one_machine(tmp_path, store=store)) as machine:
        found = await viewer(machine, Unavailable("away"))
        answer = await found.play(f"voucher={found.voucher()}")
        path = f"/internal/{HELLO[:2]}/{HELLO[2:4]}/{HELLO}.txt"
        assert answer.headers["x-accel-redirect"] == path


@pytest_twisted.ensureDeferred
async def test_no_other_voucher_opens_anything(machine: Machine) -> None:
    found = await viewer(machine, Unavailable("away"))
    for given in (
        "",
        "x",
        "%ff.%00",
        found.voucher(age=LIFE),
        found.voucher(token="u" * 64),
        found.voucher().replace(HELLO, "b" * 40),
        found.voucher() + "0",
        f"{found.voucher()}&voucher=last",
    ):
        assert (await found.play(f"voucher={given}")).status == 503
    assert (await found.play("")).status == 503
    missing = await found.play(f"voucher={found.voucher(content_hash='b' * 40)}")
    assert missing.status == 404


@pytest.mark.parametrize(
    ("error", "vouchers", "status"),
    [(NotFound("removed"), VOUCHERS, 404), (Unavailable("away"), None, 503)],
    ids=["the database knows better", "a machine of its own"],
)
@pytest_twisted.ensureDeferred
async def test_a_voucher_changes_nothing_where_none_is_needed_or_known(
    machine: Machine, error: OoseError, vouchers: Vouchers | None, status: int
) -> None:
    found = await viewer(machine, error, vouchers)
    assert (await found.play(f"voucher={found.voucher()}")).status == status
