"""The versions of the database's schema, each a file of SQL that brings it one further."""

import sqlite3
from collections.abc import Sequence
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
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == len(known):
        return
    if version > len(known):
        raise Unavailable(f"{path} was written by a newer oose: install that version again")
    if version > 0:
        with sqlite3.connect(f"{path}.before-{version + 1}") as copy:
            connection.backup(copy)
        copy.close()
    script = "\n".join(known[version:])
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {len(known)};\nCOMMIT;"
    )
