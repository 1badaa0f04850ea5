"""Where the documents of a 2.0.x database come from: a file here; tests/contract has CouchDB."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from oose.moving import old_file
from oose.moving.old_file import OldFile
from oose.moving.old_source import OldRow, OldSource
from tests.generated_2x import everything, keys


def write(path: Path, *documents: object) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in documents))


async def read(source: OldSource) -> list[OldRow]:
    rows: list[OldRow] = []
    position, passed = None, 0
    while (page := await source.after(position, passed)) is not None:
        rows += page.rows
        position, passed = page.position, page.passed
    assert passed == await source.size() or not rows
    return rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "old.jsonl"


@pytest.fixture
def opened(path: Path) -> Iterator[OldFile]:
    path.touch()
    file = OldFile(path)
    yield file
    file.close()


@pytest_twisted.ensureDeferred
async def test_an_empty_file_has_nothing(opened: OldFile) -> None:
    assert await read(opened) == []


@pytest_twisted.ensureDeferred
async def test_a_file_has_a_document_a_line(opened: OldFile, path: Path) -> None:
    made = list(everything(700))
    write(path, *(each.as_document() for each in made))
    rows = await read(opened)
    assert [(row.id, row.body) for row in rows] == [(each.id, each.body) for each in made]
    assert len(rows) == keys(700) > 1000


def write_rows(path: Path, documents: Sequence[Mapping[str, Any]]) -> None:
    rows = [{"id": each["_id"], "value": {"rev": "1-a"}, "doc": each} for each in documents]
    lines = ",\r\n".join(json.dumps(row) for row in rows)
    path.write_text(f'{{"total_rows":9,"offset":0,"rows":[\r\n{lines}\r\n]}}\n')


@pytest_twisted.ensureDeferred
async def test_a_file_may_be_what_couchdb_answers(opened: OldFile, path: Path) -> None:
    made = list(everything(3))
    write_rows(path, [each.as_document() for each in made])
    assert [(row.id, row.body) for row in await read(opened)] == [
        (each.id, each.body) for each in made
    ]


BAD = """nonsense
"text"
{"id": "a"}
{"a": 1}

{"_id": "b", "x": "%s"}
{"_id": "c", "_rev": "1-x"}
{"_id": "d\
"""


@pytest_twisted.ensureDeferred
async def test_lines_that_cannot_be_read_are_named(
    opened: OldFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_file, "LONGEST", 64)
    with path.open("w") as file:
        file.write(BAD % ("y" * 200))
    *failed, good, last = await read(opened)
    assert good == OldRow("c", {})
    assert [(row.id, row.body) for row in (*failed, last)] == [
        (f"line {number}", None) for number in (1, 2, 3, 4, 6, 8)
    ]
    for row, why in zip(
        failed, ("JSON", "not a document", "include_docs", "no _id", "too long"), strict=True
    ):
        assert why in row.why


@pytest_twisted.ensureDeferred
async def test_reading_goes_on_from_a_position(opened: OldFile, path: Path) -> None:
    write(path, *({"_id": f"n{n}"} for n in range(2500)))
    first = await opened.after(None, 0)
    assert first is not None
    assert len(first.rows) == 1000
    second = await opened.after(first.position, first.passed)
    assert second is not None
    assert second.rows[0].id == "n1000"


def test_another_file_is_another_source(opened: OldFile, path: Path) -> None:
    before = opened.name
    assert before == opened.name
    path.write_text("{}\n")
    assert opened.name != before
