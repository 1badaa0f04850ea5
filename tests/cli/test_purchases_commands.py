"""purchases: list, show, remove and prune, on one machine and in a cluster."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import pytest_twisted
from attrs import evolve, frozen
from click.testing import CliRunner
from twisted.internet.threads import deferToThread

from oose.cli.opened import Opened, on_databases
from oose.cli.purchases import moment
from oose.purchases import Purchase, new_token
from tests.cli.asking import Asking, Said
from tests.cli.machines import Alone, Together, together
from tests.cli.on_reactor import AskingBeside
from tests.process.twistd import REPOSITORY

NOW = int(time.time() * 1000)
HOUR = 3_600_000
A, B = ("a" * 40, "b" * 40)
PURCHASE = Purchase("t" * 64, A, "mp4", ("example.com", "b.org"), HOUR, NOW + HOUR)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    with together(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@frozen
class Shop:
    """The command with one configuration, and what is in its databases."""

    asking: AskingBeside
    config: Path

    async def __call__(self, *arguments: str) -> Said:
        return await self.asking("purchases", *arguments, "--config", str(self.config))

    async def keep(self, *purchases: Purchase) -> None:
        """Put them into the database."""

        async def work(opened: Opened) -> None:
            for each in purchases:
                await opened.databases.purchases.add(each)

        await deferToThread(on_databases, str(self.config), work, make=True)

    async def tokens(self, *arguments: str) -> list[str]:
        """Those that are listed."""
        said = await self("list", "--json", *arguments)
        return sorted(each["token"] for each in said.json())


@pytest.fixture(params=["alone", "together"])
def shop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    asking = AskingBeside.make(Asking(CliRunner()), monkeypatch)
    if request.param == "alone":
        return Shop(asking, Alone.make(tmp_path).config)
    servers: Together = request.getfixturevalue("servers")
    servers.forget()
    return Shop(asking, servers.config)


def sold(count: int, content_hash: str = A, until: int = NOW + HOUR) -> Sequence[Purchase]:
    return [
        evolve(PURCHASE, token=new_token(), hash=content_hash, expires=until) for _ in range(count)
    ]


@pytest_twisted.ensureDeferred
async def test_where_nothing_was_sold_nothing_is_listed(shop: Shop) -> None:
    await shop.keep()
    listed = await shop("list")
    assert (listed.code, listed.out) == (0, "")
    assert (await shop("list", "--json")).json() == []


@pytest_twisted.ensureDeferred
async def test_purchases_are_listed_without_what_opens_content(shop: Shop) -> None:
    over = evolve(PURCHASE, token=new_token(), referrers=(), expires=NOW - 1)
    await shop.keep(PURCHASE, over)
    listed = await shop("list")
    head, *lines = listed.out.splitlines()
    assert head.split() == ["token", "expires", "ext", "hash", "referrers"]
    assert sorted(line.split() for line in lines) == sorted(
        [
            ["tttttttt...", moment(PURCHASE.expires), "mp4", A, "example.com,b.org"],
            [over.token[:8] + "...", moment(over.expires), "mp4", A],
        ]
    )
    assert head.index("hash") == lines[0].index(A) == lines[1].index(A)
    in_full = await shop("list", "--tokens")
    assert PURCHASE.token in in_full.out
    assert over.token in in_full.out


@pytest_twisted.ensureDeferred
async def test_scripts_get_them_as_they_are(shop: Shop) -> None:
    await shop.keep(PURCHASE)
    said = await shop("list", "--json")
    assert said.json() == [
        {
            "hash": A,
            "ext": "mp4",
            "token": PURCHASE.token,
            "life": str(HOUR),
            "expirationDate": str(PURCHASE.expires),
            "referrer": "example.com,b.org",
            "expired": False,
        }
    ]
    assert (await shop("show", PURCHASE.token, "--json")).json() == said.json()[0]


@pytest_twisted.ensureDeferred
async def test_only_those_that_are_meant_are_listed(shop: Shop) -> None:
    good, over, others = sold(1)[0], sold(1, until=NOW - 1)[0], sold(1, B, NOW - 1)[0]
    await shop.keep(good, over, others)
    assert await shop.tokens() == sorted([good.token, over.token, others.token])
    assert await shop.tokens("--hash", A) == sorted([good.token, over.token])
    assert await shop.tokens("--expired") == sorted([over.token, others.token])
    assert await shop.tokens("--hash", B, "--expired") == [others.token]
    assert await shop.tokens("--hash", "c" * 40) == []


@pytest_twisted.ensureDeferred
async def test_thousands_are_one_list(shop: Shop) -> None:
    kept = sold(1203)
    await shop.keep(*kept)
    assert await shop.tokens() == sorted(each.token for each in kept)
    assert len((await shop("list")).out.splitlines()) == 1204


@pytest_twisted.ensureDeferred
async def test_one_is_shown(shop: Shop) -> None:
    await shop.keep(PURCHASE)
    said = await shop("show", PURCHASE.token)
    shown = dict(line.split()[:2] for line in said.out.splitlines())
    assert (shown["hash"], shown["until"]) == (A, moment(PURCHASE.expires))
    missing = await shop("show", "x" * 64)
    assert (missing.code, missing.out) == (4, "")
    assert (await shop("show", "no token")).code == 2


@pytest_twisted.ensureDeferred
async def test_purchases_are_removed_by_their_tokens(shop: Shop) -> None:
    first, second, third = kept = sold(3)
    await shop.keep(*kept)
    said = await shop("remove", first.token)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("1 purchase removed")
    again = await shop("remove", first.token, second.token, second.token, "--json")
    assert (again.code, again.json()) == (4, {"count": 1})
    assert "1 token had no purchase" in json.loads(again.err)["error"]
    assert await shop.tokens() == [third.token]
    nothing = await shop("remove")
    assert nothing.code == 2
    assert "--hash" in nothing.err


@pytest_twisted.ensureDeferred
async def test_purchases_are_removed_by_their_content(shop: Shop) -> None:
    other = sold(1, B)[0]
    third = sold(1, "c" * 40)[0]
    await shop.keep(*sold(5), other, third)
    said = await shop("remove", "--hash", A, "--hash", "c" * 40, "--json")
    assert (said.code, said.json()) == (0, {"count": 6})
    assert await shop.tokens() == [other.token]
    assert (await shop("remove", "--hash", A)).out == "0 purchases removed\n"
    both = await shop("remove", "--hash", B, other.token)  # a token's goes first
    assert (both.code, await shop.tokens()) == (0, [])


@pytest_twisted.ensureDeferred
async def test_on_one_machine_it_is_said_when_a_prism_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    alone = Alone.make(tmp_path)
    shop = Shop(AskingBeside.make(Asking(CliRunner()), monkeypatch), alone.config)
    await shop.keep(PURCHASE)
    said = await shop("remove", PURCHASE.token)
    assert said.out == "1 purchase removed; a prism that runs here follows within a second\n"


# What is left over


@pytest_twisted.ensureDeferred
async def test_what_is_long_over_is_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    alone = Alone.make(tmp_path, "purchase = {'afterlife': '1h'}")
    shop = Shop(AskingBeside.make(Asking(CliRunner()), monkeypatch), alone.config)
    kept = [*sold(1), *sold(1, until=NOW - HOUR // 2)]
    await shop.keep(*kept, *sold(1003, until=NOW - HOUR))
    foreseen = await shop("prune", "--pretend")
    assert foreseen.out == "1,003 expired longer ago than their afterlife\n"
    assert len(await shop.tokens()) == 1005
    done = await shop("prune", "--json")
    assert done.json() == {"expired": 1003, "broken": 0, "unending": 0, "pretend": False}
    assert await shop.tokens() == sorted(each.token for each in kept)
    assert (await shop("prune")).out == "Nothing to do\n"


@pytest_twisted.ensureDeferred
async def test_what_others_left_in_redis_is_cleared_up(
    servers: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.forget()
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    shop = Shop(AskingBeside.make(Asking(CliRunner()), monkeypatch), servers.config)
    await shop.keep(PURCHASE)
    key = f"oose:purchase:{PURCHASE.token}"
    servers.redis.cli("PERSIST", key)
    servers.redis.cli("SET", "oose:purchase:x", "y")
    found = "1 no purchases, 1 without an end\n"
    assert (await shop("prune", "--pretend")).out == found
    assert servers.redis.cli("DBSIZE") == "2"
    assert (await shop("prune")).out == f"Done: {found}"
    assert servers.redis.cli("DBSIZE") == "1"
    assert servers.redis.cli("PEXPIRETIME", key) == str(PURCHASE.expires + 2 * HOUR)


# In a process of its own


@pytest_twisted.ensureDeferred
async def test_a_list_that_nobody_reads_to_its_end_ends_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    shop = Shop(AskingBeside.make(Asking(CliRunner()), monkeypatch), Alone.make(tmp_path).config)
    await shop.keep(*sold(2000))
    command = f"{sys.executable} -m oose purchases list --config {shop.config} | head -n 2"
    done = await deferToThread(
        subprocess.run,
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=os.environ,
        check=False,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("when", "words"),
    [(0, "1970-01-01T00:00:00Z"), (1_700_000_000_999, "2023-11-14T22:13:20Z"), (2**53, "never")],
)
def test_a_time_in_words(when: int, words: str) -> None:
    assert moment(when) == words
