"""What CouchDB answers, as documents; what has another shape is an `Unavailable`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from oose.couchdb.client import NOT_UNDERSTOOD
from oose.couchdb.presence import RETRY_AFTER
from oose.errors import Unavailable
from oose.metadata.documents import Document

DESIGN = "_design/"  # documents that are CouchDB's own


@contextmanager
def understood() -> Iterator[None]:
    """Within it an answer is taken apart, which may be anybody's who listens there."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Unavailable(NOT_UNDERSTOOD, retry_after=RETRY_AFTER) from error


def as_document(value: Mapping[str, Any]) -> Document:
    """A document as CouchDB writes it; its own fields, which begin with `_`, are not the body's."""
    body = {name: each for name, each in value.items() if not name.startswith("_")}
    return Document(text(value["_id"]), text(value["_rev"]), body)


def documents_of_rows(value: Mapping[str, Any]) -> list[Document]:
    """The documents of an answer of `_all_docs` with `include_docs`."""
    rows = [row for row in value["rows"] if not row["id"].startswith(DESIGN)]
    return [as_document(row["doc"]) for row in rows if row["doc"] is not None]


def documents_got(value: Mapping[str, Any], asked: Sequence[str]) -> dict[str, Document]:
    """The documents of an answer of `_bulk_get`, which names missing ones in several ways."""
    found = {}
    if not set(asked) <= {result["id"] for result in value["results"]}:
        raise ValueError("no word of some")
    for result in value["results"]:
        for each in result["docs"]:
            document = each.get("ok")
            if document is not None and not document.get("_deleted"):
                found[document["_id"]] = as_document(document)
            elif "error" in each:
                _check_missing(each["error"])
    return found


def text(value: object) -> str:
    """A value that has to be text."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _check_missing(error: Any) -> None:
    name = error.get("error") if isinstance(error, dict) else error
    if name != "not_found":
        raise Unavailable(
            "The database (CouchDB) could not read all documents", retry_after=RETRY_AFTER
        )
