"""Records of new content in the embedded database; see `oose.metadata.first_clones`."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from oose.embedded.database import EmbeddedDatabase
from oose.embedded.documents import next_revision
from oose.errors import Unavailable
from oose.metadata.records import InventoryRecord

INSERT = """INSERT INTO documents
WITH new(hash, id, rev, body) AS (VALUES {marks})
SELECT 'inventory', id, rev, body FROM new WHERE
    NOT EXISTS (SELECT 1 FROM documents
                WHERE db = 'inventory' AND id >= hash || ':' AND id < hash || ';')
    AND NOT EXISTS (SELECT 1 FROM documents WHERE db = 'content' AND id = hash)
"""  # ; comes after :
FIND = "SELECT 1 FROM documents WHERE db = 'inventory' AND id = ? AND rev = ?"


class EmbeddedFirstClones:
    """Meets `FirstClones`."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database

    def write(self, records: Sequence[InventoryRecord]) -> Sequence[bool]:
        """See `FirstClones.write`."""
        return self._database.write_here(lambda connection: write(connection, records))

    def written(self, record: InventoryRecord) -> None:
        """See `FirstClones.written`."""
        with suppress(Unavailable):  # it is being closed: nobody waits to hear of it
            self._database.history("inventory").note([record.id])


def write(connection: sqlite3.Connection, records: Sequence[InventoryRecord]) -> Sequence[bool]:
    """Write the records of unknown content in one statement; of each whether it was."""
    firsts = {record.hash: record for record in reversed(records)}
    revisions = {}
    values: list[str] = []
    for record in firsts.values():
        body = json.dumps(record.to_body())
        revisions[record.id] = next_revision(None, body)
        values += (record.hash, record.id, revisions[record.id], body)
    marks = ", ".join(["(?, ?, ?, ?)"] * len(firsts))
    written = set(revisions)
    done = connection.execute(INSERT.format(marks=marks), values)
    if done.rowcount < len(firsts):  # which is rare
        written = {row[0] for row in revisions.items() if connection.execute(FIND, row).fetchone()}
    return [record is firsts[record.hash] and record.id in written for record in records]
