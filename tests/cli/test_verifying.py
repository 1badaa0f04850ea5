"""verify: against stores that listen, with the databases of the configuration."""

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve
from click.testing import CliRunner

from oose.cli import verifying
from oose.cli.exits import FAILED, NOT_FOUND, UNAVAILABLE, USAGE
from oose.cli.verifying import Answer, understood
from oose.embedded.database import FILE_NAME
from oose.errors import Unavailable
from oose.metadata.records import InventoryRecord
from oose.verifying.verification import LOOK, Bounds, Verification
from tests.cli.asking import Asking
from tests.cli.on_reactor import AskingBeside
from tests.machine.elsewhere import CREDENTIALS, Cluster, cluster
from tests.real import reactor
from tests.unit.faults import fail

NOBODY = hashlib.sha1(b"nobody has this").hexdigest()


@define
class Scene:
    """Two stores, and the command on a machine whose configuration names their database."""

    stores: Cluster
    ask: AskingBeside

    async def put(self, data: bytes, *names: str) -> InventoryRecord:
        [*records] = [
            await self.stores.keeping.put(self.stores.stores[name].holdings, data) for name in names
        ]
        return records[0]

    def path(self, record: InventoryRecord, name: str) -> Path:
        content = self.stores.stores[name].holdings.volume.disk.content
        return content / record.relative_path

    def verify_by_itself(
        self, name: str, monkeypatch: pytest.MonkeyPatch, seconds: float = LOOK
    ) -> Verification:
        """Let a store have its service, whose time passes as it is told to begin."""
        store, keeping = self.stores.stores[name], self.stores.keeping
        made = Verification(
            store.holdings.verifier,
            store.holdings.volume,
            keeping.inventory,
            Bounds(None, None, None),
            clock=keeping.clock,
            now=keeping.now,
        )
        store.room._parts = evolve(store.room._parts, verification=made)
        made.start()
        real = made.review

        async def begin(*args: Any) -> Any:
            said = await real(*args)
            reactor.callLater(0, keeping.clock.advance, seconds)
            return said

        monkeypatch.setattr(made, "review", begin)
        monkeypatch.setattr(verifying, "LOOK", 0)
        return made


@pytest_twisted.async_yield_fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    root = tmp_path / "data"
    root.mkdir()
    (root / FILE_NAME).symlink_to(tmp_path / "x.sqlite")
    config = tmp_path / "local.py"
    config.write_text(
        f"root = {str(root)!r}\n"
        "store = {'enabled': True, 'name': 's1',"
        f" 'username': {CREDENTIALS.username!r}, 'password': {CREDENTIALS.password!r}}}\n"
    )
    monkeypatch.setenv("OOSE_CONFIG", str(config))
    async with cluster(tmp_path, "s1:m1:g", "s2:m2:g") as stores:
        yield Scene(stores, AskingBeside.make(Asking(CliRunner()), monkeypatch))


def rows(said: Any) -> list[list[str]]:
    return [line.split() for line in said.out.splitlines()[1:]]


@pytest_twisted.ensureDeferred
async def test_all_clones_are_verified_where_they_are(scene: Scene) -> None:
    one, two = await scene.put(b"one", "s1", "s2"), await scene.put(b"two", "s2")
    said = await scene.ask("verify", two.hash, one.hash)
    assert said.code == 0, said.err
    assert rows(said) == [
        [two.hash, "p1:s2", "ok"],
        [one.hash, "p1:s1", "ok"],
        [one.hash, "p1:s2", "ok"],
    ]


@pytest_twisted.ensureDeferred
async def test_what_is_not_whole_is_said_and_is_no_success(scene: Scene) -> None:
    one = await scene.put(b"one", "s1", "s2")
    scene.path(one, "s1").write_bytes(b"on")
    scene.path(one, "s2").unlink()
    said = await scene.ask("verify", one.hash)
    assert said.code == FAILED
    assert rows(said) == [[one.hash, "p1:s1", "corrupt"], [one.hash, "p1:s2", "missing"]]
    assert said.err == "oose: Not whole, or not known to be: 2 of 2 clones\n"
    said = await scene.ask("--json", "verify", one.hash, NOBODY)
    assert said.code == NOT_FOUND
    assert said.json() == [
        {"hash": each, "store": "", "status": "not there", "why": ""} for each in (one.hash, NOBODY)
    ]


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_judged_is_said_with_its_reason(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await scene.put(b"one", "s1")
    fail(monkeypatch, "open", 13, on=one.hash)
    said = await scene.ask("verify", one.hash)
    assert said.code == FAILED
    assert rows(said)[0][:3] == [one.hash, "p1:s1", "unknown"]
    assert "Permission denied" in said.out


@pytest_twisted.ensureDeferred
async def test_stores_that_cannot_be_asked_are_said(scene: Scene) -> None:
    one = await scene.put(b"one", "s1", "s2")
    await scene.stores.change("p1:s1", available=False)
    await scene.stores.stores["s2"].die()
    said = await scene.ask("--json", "verify", one.hash)
    assert said.code == UNAVAILABLE
    assert [each["status"] for each in said.json()] == ["not asked", "not asked"]
    assert said.json()[0]["why"] == "the store is not available"
    assert "refused" in said.json()[1]["why"]


@pytest_twisted.ensureDeferred
async def test_only_the_clones_on_one_store_are_verified(scene: Scene) -> None:
    one = await scene.put(b"one", "s1", "s2")
    said = await scene.ask("verify", one.hash, NOBODY, "--store", "s2")
    assert said.code == FAILED
    assert rows(said) == [[one.hash, "p1:s2", "ok"], [NOBODY, "p1:s2", "missing"]]


@pytest_twisted.ensureDeferred
async def test_many_are_asked_for_some_at_a_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(verifying, "AT_ONCE", 2)
    hashes = [(await scene.put(b"%d" % number, "s1")).hash for number in range(5)]
    (tmp_path / "list.txt").write_text("".join(f"{each}  a film\n" for each in hashes))
    said = await scene.ask("verify", "--from", str(tmp_path / "list.txt"))
    assert said.code == 0
    assert [row[0] for row in rows(said)] == hashes


@pytest.mark.parametrize("told", [{}, {"a": "ok"}, {"a": {"status": 7}}, {"b": {"status": "ok"}}])
def test_an_answer_that_is_none_is_taken_for_none(told: Any) -> None:
    assert list(understood("p1:s1", ["a"], told)) == [
        Answer("a", "p1:s1", "not asked", "its answer cannot be understood")
    ]


# All that a store has


@pytest_twisted.ensureDeferred
async def test_all_of_a_store_is_verified_and_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await scene.put(b"%d" % number, "s1")
    made = scene.verify_by_itself("s1", monkeypatch)
    said = await scene.ask("--json", "verify", "--all", "--store", "s1", "--rate", "0")
    assert said.code == 0, said.err
    assert (said.json()["state"], said.json()["ok"], said.json()["passed"]) == ("done", 3, 1.0)
    await made.stop()


@pytest_twisted.ensureDeferred
async def test_what_is_not_whole_on_a_store_is_no_success(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await scene.put(b"one", "s1")
    scene.path(one, "s1").write_bytes(b"on")
    made = scene.verify_by_itself("s1", monkeypatch)
    said = await scene.ask("verify", "--all", "--store", "store:p1:s1", "--older-than", "1s")
    assert said.code == FAILED
    assert ["corrupt", "1"] in rows(said)
    times = {each[0]: " ".join(each[1:]) for each in rows(said)}
    for name in ("begunAt", "endedAt", "since"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", times[name])
    assert said.err == "oose: Not whole, or not known to be: 1 file; done\n"
    await made.stop()


@pytest_twisted.ensureDeferred
async def test_it_can_be_stopped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    made = scene.verify_by_itself("s1", monkeypatch, 0.0)
    await made.review()
    said = await scene.ask("verify", "--all", "--store", "s1", "--stop")
    assert said.code == 0
    assert ["state", "stopped"] in rows(said)
    monkeypatch.setattr(made, "reviewed", made.stop_review)
    said = await scene.ask("verify", "--all", "--store", "s1")
    assert said.code == FAILED
    assert said.err == "oose: Not whole, or not known to be: 0 files; stopped\n"
    await made.stop()


@pytest_twisted.ensureDeferred
async def test_a_store_that_was_started_anew_meanwhile_and_forgot_it_is_said(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgotten() -> Mapping[str, Any]:
        return {"state": "none"}

    made = scene.verify_by_itself("s1", monkeypatch, 0.0)
    monkeypatch.setattr(made, "reviewed", forgotten)
    said = await scene.ask("verify", "--all", "--store", "s1")
    assert said.code == FAILED
    assert "started anew meanwhile" in said.err
    await made.stop()


@pytest.mark.parametrize("words", [(), ("--stop",)])
@pytest_twisted.ensureDeferred
async def test_a_store_that_is_away_is_said_as_a_sweep_says_it(
    scene: Scene, words: tuple[str, ...]
) -> None:
    await scene.stores.stores["s1"].die()
    swept = await scene.ask("inventory", "scan", "s1")
    said = await scene.ask("verify", "--all", "--store", "s1", *words)
    assert (said.code, said.err) == (UNAVAILABLE, swept.err)
    assert "refused the connection" in said.err
    assert rows(said) == [["store", "p1:s1"], ["state", "not", "asked"]]
    swept = await scene.ask("--json", "inventory", "scan", "s1")
    said = await scene.ask("--json", "verify", "--all", "--store", "s1", *words)
    assert (said.code, said.err) == (UNAVAILABLE, swept.err)
    assert said.json() == swept.json()[0]


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_away_for_a_while_is_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "TRIES", 3)
    made = scene.verify_by_itself("s1", monkeypatch, 0.0)
    real, asked = made.reviewed, 0

    async def reviewed() -> Mapping[str, Any]:
        nonlocal asked
        asked += 1
        if asked in {2, 3, 4}:
            raise Unavailable("The store is stopping")
        return {**await real(), "state": "begun" if asked < 6 else "done"}

    monkeypatch.setattr(made, "reviewed", reviewed)
    said = await scene.ask("verify", "--all", "--store", "s1")
    assert (said.code, asked) == (0, 6), said.err
    await made.stop()


@pytest_twisted.ensureDeferred
async def test_one_that_does_not_come_back_is_given_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "TRIES", 3)
    made = scene.verify_by_itself("s1", monkeypatch, 0.0)
    asked = 0

    async def reviewed() -> Mapping[str, Any]:
        nonlocal asked
        asked += 1
        raise Unavailable("The store is stopping")

    monkeypatch.setattr(made, "reviewed", reviewed)
    said = await scene.ask("verify", "--all", "--store", "s1")
    assert (said.code, asked) == (UNAVAILABLE, 3 + 1)
    assert "The store is stopping" in said.err
    await made.stop()


@pytest.mark.parametrize(
    "words",
    [
        ("--all",),
        ("--all", "--store", "s1", NOBODY),
        ("--all", "--store", "s1", "--from", "-"),
        (NOBODY, "--stop"),
        (NOBODY, "--rate", "1MB"),
        (NOBODY, "--older-than", "1d"),
        (),
    ],
)
@pytest_twisted.ensureDeferred
async def test_wishes_that_contradict_each_other_are_refused(
    scene: Scene, words: tuple[str, ...]
) -> None:
    said = await scene.ask("verify", *words)
    assert said.code == USAGE
