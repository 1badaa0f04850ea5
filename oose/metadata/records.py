"""Inventory records: one clone of one content on one store (docs/concepts.md)."""

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from oose.metadata.documents import Document


@frozen
class InventoryRecord:
    """The clone of `hash` on `prism`:`store`. Times are ms since 1970, `size` is bytes.

    `sha256` is None where a sweep found a file of another hash type; `verified` is when the bytes
    were last seen to hash to the name, None until then. `note` is what an operator should know,
    such as that there were too few stores for all clones.
    """

    hash: str
    prism: str
    store: str
    mime_type: str
    mime_extension: str
    relative_path: str
    size: int
    created: int
    sha256: str | None = None
    verified: int | None = None
    note: str | None = None

    @property
    def id(self) -> str:
        """The document's `_id`."""
        return record_id(self.hash, self.prism, self.store)

    @property
    def place(self) -> str:
        """Where the clone is, as in an existence record's `map`."""
        return f"{self.prism}:{self.store}"

    def on(self, prism: str, store: str, relative_path: str) -> "InventoryRecord":
        """The same content's clone on another store."""
        return evolve(self, prism=prism, store=store, relative_path=relative_path)

    def to_body(self) -> Mapping[str, Any]:
        """The document, without `_id` and `_rev`."""
        body: dict[str, Any] = {
            "hash": self.hash,
            "sha256": self.sha256,
            "prism": self.prism,
            "store": self.store,
            "mimeType": self.mime_type,
            "mimeExtension": self.mime_extension,
            "relativePath": self.relative_path,
            "size": self.size,
            "createdAt": self.created,
            "verifiedAt": self.verified,
        }
        if self.note is not None:
            body["note"] = self.note
        return body

    @classmethod
    def from_document(cls, document: Document) -> "InventoryRecord":
        """Read a document back."""
        body = document.body
        return cls(
            hash=body["hash"],
            prism=body["prism"],
            store=body["store"],
            mime_type=body["mimeType"],
            mime_extension=body["mimeExtension"],
            relative_path=body["relativePath"],
            size=body["size"],
            created=body["createdAt"],
            sha256=body.get("sha256"),
            verified=body.get("verifiedAt"),
            note=body.get("note"),
        )


def record_id(content_hash: str, prism: str, store: str) -> str:
    """`<hash>:<prism>:<store>`."""
    return f"{content_hash}:{prism}:{store}"


def clones_of(content_hash: str) -> str:
    """The prefix of the ids of all clones of one content."""
    return f"{content_hash}:"
