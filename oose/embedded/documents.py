"""Documents in the embedded database; see `oose.metadata.documents`."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from oose.embedded.database import EmbeddedDatabase
from oose.metadata.documents import Changes, Database, Document, Stale, Write

AT_ONCE = 500  # values in one statement; SQLite has a limit


class EmbeddedDocuments:
    """One database of documents; revisions look like CouchDB's."""

    def __init__(self, database: EmbeddedDatabase, name: Database) -> None:
        self._database = database
        self._name = name

    async def get(self, document_id: str) -> Document | None:
        """See `Documents.get`."""
        return (await self.get_many([document_id])).get(document_id)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Documents.get_many`."""

        def read(connection: sqlite3.Connection) -> Mapping[str, Document]:
            found: dict[str, Document] = {}
            for start in range(0, len(ids), AT_ONCE):
                some = ids[start : start + AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = connection.execute(
                    f"SELECT id, rev, body FROM documents WHERE db = ? AND id IN ({marks})",  # noqa: S608 # only marks
                    (self._name, *some),
                )
                found.update((row[0], as_document(row)) for row in rows)
            return found

        return await self._database.read(read)

    async def range(self, start: str, end: str, *, limit: int | None = None) -> Sequence[Document]:
        """See `Documents.range`."""
        most = -1 if limit is None else limit
        return await self._database.read(lambda c: self._range(c, start, end, most))

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        """See `Documents.under`."""
        return await self._database.read(
            lambda c: {prefix: self._range(c, prefix, prefix + LAST, -1) for prefix in prefixes}
        )

    async def put(
        self, document_id: str, body: Mapping[str, Any], rev: str | None = None
    ) -> str | Stale:
        """See `Documents.put`."""
        return (await self.put_many([Write(document_id, body, rev)]))[0]

    async def delete(self, document_id: str, rev: str) -> str | Stale:
        """See `Documents.delete`."""
        return (await self.put_many([Write(document_id, None, rev)]))[0]

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        """See `Documents.put_many`."""
        history = self._database.history(self._name)

        def note(answers: Sequence[str | Stale]) -> None:
            done = zip(writes, answers, strict=True)
            history.note([write.id for write, answer in done if not isinstance(answer, Stale)])

        return await self._database.write(
            lambda c: [self._write(c, write) for write in writes], then=note
        )

    async def changes(self, since: str | None, patience: float) -> Changes:
        """See `Documents.changes`."""
        return await self._database.history(self._name).after(since, patience)

    def _range(
        self, connection: sqlite3.Connection, start: str, end: str, limit: int
    ) -> Sequence[Document]:
        rows = connection.execute(
            "SELECT id, rev, body FROM documents WHERE db = ? AND id >= ? AND id <= ?"
            " ORDER BY id LIMIT ?",
            (self._name, start, end, limit),
        )
        return [as_document(row) for row in rows]

    def _write(self, connection: sqlite3.Connection, write: Write) -> str | Stale:
        text = None if write.body is None else json.dumps(write.body)
        rev = next_revision(write.rev, text)
        if text is None:
            done = connection.execute(
                "DELETE FROM documents WHERE db = ? AND id = ? AND rev = ?",
                (self._name, write.id, write.rev),
            )
        elif write.rev is None:
            done = connection.execute(
                "INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?)",
                (self._name, write.id, rev, text),
            )
        else:
            done = connection.execute(
                "UPDATE documents SET rev = ?, body = ? WHERE db = ? AND id = ? AND rev = ?",
                (rev, text, self._name, write.id, write.rev),
            )
        return rev if done.rowcount else Stale(write.id)


LAST = "\U0010ffff"  # sorts after every letter in the byte order of UTF-8


def as_document(row: tuple[str, str, str]) -> Document:
    """A row as a document."""
    return Document(row[0], row[1], json.loads(row[2]))


def next_revision(rev: str | None, text: str | None) -> str:
    """The revision that follows `rev` with this body: a generation and a digest."""
    generation = int(rev.partition("-")[0]) + 1 if rev is not None else 1
    digest = hashlib.md5(f"{rev}{text}".encode(), usedforsecurity=False).hexdigest()
    return f"{generation}-{digest}"
