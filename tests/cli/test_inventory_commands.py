"""inventory: against stores that listen, with the databases of the configuration."""

import hashlib
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve
from click.testing import CliRunner

from oose.address import relative_path
from oose.cli import inventory
from oose.cli.exits import FAILED, NOT_FOUND, UNAVAILABLE, USAGE
from oose.cli.inventory import passed, remarks, row, shown, state
from oose.contents import Contents
from oose.embedded import EmbeddedDocuments
from oose.embedded.database import FILE_NAME
from oose.errors import Unavailable
from oose.inventory import Inventory
from oose.settings.model import InventorySettings
from oose.sweeping.counts import Counts
from oose.sweeping.disk_sweeps import DiskSweeps, Means
from oose.sweeping.report import Report
from tests.cli.asking import Asking
from tests.cli.on_reactor import AskingBeside
from tests.machine.elsewhere import CREDENTIALS, Cluster, cluster

HASHES = [hashlib.sha1(b"%d" % number).hexdigest() for number in range(3)]


@define
class Scene:
    """Two stores, and the command on a machine whose configuration names their database."""

    stores: Cluster
    service: Inventory
    ask: AskingBeside

    def content(self, name: str) -> Path:
        return self.stores.stores[name].holdings.volume.disk.content

    def sweeps(self, name: str) -> DiskSweeps:
        return self.service.sweeps[f"p1:{name}"]


@pytest_twisted.async_yield_fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    root = tmp_path / "data"
    root.mkdir()
    (root / FILE_NAME).symlink_to(tmp_path / "x.sqlite")
    config = tmp_path / "local.py"
    config.write_text(
        f"root = {str(root)!r}\nmachine = 'm1'\n"
        "store = {'enabled': True, 'name': 's1',"
        f" 'username': {CREDENTIALS.username!r}, 'password': {CREDENTIALS.password!r}}}\n"
    )
    monkeypatch.setenv("OOSE_CONFIG", str(config))
    monkeypatch.setattr(inventory, "LOOK", 0)
    async with cluster(tmp_path, "s1:m1:g", "s2:m2:g") as stores:
        keeping = stores.keeping
        means = Means(
            keeping.inventory,
            Contents(EmbeddedDocuments(keeping.database, "content")),
            keeping.existence,
            InventorySettings(files=1, requests=1, driver="native"),
            keeping.clock,
            keeping.now,
        )
        service = Inventory([each.holdings for each in stores.stores.values()], means)
        for each in stores.stores.values():
            sweeps = service.sweeps[each.place]
            each.room._parts = evolve(each.room._parts, sweeps=sweeps)
            path = each.holdings.volume.disk.content / relative_path(HASHES[0], "mp4")
            path.parent.mkdir(parents=True)
            path.write_bytes(b"film")
        yield Scene(stores, service, AskingBeside.make(Asking(CliRunner()), monkeypatch))
        await service.stop()


def rows(said: Any) -> list[list[str]]:
    return [line.split() for line in said.out.splitlines()[1:]]


@pytest_twisted.ensureDeferred
async def test_all_stores_are_swept_and_what_they_found_is_shown(scene: Scene) -> None:
    (scene.content("s2") / "a\nb").touch()
    said = await scene.ask("inventory", "scan", "--fast")
    assert said.code == 0, said.err
    assert [each[0] for each in rows(said)] == ["p1:s1", "p1:s2"]
    assert "finished 20" in said.out
    assert said.err == "oose: p1:s2: foreign: a\\nb\n"
    told = (await scene.ask("--json", "inventory", "status", "s1")).json()
    assert [(each["store"], each["state"], each["made"]) for each in told] == [
        ("p1:s1", "finished", 1)
    ]


@pytest_twisted.ensureDeferred
async def test_a_sweep_is_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps = scene.sweeps("s1")
    for each in HASHES[1:]:
        path = scene.content("s1") / relative_path(each, "mp4")
        path.parent.mkdir(parents=True)
        path.touch()
    real = sweeps.status
    looks = []

    async def status() -> Mapping[str, Any]:
        looks.append(await real())
        scene.stores.keeping.clock.advance(1)
        return looks[-1]

    monkeypatch.setattr(sweeps, "status", status)
    said = await scene.ask("inventory", "scan", "s1", "--driver", "native")
    assert said.code == 0, said.err
    assert rows(said)[0][:2] == ["p1:s1", "finished"]
    assert len(looks) > 3
    assert looks[-1]["driver"] == "native"


@pytest_twisted.ensureDeferred
async def test_what_was_not_read_is_no_success(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scan(driver: str, **wishes: bool) -> Mapping[str, Any]:
        counts = Counts(unreadable=21, named={"unreadable": ["content/00: Input/output error"]})
        report = Report(1, finished=2, next=257, counts=counts)
        return {"state": "finished", "error": None, **report.to_json()}

    monkeypatch.setattr(scene.sweeps("s1"), "scan", scan)
    said = await scene.ask("inventory", "scan", "s1")
    assert said.code == FAILED
    assert said.err.splitlines() == [
        "oose: p1:s1: not read: content/00: Input/output error",
        "oose: p1:s1: not read: 20 more",
        "oose: Not wholly swept: 1 store",
    ]


@pytest_twisted.ensureDeferred
async def test_a_sweep_that_stopped_is_no_success(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*args: object, **kwargs: object) -> object:
        raise Unavailable("The database does not answer")

    monkeypatch.setattr(scene.stores.keeping.inventory, "held", refuse)
    said = await scene.ask("inventory", "scan", "s1", "--fast")
    assert said.code == FAILED
    assert "oose: p1:s1: The database does not answer" in said.err
    assert (await scene.ask("inventory", "status", "s1")).code == 0


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_nearly_empty_is_believed_when_it_is_said(scene: Scene) -> None:
    for number in range(20):
        await scene.stores.keeping.put(scene.stores.stores["s1"].holdings, b"film %d" % number)
    for path in scene.content("s1").iterdir():
        shutil.rmtree(path)
    said = await scene.ask("inventory", "scan", "s1", "--fast")
    assert said.code == FAILED
    assert "`oose inventory scan s1 --empty`" in said.err
    assert (await scene.ask("inventory", "scan", "--empty")).code == USAGE
    said = await scene.ask("--json", "inventory", "scan", "s1", "--empty", "--fast")
    assert said.code == 0, said.err
    assert said.json()[0]["removed"] == 20


@pytest_twisted.ensureDeferred
async def test_one_store_waits_for_another(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    real = scene.sweeps("s2").status
    looks = 0

    async def status() -> Mapping[str, Any]:
        nonlocal looks
        looks += 1
        return {**await real(), "state": "running" if looks < 3 else "finished"}

    monkeypatch.setattr(scene.sweeps("s2"), "status", status)
    said = await scene.ask("inventory", "scan", "--fast")
    assert said.code == 0, said.err
    assert [each[1] for each in rows(said)] == ["finished", "finished"]


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_not_served_is_said_clearly(scene: Scene) -> None:
    await scene.stores.stores["s1"].die()
    said = await scene.ask("inventory", "status")
    assert said.code == UNAVAILABLE
    assert "p1:s1: " in said.err
    assert "Does the process run that is to serve it on this machine?" in said.err
    assert [each[:2] for each in rows(said)] == [["p1:s1", "not"], ["p1:s2", "never"]]
    await scene.stores.stores["s2"].die()
    said = await scene.ask("--json", "inventory", "scan", "s2")
    assert said.code == UNAVAILABLE
    assert said.json()[0]["state"] == "not asked"
    assert "on this machine" not in said.json()[0]["error"]


@pytest_twisted.ensureDeferred
async def test_a_store_that_goes_meanwhile_is_waited_for_a_while(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "TRIES", 3)
    sweeps = scene.sweeps("s2")
    real = sweeps.status
    asked = 0

    async def status() -> Mapping[str, Any]:
        nonlocal asked
        asked += 1
        if asked in {2, 3, 5, 6, 7}:
            raise Unavailable("The store is stopping")
        if asked == 8:
            sweeps._sweep.hurry()  # type: ignore[union-attr] # it runs
            scene.stores.keeping.clock.advance(10)
        return await real()

    monkeypatch.setattr(sweeps, "status", status)
    said = await scene.ask("inventory", "scan", "s2")
    assert said.code == 0, said.err
    assert asked >= 8


@pytest_twisted.ensureDeferred
async def test_one_that_does_not_come_back_is_given_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "TRIES", 3)
    real = scene.sweeps("s1").status
    asked = 0

    async def status() -> Mapping[str, Any]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise Unavailable("The store is stopping")
        return await real()

    monkeypatch.setattr(scene.sweeps("s1"), "status", status)
    said = await scene.ask("inventory", "scan", "s1")
    assert said.code == UNAVAILABLE
    assert asked == 1 + 3 + 1
    assert "The store is stopping" in said.err


@pytest_twisted.ensureDeferred
async def test_what_is_no_store_or_says_nothing_of_use(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await scene.ask("inventory", "status", "s9")
    assert said.code == NOT_FOUND

    async def nonsense() -> Mapping[str, Any]:
        return {"state": 7}

    monkeypatch.setattr(scene.sweeps("s1"), "status", nonsense)
    said = await scene.ask("inventory", "status", "s1")
    assert said.code == UNAVAILABLE
    assert "cannot be understood" in said.err
    room = scene.stores.stores["s1"].room
    room._parts = evolve(room._parts, sweeps=None)
    said = await scene.ask("inventory", "scan", "s1")
    assert said.code == UNAVAILABLE
    assert "Nothing is swept in this process" in said.err


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_deactivated_is_asked_only_by_its_name(scene: Scene) -> None:
    await scene.stores.keeping.registry.deactivate("store:p1:s2")
    assert [each[0] for each in rows(await scene.ask("inventory", "status"))] == ["p1:s1"]
    assert [each[0] for each in rows(await scene.ask("inventory", "status", "s2"))] == ["p1:s2"]


def told(**more: Any) -> Mapping[str, Any]:
    return {"store": "p1:s1", "state": "running", "error": None, **Report(1).to_json(), **more}


def test_how_it_stands_in_a_few_words() -> None:
    assert state(told(slice=64)) == "25%"
    assert state(told(state="interrupted", slice=128)) == "interrupted at 50%"
    assert state(told(state="never")) == "never"
    assert row(told(slice=64, files=1234, bytes=5 * 10**9, rate=99.6, made=3))[:6] == (
        "p1:s1",
        "25%",
        "1,234",
        "5.0 GB",
        "100",
        "3",
    )
    done = told(state="finished", slice=256, files=7)
    away = {"store": "p1:s2", "state": "not asked", "error": "x"}
    assert passed([told(slice=128, files=1), done, away]) == (750_000, 8)


def test_names_are_shown_as_a_terminal_can_have_them() -> None:
    assert shown("a\nb\x1b[31m\udcff\u2028é") == "a\\nb\\x1b[31m\\udcff\\u2028é"
    assert list(remarks(told(foreign=2, named={"foreign": ["a", "b"]}))) == [
        "p1:s1: foreign: a",
        "p1:s1: foreign: b",
    ]
