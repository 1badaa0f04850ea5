"""Comparing the files of a slice with the records of it, while they are listed."""

from collections.abc import Iterable, Mapping

from attrs import define, field

from oose.contents import Content
from oose.metadata.documents import Held
from oose.sweeping.layout import Page, Seen
from oose.sweeping.listing import Lister
from oose.tombstones import is_buried


@define
class Step:
    """What one step found: how many files with how many bytes, and what is not as it should be.

    `strays` are files without a record, or with one that says they are elsewhere; the clones of
    `resized` hashes have another size than their records say, those of `buried` were removed. What
    is `renewed` came since it was removed, which its record, out of a backup, knows nothing of.
    """

    page: Page
    bytes: int = 0
    strays: list[Seen] = field(factory=list)
    resized: list[str] = field(factory=list)
    buried: list[str] = field(factory=list)
    renewed: list[Seen] = field(factory=list)


class Comparing:
    """One slice; `removed` is what is noted of removed content. Calls block, for a moment."""

    def __init__(
        self, lister: Lister, part: str, held: Iterable[Held], removed: Iterable[Content]
    ) -> None:
        self._lister = lister
        self._part = part
        self._held = held
        self._records: dict[str, Held] = {}
        self._removed: Mapping[str, Content] = {each.hash: each for each in removed}

    def step(self) -> Step:
        """List some more files, and compare them."""
        if self._held:
            self._records = {each.hash: each for each in self._held}
            self._held = ()
        page = self._lister.read(self._part)
        found = Step(page)
        for seen in page.files:
            found.bytes += seen.size
            self._compare(seen, found)
        return found

    def left(self) -> list[str]:
        """The hashes of records whose file was not among those listed."""
        return list(self._records)

    def _compare(self, seen: Seen, found: Step) -> None:
        record = self._records.get(seen.hash)
        is_recorded = record is not None and record.relative_path == seen.path
        note = self._removed.get(seen.hash) if self._removed else None
        if note is not None and is_buried(note, last(seen, record if is_recorded else None)):
            found.buried.append(seen.hash)
            if is_recorded:
                del self._records[seen.hash]
            return
        if record is None or not is_recorded:
            found.strays.append(seen)
            return
        del self._records[seen.hash]
        if note is not None and is_buried(note, record.created):
            found.renewed.append(seen)
        if record.size != seen.size:
            found.resized.append(seen.hash)


def last(seen: Seen, record: Held | None) -> int:
    """When a file came, as it says itself or as its record has it: one of them may be older."""
    return seen.created if record is None else max(seen.created, record.created)
