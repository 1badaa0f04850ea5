"""migrate: from a file and from a CouchDB, to one machine and to a cluster."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from click.testing import CliRunner
from rich.progress import Progress

from oose.cli import counted as counting
from oose.cli.desk import Desk
from oose.cli.migrating import account_for
from oose.embedded.database import FILE_NAME
from oose.moving.cursor import FILE_NAME as CURSOR
from oose.settings import read
from tests.cli.asking import Asking
from tests.cli.machines import Alone, Together, together, write_lines
from tests.cli.on_reactor import AskingBeside
from tests.generated_2x import Old, as_of, damaged, everything, peers, records
from tests.process.twistd import REPOSITORY


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
    for name in ("OOSE_CONFIG", "OOSE_OLD_USERNAME", "OOSE_OLD_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return AskingBeside.make(Asking(CliRunner()), monkeypatch)


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    return Alone.make(tmp_path)


def still_good(documents: Iterator[Old]) -> Sequence[Mapping[str, Any]]:
    """The documents as they would be today."""
    return list(as_of(int(time.time() * 1000), documents))


def put_all(cluster: Together, documents: Sequence[Mapping[str, Any]]) -> None:
    cluster.couchdb.ask("PUT", "/old")
    for start in range(0, len(documents), 1000):
        some = documents[start : start + 1000]
        status, _ = cluster.couchdb.ask("POST", "/old/_bulk_docs", {"docs": some})
        assert status == 201


def everything_in(cluster: Together, name: str) -> list[Mapping[str, Any]]:
    _, found = cluster.couchdb.ask("GET", f"/{name}/_all_docs?include_docs=true")
    return [row["doc"] for row in found["rows"] if not row["id"].startswith("_design/")]


def ids_in(root: Path, name: str) -> list[str]:
    with sqlite3.connect(root / FILE_NAME) as connection:
        rows = connection.execute("SELECT id FROM documents WHERE db = ? ORDER BY id", (name,))
        return [each for (each,) in rows]


def wanted(count: int) -> list[str]:
    ids = [each.id.removeprefix("oose:inventory:") for n in range(count) for each in records(n)]
    return sorted(ids)


# One machine, from a file.


@pytest_twisted.ensureDeferred
async def test_a_file_comes_over(asking: AskingBeside, alone: Alone, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "old.jsonl", still_good(everything(100)))
    said = await asking("migrate", "--from", str(file), "--config", str(alone.config))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "Prisms and stores: 8 moved, 0 there already",
        "Inventory records: 200 moved, 0 there already",
        "Purchases: 12 moved, 0 there already",
        "13 purchases left out, as over",
        "1 document with only where content is, as its records have it",
        "3 other documents (votes and the like) left where they were",
    ]
    assert ids_in(alone.root, "inventory") == wanted(100)
    assert not (alone.root / CURSOR).exists()
    again = await asking("--json", "migrate", "--from", str(file), "--config", str(alone.config))
    assert again.json()["counts"]["records there"] == 200
    assert again.json()["counts"]["records moved"] == 0


@pytest_twisted.ensureDeferred
async def test_what_is_not_understood_is_named_and_fails(
    asking: AskingBeside, alone: Alone, tmp_path: Path
) -> None:
    bad = [Old(f"oose:prism:p{n}", {}).as_document() for n in range(25)]
    good = [each.as_document() for each in (*damaged(), *everything(1))]
    [changed, *rest] = good[-2:]
    file = write_lines(tmp_path / "old.jsonl", [*good, *bad, rest, changed])
    said = await asking("migrate", "--from", str(file), "--config", str(alone.config))
    assert said.code == 1
    assert "28 documents could not be understood" in said.out
    assert "1 record without a size" in said.out
    lines = said.err.splitlines()
    assert len(lines) == 21
    assert lines[0].startswith("oose: oose:inventory:nonsense:prism1:store1: 'nonsense' is not")
    assert lines[-1] == "oose: and 8 more that could not be understood"
    assert ids_in(alone.root, "inventory") == wanted(1)
    said = await asking("--json", "migrate", "--from", str(file), "--config", str(alone.config))
    assert (said.code, said.err) == (1, "")
    assert len(said.json()["failures"]) == 20


@pytest_twisted.ensureDeferred
async def test_records_that_are_there_otherwise_are_told(
    asking: AskingBeside, alone: Alone, tmp_path: Path
) -> None:
    [record, *_] = records(0)
    first = write_lines(tmp_path / "first", [record.as_document()])
    other = write_lines(tmp_path / "other", [{**record.as_document(), "size": 5}])
    await asking("migrate", "--from", str(first), "--config", str(alone.config))
    said = await asking("migrate", "--from", str(other), "--config", str(alone.config))
    assert said.code == 0
    assert "1 of the records there say it otherwise" in said.out


@pytest_twisted.ensureDeferred
async def test_pretending_makes_nothing(asking: AskingBeside, alone: Alone, tmp_path: Path) -> None:
    file = str(write_lines(tmp_path / "old.jsonl", still_good(everything(10))))
    arguments = ("migrate", "--from", file, "--config", str(alone.config))
    said = await asking(*arguments, "--pretend")
    assert said.code == 0
    assert "Inventory records: 20 would be moved, 0 there already" in said.out
    assert not alone.root.exists()
    await asking(*arguments)
    said = await asking(*arguments, "--pretend")
    assert "Inventory records: 0 would be moved, 20 there already" in said.out


@pytest_twisted.ensureDeferred
async def test_one_that_was_cut_goes_on_or_begins_again(
    asking: AskingBeside, alone: Alone, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "old.jsonl", still_good(everything(10)))
    arguments = ("--json", "migrate", "--from", str(file), "--config", str(alone.config))
    await asking(*arguments)
    status = file.stat()
    cursor = {
        "source": f"{file} {status.st_size} {status.st_mtime_ns}",
        "target": str(alone.root / FILE_NAME),
        "position": f"{status.st_size}:36",
        "passed": status.st_size,
        "tally": {"counts": {"read": 35, "records moved": 20}, "failures": []},
    }
    with (alone.root / CURSOR).open("w") as opened:
        json.dump(cursor, opened)
    assert (await asking(*arguments)).json()["counts"]["records moved"] == 20
    with (alone.root / CURSOR).open("w") as opened:
        json.dump(cursor, opened)
    counts = (await asking(*arguments, "--again")).json()["counts"]
    assert (counts["records moved"], counts["records there"]) == (0, 20)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("/nowhere/at/all", "is no file"),
        ("http://root:secret@127.0.0.1:5984/oose", "no password here"),
        ("http://127.0.0.1:5984", "expected a URL"),
        ("http://127.0.0.1:5984/oose?x=1", "expected a URL"),
        ("https:///oose", "expected a URL"),
    ],
)
def test_a_source_that_is_none_is_refused(source: str, why: str) -> None:
    said = Asking(CliRunner())("migrate", "--from", source)
    assert said.code == 2
    assert why in said.err


def test_the_account_is_the_configurations_only_at_the_same_server(
    cluster: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read(cluster.config)
    assert account_for(settings, cluster.couchdb.url).username == cluster.couchdb.username
    assert account_for(settings, "http://127.0.0.1:1").username == ""
    monkeypatch.setenv("OOSE_OLD_USERNAME", "anna")
    monkeypatch.setenv("OOSE_OLD_PASSWORD", "secret")
    assert account_for(settings, cluster.couchdb.url).password == "secret"


# A cluster, from a CouchDB.


@pytest_twisted.ensureDeferred
async def test_a_couchdb_comes_over_and_stays_as_it_was(
    asking: AskingBeside, cluster: Together
) -> None:
    put_all(cluster, still_good(everything(600)))
    before = everything_in(cluster, "old")
    arguments = ("migrate", "--from", f"{cluster.couchdb.url}/old", "--config", str(cluster.config))
    said = await asking(*arguments, "--pretend")
    assert said.code == 0, said.err
    assert "Inventory records: 1,200 would be moved, 0 there already" in said.out
    assert everything_in(cluster, "new-inventory") == []
    said = await asking(*arguments)
    assert said.code == 0, said.err
    assert "Inventory records: 1,200 moved, 0 there already" in said.out
    assert [each["_id"] for each in everything_in(cluster, "new-inventory")] == wanted(600)
    assert [each["_id"] for each in everything_in(cluster, "new-peer")] == sorted(
        each.id.removeprefix("oose:") for each in peers()
    )
    assert cluster.redis.cli("DBSIZE") == "75"
    assert everything_in(cluster, "old") == before
    revisions = [each["_rev"] for each in everything_in(cluster, "new-inventory")]
    said = await asking(*arguments)
    assert "Purchases: 0 moved, 75 there already" in said.out
    assert [each["_rev"] for each in everything_in(cluster, "new-inventory")] == revisions


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_not_there_is_said(
    asking: AskingBeside, cluster: Together
) -> None:
    source = f"{cluster.couchdb.url}/nothing"
    said = await asking("migrate", "--from", source, "--config", str(cluster.config))
    assert said.code == 4
    assert "There is no database 'nothing'" in said.err


# Killed in the middle.


PATIENCE = 300.0  # seconds that one may take to its end


def begin(source: str, config: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "oose", "migrate", "--from", source, "--config", str(config)]
    environment = {**os.environ, "OOSE_OLD_USERNAME": "", "OOSE_OLD_PASSWORD": ""}
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY, env=environment)


def kill_when_further(process: "subprocess.Popen[bytes]", cursor: Path, before: str) -> str | None:
    """Kill it when it has come further than the cursor said; what it says then, None at the end."""
    said = before
    while said == before and process.poll() is None:
        said = cursor.read_text() if cursor.exists() else before
    process.send_signal(signal.SIGKILL)
    return None if process.wait(PATIENCE) == 0 else cursor.read_text()


def migrate_with_kills(source: str, config: Path, root: Path, kills: int) -> None:
    """Kill it up to so many times, once for certain, then let it end."""
    seen = [""]
    for _ in range(kills):
        with begin(source, config) as process:
            after = kill_when_further(process, root / CURSOR, seen[-1])
        if after is None:
            break
        seen.append(after)
    passed = [json.loads(each)["passed"] for each in seen[1:]]
    assert passed
    assert passed == sorted(set(passed))
    with begin(source, config) as process:
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert not (root / CURSOR).exists()


def test_killed_on_one_machine_nothing_is_lost_and_nothing_twice(
    alone: Alone, tmp_path: Path
) -> None:
    count = 20_000
    file = write_lines(tmp_path / "old.jsonl", still_good(everything(count)))
    text = file.read_bytes()
    migrate_with_kills(str(file), alone.config, alone.root, kills=4)
    assert ids_in(alone.root, "inventory") == wanted(count)
    assert len(ids_in(alone.root, "peer")) == 8
    with sqlite3.connect(alone.root / FILE_NAME) as connection:
        [(sold,)] = connection.execute("SELECT count(*) FROM purchases")
        [(checked,)] = connection.execute("PRAGMA integrity_check")
    assert (sold, checked) == (count // 8, "ok")
    assert file.read_bytes() == text


def test_killed_in_a_cluster_nothing_is_lost_and_nothing_twice(cluster: Together) -> None:
    count = 3000
    put_all(cluster, still_good(everything(count)))
    before = everything_in(cluster, "old")
    migrate_with_kills(f"{cluster.couchdb.url}/old", cluster.config, cluster.root, kills=3)
    assert [each["_id"] for each in everything_in(cluster, "new-inventory")] == wanted(count)
    assert {each["_rev"].split("-")[0] for each in everything_in(cluster, "new-inventory")} == {"1"}
    assert len(everything_in(cluster, "new-peer")) == 8
    assert cluster.redis.cli("DBSIZE") == str(count // 8)
    assert everything_in(cluster, "old") == before


# The bar.


def test_a_bar_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Progress] = []

    class Seen(Progress):
        def stop(self) -> None:
            shown.append(self)
            super().stop()

    monkeypatch.setattr(counting, "Progress", Seen)
    with counting.counted(Desk(None, None, None, False, False), "Moving", 100) as tell:
        tell(10, 1000)
        tell(50, 5000)
    [task] = shown[0].tasks
    assert (task.completed, task.total) == (50, 100)
    assert task.fields["said"].startswith("5,000, ")
    assert task.fields["said"].endswith(" a second")
