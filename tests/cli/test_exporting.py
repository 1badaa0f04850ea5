"""export and import: files, standard streams, one machine and a cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from click.testing import CliRunner

from tests.cli.asking import Asking
from tests.cli.machines import Alone, Together, together, write_lines
from tests.cli.on_reactor import AskingBeside
from tests.cli.test_migrating import still_good
from tests.generated_2x import everything
from tests.process.twistd import REPOSITORY
from tests.unit.test_export_entries import HASH

COUNT = 60
PASSWORD = "a good password"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    with together(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture
def cluster(servers: Together) -> Together:
    servers.forget()
    return servers


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> AskingBeside:
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    return AskingBeside.make(Asking(CliRunner()), monkeypatch)


@pytest.fixture
def machines(tmp_path: Path) -> Sequence[Alone]:
    folders = [tmp_path / "here", tmp_path / "there"]
    for folder in folders:
        folder.mkdir()
    return [Alone.make(folder) for folder in folders]


@pytest.fixture
def old(tmp_path: Path) -> str:
    return str(write_lines(tmp_path / "old.jsonl", still_good(everything(COUNT))))


def entries(text: str) -> list[Any]:
    """What is in an export, but for its first line, in the order of the ids."""
    found = [json.loads(line) for line in text.splitlines()[1:-1]]
    return sorted(found, key=lambda each: (each["in"], each["id"]))


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest_twisted.ensureDeferred
async def test_one_machine_comes_back_on_another(
    asking: AskingBeside, machines: Sequence[Alone], old: str, tmp_path: Path
) -> None:
    here, there = machines
    await asking("migrate", "--from", old, "--config", str(here.config))
    arguments = ("user", "add", "anna", "--password-stdin", "--config", str(here.config))
    assert (await asking(*arguments, stdin=PASSWORD)).code == 0
    file = tmp_path / "all.jsonl"
    said = await asking("export", str(file), "--config", str(here.config))
    assert said.code == 0
    assert said.err == "oose: it holds the hashes of passwords: keep it as you keep the database\n"
    assert said.out.splitlines() == [
        "Prisms and stores: 8",
        "Inventory records: 120",
        "Notes on content: 0",
        "Votes: 0",
        "Purchases: 7",
        "Accounts: 1",
    ]
    assert mode_of(file) == 0o600
    said = await asking("import", str(file), "--config", str(there.config))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "Prisms and stores: 8 new",
        "Inventory records: 120 new",
        "Notes on content: none",
        "Votes: none",
        "Purchases: 7 new",
        "Accounts: 1 new",
    ]
    first = await asking("export", "--config", str(here.config))
    second = await asking("export", "--config", str(there.config))
    assert entries(first.out) == entries(second.out)
    assert len(entries(first.out)) == 136
    said = await asking("--json", "import", str(file), "--replace", "--config", str(there.config))
    assert said.json()["counts"]["inventory there"] == 120
    before = file.read_text()
    said = await asking("export", str(file), "--config", str(there.config))
    assert (said.code, said.err) == (2, f"oose: {file} is there already; --force replaces it\n")
    assert file.read_text() == before
    said = await asking("--json", "export", "--force", str(file), "--config", str(there.config))
    assert said.json()["counts"]["inventory"] == 120


@pytest_twisted.ensureDeferred
async def test_a_machine_becomes_a_cluster_and_a_cluster_a_machine(
    asking: AskingBeside, machines: Sequence[Alone], cluster: Together, old: str
) -> None:
    here, there = machines
    await asking("migrate", "--from", old, "--config", str(here.config))
    arguments = ("user", "add", "anna", "--password-stdin", "--config", str(here.config))
    await asking(*arguments, stdin=PASSWORD)
    exported = await asking("export", "--config", str(here.config))
    said = await asking("import", "-", "--config", str(cluster.config), stdin=exported.out)
    assert said.code == 0
    assert said.err == "oose: accounts are left out: those of a cluster are CouchDB's own\n"
    assert "Accounts: 1 left out" in said.out
    assert "Inventory records: 120 new" in said.out
    again = await asking("export", "--config", str(cluster.config))
    assert (again.code, again.err) == (0, "")
    wanted = [each for each in entries(exported.out) if each["in"] != "account"]
    assert entries(again.out) == wanted
    said = await asking("import", "-", "--config", str(there.config), stdin=again.out)
    assert said.code == 0
    assert entries((await asking("export", "--config", str(there.config))).out) == wanted


@pytest_twisted.ensureDeferred
async def test_a_clusters_accounts_are_not_ours(
    asking: AskingBeside, cluster: Together, tmp_path: Path
) -> None:
    said = await asking("export", str(tmp_path / "out"), "--config", str(cluster.config))
    assert said.code == 0
    assert "Accounts: those of a cluster are in CouchDB" in said.out


@pytest_twisted.ensureDeferred
async def test_a_bad_line_is_named_and_the_others_taken(
    asking: AskingBeside, machines: Sequence[Alone]
) -> None:
    here, _ = machines
    lines = [
        '{"oose": "export", "format": 1, "version": "3", "at": 1, "counts": {}}',
        json.dumps({"in": "content", "id": HASH, "body": {"wanted": 3}}),
        "nonsense",
        json.dumps({"in": "content", "id": HASH[::-1], "body": {"wanted": 4}}),
    ]
    text = "\n".join(lines)
    said = await asking("import", "-", "--config", str(here.config), stdin=text)
    assert said.code == 1
    assert said.err.splitlines() == [
        "oose: line 3: this is not JSON on one line",
        "oose: line 4: the file is cut off: its last line is missing",
    ]
    assert "Notes on content: 2 new" in said.out
    assert "2 lines failed" in said.out
    said = await asking("import", "-", "--config", str(here.config), stdin="\n".join(lines[:2]))
    assert "1 line failed" in said.out
    said = await asking("export", "/nonexistent/x", "--config", str(here.config))
    assert said.err == "oose: /nonexistent/x: No such file or directory\n"
    kept = entries((await asking("export", "--config", str(here.config))).out)
    assert [each["body"]["wanted"] for each in kept] == [3, 4]


@pytest_twisted.ensureDeferred
async def test_what_is_no_export_makes_nothing(
    asking: AskingBeside, machines: Sequence[Alone], old: str
) -> None:
    here, _ = machines
    said = await asking("import", old, "--config", str(here.config))
    assert said.code == 1
    assert said.err.startswith("oose: This is no file that `oose export` wrote")
    assert not here.root.exists()
    said = await asking("import", "/nowhere", "--config", str(here.config))
    assert (said.code, said.err) == (1, "oose: /nowhere: No such file or directory\n")
    said = await asking("export", "--config", str(here.config))
    assert said.code == 4


def test_it_goes_through_a_pipe(machines: Sequence[Alone], old: str) -> None:
    here, there = machines
    command = f"{sys.executable} -m oose"
    script = (
        f"{command} migrate --from {old} --config {here.config} > /dev/null"
        f" && {command} export --config {here.config}"
        f" | {command} import - --config {there.config}"
    )
    done = subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=dict(os.environ),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Inventory records: 120 new" in done.stdout
