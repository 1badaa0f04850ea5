"""One clone being looked at: what its record says of it, and what its bytes hash to.

Where the record has the sha256 of what was received, that alone is made again: it was made of bytes
that had the name's hash, and unlike md5 and sha1 it cannot be forged. In doubt both are made.
"""

from collections.abc import Mapping
from typing import Any

from attrs import define

from oose.address import hash_type_of
from oose.disk import Found
from oose.errors import NotFound
from oose.metadata.documents import Document
from oose.verifying.reading import Reading

STRONG = "sha256"


@define(eq=False)
class Looking:
    """The clone of `hash`, with its record; `document` is None where the inventory has none."""

    hash: str
    document: Document | None
    reading: Reading

    @classmethod
    def first(cls, document: Document) -> "Looking":
        """A look at what a record tells of; with an error where it does not tell enough."""
        body = document.body
        content_hash = document.id.partition(":")[0]
        path, size = body.get("relativePath"), body.get("size")
        kinds = (STRONG,) if body.get("sha256") is not None else both(content_hash)
        if isinstance(path, str) and "\0" not in path and isinstance(size, int):
            reading = Reading(path, kinds, size)
        else:
            reading = Reading("", kinds)
            reading.fail(NotFound("Its record does not say where it is"))
        return cls(content_hash, document, reading)

    @classmethod
    def closer(cls, content_hash: str, document: Document | None, found: Found) -> "Looking":
        """A look in doubt, at the file that was found, whatever the record says of where it is."""
        reading = Reading(found.relative_path, both(content_hash), found.size, afresh=True)
        return cls(content_hash, document, reading)

    @property
    def rev(self) -> str | None:
        """The revision that the record was read at."""
        return self.document.rev if self.document is not None else None

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What the record says; nothing where there is none."""
        return self.document.body if self.document is not None else {}

    @property
    def is_good(self) -> bool:
        """Whether all was read and is as it was."""
        reading = self.reading
        if not reading.over or reading.error is not None:
            return False
        expected = {STRONG: self.recorded.get("sha256"), hash_type_of(self.hash): self.hash}
        return all(expected[kind] in (None, found) for kind, found in self.found.items())

    @property
    def found(self) -> Mapping[str, str]:
        """What the bytes hash to, by kind."""
        return self.reading.digests

    def verified(self, now: int) -> Mapping[str, Any]:
        """The record of a good one: as it is, and when that was seen (ms)."""
        return {
            **self.recorded,
            "hash": self.hash,
            "relativePath": self.reading.path,
            "size": self.reading.size,
            "sha256": self.found[STRONG],
            "verifiedAt": now,
        }


def is_older(body: Mapping[str, Any], before: int) -> bool:
    """Whether the clone of a record was last verified before then (ms), or never."""
    verified = body.get("verifiedAt")
    return not isinstance(verified, int) or verified < before


def both(content_hash: str) -> tuple[str, ...]:
    """The kind of the name's hash, and the one that cannot be forged."""
    return tuple(dict.fromkeys((hash_type_of(content_hash), STRONG)))
