import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from oose.embedded import schema
from oose.embedded.schema import statements, steps, upgrade
from oose.errors import Unavailable

Connect = Callable[[], sqlite3.Connection]
MORE = (
    "CREATE TABLE films (name TEXT NOT NULL); -- a remark; with a semicolon\n"
    "CREATE TRIGGER short BEFORE INSERT ON films BEGIN SELECT 1; SELECT 2; END;\n"
    "INSERT INTO films VALUES ('a;b');\n"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oose.sqlite"


@pytest.fixture
def connect(path: Path) -> Iterator[Connect]:
    opened: list[sqlite3.Connection] = []

    def make() -> sqlite3.Connection:
        opened.append(sqlite3.connect(path, isolation_level=None, timeout=0))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def with_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let an oose of the future know further steps."""
    today = steps()

    def further(*more: str) -> None:
        known: Sequence[str] = [*today, *more]
        monkeypatch.setattr(schema, "steps", lambda: known)

    return further


def version(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in rows}


def beside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir() if each != path)


def test_a_new_file_gets_todays_schema(path: Path, connect: Connect) -> None:
    connection = connect()
    upgrade(connection, path)
    assert tables(connection) == {"accounts", "documents", "purchases", "sessions"}
    assert version(connection) == len(steps())
    assert beside(path) == []  # nothing to keep of nothing


def test_todays_schema_is_left_alone(path: Path, connect: Connect) -> None:
    upgrade(connect(), path)
    before = path.read_bytes()
    upgrade(connect(), path)
    assert path.read_bytes() == before
    assert beside(path) == []


def test_an_older_file_is_upgraded_and_a_copy_of_it_kept(
    path: Path, connect: Connect, with_steps: Callable[..., None]
) -> None:
    old = connect()
    upgrade(old, path)
    old.execute("INSERT INTO accounts VALUES ('ann', 'x', 1, 5)")
    was = version(old)
    with_steps(MORE, "ALTER TABLE films ADD COLUMN size INTEGER;")
    upgrade(connect(), path)

    assert version(old) == was + 2
    assert old.execute("SELECT * FROM films").fetchall() == [("a;b", None)]
    assert old.execute("SELECT username FROM accounts").fetchall() == [("ann",)]
    assert beside(path) == [f"oose.sqlite.before-{was + 1}"]
    copy = sqlite3.connect(path.with_name(beside(path)[0]))
    assert copy.execute("SELECT username FROM accounts").fetchall() == [("ann",)]
    assert version(copy) == was
    assert "films" not in tables(copy)
    copy.close()


def test_only_its_owner_can_read_the_copy(
    path: Path, connect: Connect, with_steps: Callable[..., None]
) -> None:
    """There are password hashes in it."""
    upgrade(connect(), path)
    with_steps(MORE)
    old = os.umask(0)
    try:
        upgrade(connect(), path)
    finally:
        os.umask(old)
    assert path.with_name(beside(path)[0]).stat().st_mode & 0o777 == 0o600


def test_a_file_of_a_newer_oose_is_refused_and_not_changed(
    path: Path, connect: Connect, with_steps: Callable[..., None]
) -> None:
    with_steps(MORE)
    upgrade(connect(), path)
    before = path.read_bytes()
    with_steps()
    with pytest.raises(Unavailable, match="written by a newer oose"):
        upgrade(connect(), path)
    assert path.read_bytes() == before


def test_an_upgrade_that_fails_changes_nothing_and_can_be_repeated(
    path: Path, connect: Connect, with_steps: Callable[..., None]
) -> None:
    connection = connect()
    upgrade(connection, path)
    was = version(connection)
    with_steps(MORE + "INSERT INTO nowhere VALUES (1);")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        upgrade(connection, path)
    assert version(connection) == was
    assert "films" not in tables(connection)
    with_steps(MORE)
    upgrade(connection, path)
    assert version(connection) == was + 1


def test_a_file_that_cannot_be_copied_is_not_upgraded(
    path: Path, connect: Connect, with_steps: Callable[..., None]
) -> None:
    connection = connect()
    upgrade(connection, path)
    was = version(connection)
    path.with_name(f"oose.sqlite.before-{was + 1}").mkdir()
    with_steps(MORE)
    with pytest.raises(sqlite3.OperationalError):
        upgrade(connection, path)
    assert version(connection) == was


def test_a_file_that_another_process_upgrades_meanwhile_is_upgraded_once(
    path: Path, connect: Connect
) -> None:
    """The process and the `oose user` command, both started for the first time."""
    first, second = connect(), connect()

    def interrupt(statement: str) -> None:
        if statement.startswith("BEGIN"):
            second.set_trace_callback(None)
            upgrade(first, path)

    second.set_trace_callback(interrupt)
    upgrade(second, path)
    assert version(second) == len(steps())


def test_a_file_that_is_locked_for_long_is_not_upgraded(path: Path, connect: Connect) -> None:
    other = connect()
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        upgrade(connect(), path)
    other.execute("COMMIT")
    upgrade(connect(), path)


@pytest.mark.parametrize("script", ["", " \n", "-- nothing", "-- no;thing\n"])
def test_a_step_may_be_empty(path: Path, connect: Connect, script: str) -> None:
    connection = connect()
    for statement in statements(script):
        connection.execute(statement)
    assert tables(connection) == set()
