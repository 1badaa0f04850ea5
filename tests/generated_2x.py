"""Data as version 2.0.x kept it: one database with everything, made by numbers, as many as asked.

The same number makes the same documents. Every so often they are as real ones are: written by
earlier programs, with numbers as text, dates, leading dots, without a path or a size.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from oose.address import old_relative_path

NOW = 1_700_000_000_000  # when all of it is looked at, in ms
HOUR = 3_600_000
PRISMS = 2
STORES = 3  # of each prism
CLONES = 2
KINDS = (("mp4", "video/mp4"), ("txt", "text/plain"), ("jpg", "image/jpeg"), ("mkv", None))


@frozen
class Old:
    """One document: its key, and its fields."""

    id: str
    body: Mapping[str, Any]

    def as_document(self) -> Mapping[str, Any]:
        return {"_id": self.id, **self.body}


def hash_of(number: int) -> str:
    """The content of a number: sha1 as a rule, sha256 now and then."""
    kind = "sha256" if number % 50 == 49 else "sha1"
    return hashlib.new(kind, b"content %d" % number).hexdigest()


def peers() -> Iterator[Old]:
    """Prisms and their stores; one was taken out of use."""
    for p in range(1, PRISMS + 1):
        yield Old(
            f"oose:prism:prism{p}",
            {
                "name": f"prism{p}",
                "host": f"10.0.0.{p}",
                "port": 5971,
                "writable": True,
                "available": True,
                "active": True,
                "createdAt": "2016-02-01T12:00:00.000Z",
            },
        )
        for s in range(1, STORES + 1):
            number = (p - 1) * STORES + s
            yield Old(
                f"oose:store:prism{p}:store{number}",
                {
                    "prism": f"prism{p}",
                    "name": f"store{number}",
                    "host": f"10.0.1.{number}",
                    "port": str(5972) if number % 2 else 5972,
                    "group": "rack1",
                    "writable": number != 3,
                    "available": True,
                    "active": number != 2,
                    "createdAt": NOW - 1000 * HOUR,
                },
            )


def places(number: int) -> Iterator[tuple[str, str]]:
    """Where the clones of a content are."""
    for n in range(CLONES):
        store = (number + n * STORES) % (PRISMS * STORES) + 1
        yield f"prism{(store - 1) // STORES + 1}", f"store{store}"


def records(number: int) -> Iterator[Old]:
    """The records of all clones of a content."""
    content_hash = hash_of(number)
    ext, mime = KINDS[number % len(KINDS)]
    for prism, store in places(number):
        body: dict[str, Any] = {
            "prism": prism,
            "store": store,
            "hash": content_hash,
            "mimeExtension": ext,
            "mimeType": mime,
            "relativePath": old_relative_path(content_hash, ext),
            "size": 1000 + number,
            "createdAt": NOW - number,
        }
        if number % 10 == 3:  # as an early scan left them
            body["sha1" if len(content_hash) == 40 else "hash"] = body.pop("hash")
            body |= {"mimeExtension": f".{ext}", "size": str(1000 + number)}
            del body["relativePath"], body["createdAt"]
        elif number % 10 == 7:
            body |= {"createdAt": "2016-02-01T12:00:00.000Z", "verifiedAt": NOW - HOUR}
        yield Old(f"oose:inventory:{content_hash}:{prism}:{store}", body)


def purchases(number: int) -> Iterator[Old]:
    """A purchase of every fourth content; half of them are over."""
    if number % 4 == 0:
        token = hashlib.sha256(b"token %d" % number).hexdigest()
        body = {
            "token": token,
            "hash": hash_of(number),
            "ext": KINDS[number % len(KINDS)][0],
            "life": 2 * HOUR,
            "expirationDate": NOW + (HOUR if number % 8 else -HOUR),
            "referrer": ["example.com", "localhost"] if number % 3 else "example.com",
        }
        yield Old(f"oose:purchase:{token}", body)


def others() -> Iterator[Old]:
    """What else lay in the database."""
    yield Old("oose:downvote:store1:prism2", {"timestamp": NOW})
    yield Old("_design/peer", {"views": {}})
    yield Old(f"oose:inventory:{hash_of(0)}", {"exists": ["prism1:store1"]})
    yield Old("a document of somebody else", {})


def damaged() -> Iterator[Old]:
    """What no use can be made of, and a record without a size."""
    yield Old("oose:inventory:nonsense:prism1:store1", {"size": 1})
    yield Old("oose:store:prism1:store99", {"name": "store99"})
    yield Old(f"oose:inventory:{'ab' * 20}:prism1:store1", {"mimeExtension": "mp4"})


def everything(count: int) -> Iterator[Old]:
    """All of it, for so many contents; not in order."""
    yield from peers()
    yield from others()
    for number in range(count):
        yield from records(number)
        yield from purchases(number)


def as_of(now: int, documents: Iterator[Old]) -> Iterator[Mapping[str, Any]]:
    """The documents at another moment: those purchases are over that were."""
    for each in documents:
        document = dict(each.as_document())
        if "expirationDate" in document:
            document["expirationDate"] += now - NOW
        yield document


def keys(count: int) -> int:
    """How many documents that is."""
    sold = (count + 3) // 4
    return sum(1 for _ in peers()) + sum(1 for _ in others()) + CLONES * count + sold
