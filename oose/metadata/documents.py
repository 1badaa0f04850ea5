"""The interface to a database of documents, which CouchDB and the embedded database both meet.

A document is a JSON object with an `_id` and a `_rev`. A write names the revision it read; when
somebody wrote in between it is a `Stale`, a value that the caller has to look at, not an exception.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from attrs import frozen

Database = Literal["peer", "inventory", "content", "heartbeat"]
DATABASES: tuple[Database, ...] = ("peer", "inventory", "content", "heartbeat")
END = "\uffff"  # sorts after every id: the end of a key range, as CouchDB's users write it


@frozen
class Document:
    """One document as read: `body` has neither `_id` nor `_rev`."""

    id: str
    rev: str
    body: Mapping[str, Any]


@frozen
class Write:
    """One write: `rev` None makes a new document, `body` None deletes the one at `rev`."""

    id: str
    body: Mapping[str, Any] | None
    rev: str | None = None


@frozen
class Stale:
    """The write was not made: the document is not at the revision that the write named."""

    id: str


@frozen
class Changes:
    """What was written: the `ids` of documents, and from where to ask for the next (opaque).

    `is_whole` is False when some may be missing, such as after the database was restored.
    """

    since: str
    ids: Sequence[str]
    is_whole: bool = True


@frozen
class Held:
    """What a store's record says of its clone of `hash`: times in ms since 1970, size in bytes.

    What a damaged record does not say is empty or 0.
    """

    hash: str
    rev: str
    relative_path: str
    size: int
    created: int
    verified: int | None


def held(
    document_id: str, rev: str, path: object, size: object, created: object, verified: object
) -> Held:
    """What a record's fields say, whatever they are."""
    return Held(
        document_id.partition(":")[0],
        rev,
        path if isinstance(path, str) else "",
        size if isinstance(size, int) else 0,
        created if isinstance(created, int) else 0,
        verified if isinstance(verified, int) else None,
    )


class Documents(Protocol):
    """One database of documents. Every method is one request; none costs a request a row."""

    async def get(self, document_id: str) -> Document | None:
        """The document, or None where there is none."""
        ...

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Document]:
        """The documents that exist among `ids`, by id."""
        ...

    async def range(self, start: str, end: str, *, limit: int | None = None) -> Sequence[Document]:
        """Documents with `start <= id <= end` in raw byte order of UTF-8, at most `limit`."""
        ...

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        """For each prefix the documents whose id begins with it, in id order; [] for none."""
        ...

    async def put(
        self, document_id: str, body: Mapping[str, Any], rev: str | None = None
    ) -> str | Stale:
        """Write one document durably; the new revision, or `Stale`."""
        ...

    async def delete(self, document_id: str, rev: str) -> str | Stale:
        """Delete the document at `rev`; the tombstone's revision, or `Stale`."""
        ...

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        """Make each write that is not stale, durably, answering in their order."""
        ...

    async def changes(self, since: str | None, patience: float) -> Changes:
        """What was written after `since`, as soon as there is any, else after `patience` seconds.

        Each id once. With None nothing, at once: where to begin.
        """
        ...


class Inventory(Documents, Protocol):
    """The database of clones, which also tells what one store has."""

    async def held(
        self, place: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> Sequence[Held]:
        """The records of the store `place` whose hashes begin with `prefix`, in id order.

        At most `limit`, from behind the hash `after`. What was written just now may be missing or
        as it was before: who acts on one reads it again by `get_many`.
        """
        ...
