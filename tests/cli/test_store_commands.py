"""store: list, drain; and rebalance: with stores over real connections."""

import json
import signal
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from click.testing import CliRunner

from oose.cli import draining
from oose.cli.desk import Desk
from oose.cli.draining import full, pause_after
from oose.cli.tended import Job, Ways
from oose.membership import ALONE
from oose.peer import Peer
from oose.tending import picking
from tests.cli.asking import Asking
from tests.cli.on_reactor import AskingBeside
from tests.cli.shops import THREE, Shop, shop

FOUR = (*THREE, "s4:m4:g2")
CAPACITY = 1000


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> AskingBeside:
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    monkeypatch.setattr(draining, "ALONE", 0.0)
    return AskingBeside.make(Asking(CliRunner()), monkeypatch)


async def fill(made: Shop, capacity: int = CAPACITY) -> None:
    """Say of each store how full it is, of a small disk."""
    for name, store in made.made.stores.items():
        used = sum(path.stat().st_size for path in store.files())
        await made.made.change(f"p1:{name}", capacity=capacity, free=capacity - used)


async def put(made: Shop, count: int, *names: str) -> list[str]:
    """Contents of ten bytes each."""
    found = [await made.put(str(n).zfill(10).encode(), *names) for n in range(count)]
    await fill(made)
    return found


# List.


@pytest_twisted.ensureDeferred
async def test_stores_are_listed_with_how_full_they_are(
    tmp_path: Path, asking: AskingBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picking, "PAGE", 4)
    monkeypatch.setattr(draining, "PAGE", 4)
    async with shop(tmp_path, asking, *THREE) as made:
        await put(made, 5, "s1", "s2")
        await made.made.change("p1:s3", available=False, capacity=0, free=0)
        rows = [line.split() for line in (await made("store", "list")).out.splitlines()]
        assert rows[0] == ["store", "machine", "group", "is", "capacity", "free", "full"]
        assert rows[1] == ["p1:s1", "m1", "g1", "available", "1.0", "kB", "950", "bytes", "5.0%"]
        assert rows[3][-1] == "0.0%"
        said = await made("store", "list", "--count")
        assert [line.split()[-1] for line in said.out.splitlines()] == ["clones", "5", "5", "0"]
        value = (await made("store", "list", "--count", "--json")).json()
        assert value[1] == {
            "store": "p1:s2", "machine": "m2", "group": "g1", "is": "available",
            "capacity": 1000, "free": 950, "full": 0.05, "clones": 5,
        }  # fmt: skip
        assert "clones" not in (await made("store", "list", "--json")).json()[0]


def test_of_an_unknown_disk_nothing_is_full() -> None:
    assert full(0, 0) == 0.0


# Drain.


@pytest_twisted.ensureDeferred
async def test_a_store_is_emptied_and_its_disk_can_be_pulled(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *FOUR) as made:
        hashes = await put(made, 5, "s1", "s3")
        said = await made("store", "drain", "s1", "--pretend")
        assert said.out.splitlines()[-3:] == [
            "5 contents looked at", "would make 5 clones, 50 bytes", "would remove 5 clones"
        ]  # fmt: skip
        registry = made.made.keeping.registry
        await registry.load()
        peer = registry.store("p1:s1")
        assert peer is not None
        assert peer.writable
        said = await made("store", "drain", "s1")
        assert said.code == 0
        assert said.err == ""
        assert said.out.splitlines() == [
            "5 contents looked at",
            "made 5 clones, 50 bytes",
            "removed 5 clones",
            "Nothing is left on p1:s1: its disk can be pulled. What comes next:",
            "  oose peer deactivate s1   # nobody asks it any more",
            "  take it out of its service's configuration and restart that, or stop it",
            "  oose peer remove s1       # it is forgotten",
            "It takes nothing new; `oose peer writable s1` lets it again",
        ]
        where = await made.where()
        assert set(where) == set(hashes)
        assert all("s1" not in names and len(names) == 2 for names in where.values())
        await registry.load()
        peer = registry.store("p1:s1")
        assert peer is not None
        assert not peer.writable
        again = await made("store", "drain", "p1:s1", "--json")
        assert again.err == ""
        assert again.json()["left"] == {"contents": 0, "protected": 0, "few": 0, "alone": 0}


@pytest_twisted.ensureDeferred
async def test_what_cannot_leave_is_said(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, "s1:m1", "s2:m2") as made:
        one, two = await put(made, 2, "s1")
        await made.note(two, wanted=1, protected=True)
        said = await made("store", "drain", "s1", "--keep-writable")
        assert said.code == 1
        assert said.out.splitlines() == [
            "2 contents looked at",
            "made 2 clones, 20 bytes",
            "1 protected: no clone of these is removed",
            "1 failed",
            "The disk of p1:s1 cannot be pulled yet: 2 contents on it",
            "The same command tries again what failed",
        ]
        assert said.err == f"oose: {one}: No other store can take a clone\n"
        for each in made.made.stores["s2"].files():
            await made.made.stores["s2"].holdings.remove(each.stem)
        await made.made.change("p1:s2", free=1)
        said = await made("store", "drain", "s1", "--keep-writable")
        assert "2 contents on it, 2 of them nowhere else" in said.out
        await made.made.change("p1:s2", free=CAPACITY)
        await made.note(one, wanted=1)
        said = await made("store", "drain", "s1", "--keep-writable")
        assert said.code == 0
        assert said.out.splitlines()[4] == (
            "What stays on p1:s1 (1 content, protected) is on others as wanted:"
            " its disk can be pulled. What comes next:"
        )
        assert "takes nothing new" not in said.out


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_away_cannot_be_emptied(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *FOUR) as made:
        await made.made.change("p1:s1", available=False)
        said = await made("store", "drain", "s1")
        assert (said.code, said.out) == (5, "")
        assert "p1:s1 is not available, so nothing can be read there" in said.err
        said = await made("store", "drain", "s9")
        assert said.code == 4


@pytest_twisted.ensureDeferred
async def test_emptying_may_be_interrupted_and_goes_on(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *FOUR) as made:
        await put(made, 5, "s1", "s3")
        holdings: Any = made.made.stores["s1"].holdings
        real, signals = holdings.remove, [signal.SIGINT]

        async def remove(*args: Any, **more: Any) -> None:
            if signals:
                signal.raise_signal(signals.pop())
            await real(*args, **more)

        holdings.remove = remove
        said = await made("store", "drain", "s1", "--concurrency", "1")
        assert said.code == 130
        assert said.out.splitlines()[3:] == [
            "The same command goes on with the rest",
            "It takes nothing new; `oose peer writable s1` lets it again",
        ]
        assert len(await made.listed("--store", "s1")) == 4
        assert (await made("store", "drain", "s1")).code == 0
        assert await made.listed("--store", "s1") == {}


@pytest_twisted.ensureDeferred
async def test_the_wait_until_all_know_is_said_and_may_be_interrupted(
    tmp_path: Path, asking: AskingBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "ALONE", 3600.0)
    real = Job.say

    def say(job: Job, text: str) -> None:
        real(job, text)
        if text.startswith("waiting"):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Job, "say", say)
    async with shop(tmp_path, asking, *FOUR) as made:
        said = await made("store", "drain", "s1")
        assert said.code == 130
        waiting, stopping, _ = said.err.splitlines()
        assert waiting.startswith("oose: waiting 3")
        assert waiting.endswith(" s, until all know that it takes nothing new")
        assert stopping.startswith("oose: stopping")


def test_in_a_cluster_all_know_soon_that_a_store_takes_nothing() -> None:
    peer = Peer("store", "s1", "p1", "h", 1, "http://h", "g", "m", "3", 0)
    assert pause_after(peer, is_cluster=True) == draining.TOGETHER
    assert pause_after(peer, is_cluster=False) == ALONE


# Rebalance.


@pytest_twisted.ensureDeferred
async def test_a_new_store_is_filled(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *FOUR) as made:
        await put(made, 20, "s1", "s3")
        said = await made("rebalance", "--pretend")
        assert said.code == 0
        first, *_ = said.out.splitlines()
        assert "make 1 clone on p1:s" in first
        assert "remove 1 clone from p1:s" in first
        assert said.out.splitlines()[-1] == "All would be within 5.0% of the mean, 10.0%"
        assert (await made("rebalance", "--tolerance", "15", "--json")).json()["counts"] == {}
        said = await made("rebalance")
        assert (said.code, said.err) == (0, "")
        lines = said.out.splitlines()
        assert lines[1:3] == ["made 10 clones, 100 bytes", "removed 10 clones"]
        assert lines[3:] == [
            "  p1:s1: 20.0%, then 15.0%",
            "  p1:s2: 0.0%, then 5.0%",
            "  p1:s3: 20.0%, then 15.0%",
            "  p1:s4: 0.0%, then 5.0%",
            "All are within 5.0% of the mean, 10.0%",
        ]
        await fill(made)
        said = await made("rebalance", "--json")
        assert said.json()["stores"][0] == {
            "store": "p1:s1", "capacity": 1000, "before": 150, "after": 150
        }  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_balanced_is_said(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, "s1:m1:g1", "s2:m2:g2", "s3:m2:g2") as made:
        for n, each in enumerate(await put(made, 20, "s1", "s2")):
            await made.note(each, protected=n % 2 == 0)
        said = await made("rebalance")
        assert said.code == 0
        assert "  p1:s1: 20.0%\n" in said.out
        assert said.out.splitlines()[-1].startswith(
            "Not all are within 5.0% of the mean, 13.3%: what is left is protected"
        )
        await made.made.change("p1:s1", available=False)
        await made.made.change("p1:s2", capacity=0)
        said = await made("rebalance", "--pretend")
        assert said.code == 1
        assert "There are no two stores" in said.err


@pytest.mark.parametrize("text", ["0", "100", "much", "-5%", "5%%", "1.2.3"])
def test_a_tolerance_is_a_percentage(text: str) -> None:
    said = Asking(CliRunner())("rebalance", f"--tolerance={text}")
    assert said.code == 2
    assert "expected a percentage such as 5%" in said.err


# While it runs.


class Terminal(TextIOWrapper):
    """What writes to somebody who watches."""

    def isatty(self) -> bool:
        return True


def test_what_is_said_meanwhile_takes_the_place_of_the_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = BytesIO()
    monkeypatch.setattr(sys, "stderr", Terminal(written))
    job = Job(Desk(None, None, None, False, False), Ways(False, 1, 1), "Working")
    job.say("a word")
    assert written.getvalue() == b"\r\x1b[2Koose: a word\n"


def test_the_bar_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(Desk(None, None, None, False, True), Ways(False, 1, 1), "Working")
    with job.bar() as passed:
        passed(0.5, 10)
        passed(None, 10)
    assert json.dumps(job.more) == "{}"
