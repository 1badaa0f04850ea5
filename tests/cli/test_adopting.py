"""adopt: what it says, and what it asks of the databases."""

import json
from pathlib import Path

import pytest
import pytest_twisted
from click.testing import CliRunner

from oose.disk import IDENTITY
from oose.moving.adoption import adopt, shape_of
from tests.cli.asking import Asking
from tests.cli.machines import Alone, write_lines
from tests.cli.on_reactor import AskingBeside
from tests.disk_2x import data_of, fill, tree


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> AskingBeside:
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    return AskingBeside.make(Asking(CliRunner()), monkeypatch)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Alone:
    alone = Alone.make(tmp_path)
    monkeypatch.setenv("OOSE_CONFIG", str(alone.config))
    return alone


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    disk = tmp_path / "disk one"
    fill(disk / "content", 10)
    return disk


async def migrated(asking: AskingBeside, folder: Path, store: str, count: int = 10) -> None:
    """Records of what is on the disk, as 2.x had them."""
    lines = [
        {"_id": f"oose:inventory:{each}:prism1:{store}", "size": len(data_of(n))}
        for n, each in enumerate(fill(folder / "again", count))
    ]
    file = write_lines(folder / "old.jsonl", lines)
    assert (await asking("migrate", "--from", str(file))).code == 0


@pytest_twisted.ensureDeferred
async def test_a_disk_is_adopted_and_what_comes_next_is_said(
    asking: AskingBeside, alone: Alone, disk: Path, tmp_path: Path
) -> None:
    await migrated(asking, tmp_path, "store7")
    said = await asking("adopt", str(disk), "--name", "store7")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == f"{disk} is the disk of the store prism1:store7"
    assert lines[2] == "10 of them are in the inventory as prism1:store7"
    names: dict[str, object] = {}
    exec("\n".join(lines[4:7]), names)
    assert names["store"] == [
        {"enabled": True, "name": "store7", "prism": "prism1", "root": str(disk)}
    ]
    assert lines[-1].startswith("When the service has started")


@pytest_twisted.ensureDeferred
async def test_pretending_touches_nothing(asking: AskingBeside, alone: Alone, disk: Path) -> None:
    before = tree(disk)
    said = await asking("--json", "adopt", str(disk), "--name", "s1", "--pretend")
    assert said.json() == {
        "store": "s1",
        "prism": "prism1",
        "root": str(disk),
        "identity": None,
        "looked": {"files": 10, "strangers": 0},
        "records": {},
        "configured": False,
    }
    said = await asking("adopt", str(disk), "--name", "s1", "--pretend")
    assert f"{disk} would become the disk of the store prism1:s1" in said.out
    assert tree(disk) == before


def configure(alone: Alone, disk: Path, name: str = "store7") -> None:
    with alone.config.open("a") as file:
        file.write(f"store = {{'enabled': True, 'name': {name!r}, 'root': {str(disk)!r}}}\n")


@pytest_twisted.ensureDeferred
async def test_the_configuration_may_name_it(
    asking: AskingBeside, alone: Alone, disk: Path, tmp_path: Path
) -> None:
    configure(alone, disk)
    said = await asking("adopt", str(disk), "--name", "store8")
    assert said.code == 1
    assert f"calls the store at {disk} prism1:store7" in said.err
    said = await asking("adopt", str(tmp_path), "--name", "store7")
    assert f"has the store 'store7' at {disk}" in said.err
    said = await asking("adopt", str(disk))
    assert said.code == 0
    assert "The configuration has it already" in said.out
    with (disk / IDENTITY).open() as file:
        assert json.load(file)["store"] == "store7"


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_none_is_refused(
    asking: AskingBeside, alone: Alone, disk: Path
) -> None:
    said = await asking("adopt", str(disk))
    assert said.code == 2
    assert "--name is needed" in said.err
    said = await asking("adopt", str(disk), "--name", "Store 7")
    assert said.code == 2
    assert "'Store 7' is no name for a store or prism" in said.err


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_held_is_refused(
    asking: AskingBeside, alone: Alone, disk: Path, tmp_path: Path
) -> None:
    lines = [{"_id": "oose:store:prism2:s1", "host": "10.0.0.9"}]
    file = write_lines(tmp_path / "old.jsonl", lines)
    assert (await asking("migrate", "--from", str(file))).code == 0
    said = await asking("adopt", str(disk), "--name", "s1")
    assert said.code == 1
    assert "The name 's1' is held by prism2:s1" in said.err
    assert (await asking("adopt", str(disk), "--name", "s1", "--prism", "prism2")).code == 0


@pytest_twisted.ensureDeferred
async def test_a_name_that_the_records_do_not_know_is_doubted(
    asking: AskingBeside, alone: Alone, disk: Path, tmp_path: Path
) -> None:
    await migrated(asking, tmp_path, "store7")
    said = await asking("adopt", str(disk), "--name", "store8", "--pretend")
    assert said.code == 0
    assert "Most records of this content are of prism1:store7, not of prism1:store8" in said.err
    assert "0 of them are in the inventory as prism1:store8" in said.out


@pytest_twisted.ensureDeferred
async def test_loose_folders_are_explained_and_arranged(
    asking: AskingBeside, alone: Alone, tmp_path: Path
) -> None:
    disk = tmp_path / "disk two"
    fill(disk, 10)
    said = await asking("adopt", str(disk), "--name", "s1")
    assert said.code == 1
    assert f"mv '{disk}'/[0-9a-f][0-9a-f] '{disk}'/content/" in said.err
    said = await asking("adopt", str(disk), "--name", "s1", "--arrange", "--pretend")
    assert f"10 folders would be renamed into {disk}/content" in said.out
    said = await asking("adopt", str(disk), "--name", "s1", "--arrange")
    assert said.code == 0
    assert f"10 folders are renamed into {disk}/content" in said.out
    assert (disk / "content").is_dir()


def rot(disk: Path, count: int) -> None:
    for path in sorted(disk.rglob("*.mp4"))[:count]:
        path.write_bytes(b"rot")


@pytest_twisted.ensureDeferred
async def test_what_is_strange_or_wrong_is_told(
    asking: AskingBeside, alone: Alone, disk: Path
) -> None:
    (disk / "content" / "readme").touch()
    rot(disk, 5)
    said = await asking("adopt", str(disk), "--name", "s1")
    assert said.code == 0
    assert "1 of the files looked at are no content, such as readme" in said.err
    assert "files that were read do not hash to their names" in said.err


@pytest_twisted.ensureDeferred
async def test_one_that_is_adopted_may_be_adopted_again(
    asking: AskingBeside, alone: Alone, disk: Path
) -> None:
    identity = adopt(shape_of(disk, "s1"), "s1", rearrange=False)
    said = await asking("--json", "adopt", str(disk), "--name", "s1")
    assert said.json()["identity"] == identity
