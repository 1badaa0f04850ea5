"""A file with an export, read some lines at a time."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from attrs import define, field, frozen

from oose.errors import BadInput
from oose.moving.entries import BadLine, End, Entry, Header
from oose.moving.entry_reading import read
from oose.moving.lines import Line, read_line

BATCH = 1000  # lines
LONGEST = 8_000_000  # bytes of a line: what CouchDB takes of a document


@frozen
class Batch:
    """Some entries; lines that are none, by their numbers, and why; bytes read so far."""

    entries: Sequence[Entry]
    failures: Sequence[tuple[str, str]]
    passed: int


@define
class ExportFile:
    """Reads `file` from where it is to its end. Calls block."""

    file: BinaryIO
    _number: int = 0
    _passed: int = 0
    _end: End | None = None
    _lines: int = 0
    _failures: list[tuple[str, str]] = field(factory=list)

    def header(self) -> Header:
        """The first line, to be read before the others; `BadInput` where this is no export."""
        line = self._next()
        why = "it is empty"
        if line is not None:
            try:
                found = read(line.text)
                if isinstance(found, Header):
                    return found
                why = "its first line does not say so"
            except BadLine as error:
                why = str(error)
        raise BadInput(f"This is no file that `oose export` wrote: {why}")

    def batches(self) -> Iterator[Batch]:
        """What comes then; the last batch says where it does not end as it should."""
        entries: list[Entry] = []
        while (line := self._next()) is not None:
            self._take(line, entries)
            if len(entries) + len(self._failures) == BATCH:
                yield self._batch(entries)
                entries = []
        self._check_end()
        yield self._batch(entries)

    def _next(self) -> Line | None:
        line = read_line(self.file, LONGEST)
        if line is not None:
            self._number += 1
            self._passed += len(line.text)
        return line

    def _take(self, line: Line, entries: list[Entry]) -> None:
        """Add what is in a line to the entries, or to what failed."""
        try:
            found = self._read(line)
        except BadLine as error:
            self._lines += 1
            self._fail(str(error))
            return
        if isinstance(found, End):
            self._end = found
        else:
            self._lines += 1
            entries.append(found)

    def _read(self, line: Line) -> Entry | End:
        if self._end is not None:
            raise BadLine("it comes after the last line")
        if not line.is_whole:
            raise BadLine("it is too long")
        found = read(line.text)
        if isinstance(found, Header):
            raise BadLine("another export begins here: give each a file of its own")
        return found

    def _check_end(self) -> None:
        if self._end is None:
            self._fail("the file is cut off: its last line is missing")
        elif sum(self._end.counts.values()) != self._lines:
            self._fail(
                f"there were {sum(self._end.counts.values())} lines, of which not all are here"
            )

    def _fail(self, why: str) -> None:
        self._failures.append((f"line {self._number}", why))

    def _batch(self, entries: Sequence[Entry]) -> Batch:
        failures, self._failures = self._failures, []
        return Batch(entries, failures, self._passed)
