"""The versions of the database's schema, each a file of SQL that brings it one further."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path

from oose.errors import Unavailable


def steps() -> Sequence[str]:
    """The SQL that leads from nothing to today's schema, one text a version."""
    found = sorted(file.name for file in files(__name__).iterdir() if file.name.endswith(".sql"))
    return [files(__name__).joinpath(name).read_text("utf-8") for name in found]


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to today's schema in one transaction, with a copy of an older one beside it.

    `Unavailable` when a newer oose has written it.
    """
    known = steps()
    if version_of(connection) < len(known):
        connection.execute("BEGIN IMMEDIATE")  # the `oose user` command may upgrade it as well
        try:
            take_steps(connection, path, known)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
    if version_of(connection) > len(known):
        raise Unavailable(f"{path} was written by a newer oose: install that version again")


def take_steps(connection: sqlite3.Connection, path: Path, known: Sequence[str]) -> None:
    """Those that lead from where the file is now to today's schema, within a transaction."""
    version = version_of(connection)
    if 0 < version < len(known):
        copy_beside(path, version)
    for number, script in enumerate(known[version:], version + 1):
        for statement in statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")


def version_of(connection: sqlite3.Connection) -> int:
    """How many of the steps have been made; 0 for a new file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def copy_beside(path: Path, version: int) -> None:
    """Keep the file as it is before its upgrade; only its owner can read that either."""
    beside = path.with_name(f"{path.name}.before-{version + 1}")
    beside.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(beside)) as copy:
        source.backup(copy)


def statements(script: str) -> Iterator[str]:
    """The single statements of a text of SQL: `executescript` would end the transaction."""
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
