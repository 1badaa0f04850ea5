"""One clone being looked at: what its record says of it, and what its bytes hash to.

Where the record has the sha256 of what was received, that alone is made again: it was made of bytes
that had the name's hash, and unlike md5 and sha1 it cannot be forged. In doubt both are made.
"""

from collections.abc import Mapping

from attrs import define, evolve

from oose.address import hash_type_of
from oose.disk import Found
from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord
from oose.verifying.reading import Reading

STRONG = "sha256"


@define(eq=False)
class Looking:
    """The clone of `hash`; `record` is None, and so is its `rev`, where the inventory has none."""

    hash: str
    record: InventoryRecord | None
    rev: str | None
    reading: Reading

    @classmethod
    def first(cls, document: Document) -> "Looking":
        """A look at what a record tells of."""
        record = InventoryRecord.from_document(document)
        kinds = (STRONG,) if record.sha256 is not None else both(record.hash)
        reading = Reading(record.relative_path, kinds, record.size)
        return cls(record.hash, record, document.rev, reading)

    @classmethod
    def closer(cls, content_hash: str, document: Document | None, found: Found) -> "Looking":
        """A look in doubt, at the file that was found, whatever the record says of where it is."""
        record = InventoryRecord.from_document(document) if document is not None else None
        rev = document.rev if document is not None else None
        reading = Reading(found.relative_path, both(content_hash), found.size, afresh=True)
        return cls(content_hash, record, rev, reading)

    @property
    def expected(self) -> Mapping[str, str]:
        """What the bytes have to hash to, by kind."""
        known = {hash_type_of(self.hash): self.hash}
        if self.record is not None and self.record.sha256 is not None:
            return {STRONG: self.record.sha256, **known}
        return known

    @property
    def is_good(self) -> bool:
        """Whether all was read and is as it was."""
        reading = self.reading
        if not reading.over or reading.error is not None:
            return False
        return all(found == self.expected.get(kind, found) for kind, found in self.found.items())

    @property
    def found(self) -> Mapping[str, str]:
        """What the bytes hash to, by kind."""
        return self.reading.digests

    def verified(self, now: int) -> InventoryRecord:
        """The record of a good one: as it is, and when that was seen (ms)."""
        assert self.record is not None
        return evolve(
            self.record,
            relative_path=self.reading.path,
            size=self.reading.size,
            sha256=self.found[STRONG],
            verified=now,
        )


def both(content_hash: str) -> tuple[str, ...]:
    """The kind of the name's hash, and the one that cannot be forged."""
    return tuple(dict.fromkeys((hash_type_of(content_hash), STRONG)))
