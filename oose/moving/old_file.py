"""A 2.0.x database as a file of JSON, a document a line.

Each line is a document, or a row as `_all_docs?include_docs=true` has it. What CouchDB answers to
that is such a file: it puts each row on a line of its own, between a line that begins the list and
one that ends it.
"""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from oose.moving.lines import Line, read_line
from oose.moving.old_source import PAGE, OldRow, Page

LONGEST = 1_000_000  # bytes of a line; documents of 2.x have a few hundred


class OldFile:
    """Meets `OldSource`. Calls block: it is read where nobody else waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("rb")

    @property
    def name(self) -> str:
        """See `OldSource.name`; another file at the same place is another source."""
        status = os.fstat(self._file.fileno())
        return f"{self._path.absolute()} {status.st_size} {status.st_mtime_ns}"

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    async def size(self) -> int:
        """See `OldSource.size`: bytes."""
        return os.fstat(self._file.fileno()).st_size

    async def after(self, position: str | None, passed: int) -> Page | None:
        """See `OldSource.after`: a position is a byte, and the number of the line there."""
        offset, number = (int(each) for each in (position or "0:1").split(":"))
        self._file.seek(offset)
        rows: list[OldRow] = []
        while len(rows) < PAGE:
            line = read_line(self._file, LONGEST)
            if line is None:
                break
            row = row_of(line, number)
            if row is not None:
                rows.append(row)
            number += 1
        if self._file.tell() == offset:
            return None
        return Page(rows, f"{self._file.tell()}:{number}", self._file.tell())


def row_of(line: Line, number: int) -> OldRow | None:
    """What a line holds; None for one that holds no row, but a part of the list around them."""
    text = line.text.strip().rstrip(b",")
    if not text or text in {b"[", b"]", b"]}"} or is_head(text):
        return None
    where = f"line {number}"
    if not line.is_whole:
        return OldRow(where, None, "the line is too long")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return OldRow(where, None, "this is not a JSON document on one line")
    return row_of_value(value, where)


def is_head(text: bytes) -> bool:
    """Whether a line is what CouchDB writes before the rows."""
    return text.startswith(b"{") and text.endswith(b'"rows":[')


def row_of_value(value: Any, where: str) -> OldRow:
    """The document in a row, or a plain one."""
    if not isinstance(value, dict):
        return OldRow(where, None, "this is not a document")
    if "_id" not in value and "id" in value:
        if not isinstance(value.get("doc"), dict):
            return OldRow(where, None, "the row has no document: include_docs=true gives them")
        value = value["doc"]
    document_id = value.get("_id")
    if not isinstance(document_id, str):
        return OldRow(where, None, "the document has no _id")
    body = {name: each for name, each in value.items() if not name.startswith("_")}
    return OldRow(document_id, body)
