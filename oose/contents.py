"""What is noted of content itself: a content document, only where there is something to note.

Several write to one: who removes, who protects, who wishes, who counts demand. Each changes its
own word and leaves the others'.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from oose.errors import Unavailable
from oose.metadata.documents import END, Document, Documents, Stale, Write

OURS = ("removedAt", "protected", "wanted", "demand")
TRIES = 50  # at a document that others write to all the time


@frozen
class Content:
    """Notes on the content `hash`.

    `removed` (ms since 1970) is its tombstone: copies from before are none. No tool removes a clone
    of what is `protected`. `wanted` is how many clones an administrator wishes, None for as many as
    usual. `demand` is how often viewers ask for it, as each prism (by name) counts: see
    `oose.demand`. `others` is what else the document holds, such as a claim (`oose.claims`).
    """

    hash: str
    removed: int | None = None
    protected: bool = False
    wanted: int | None = None
    demand: Mapping[str, Any] = field(factory=dict)
    others: Mapping[str, Any] = field(factory=dict)

    def to_body(self) -> Mapping[str, Any]:
        """The document, without `_id` and `_rev`; empty where there is nothing to note."""
        words = {
            "removedAt": self.removed,
            "protected": self.protected or None,
            "wanted": self.wanted,
            "demand": dict(self.demand) or None,
        }
        return {**self.others, **{key: each for key, each in words.items() if each is not None}}

    @classmethod
    def from_document(cls, document: Document) -> "Content":
        """Read a document back."""
        body = document.body
        return cls(
            hash=document.id,
            removed=body.get("removedAt"),
            protected=bool(body.get("protected")),
            wanted=body.get("wanted"),
            demand=body.get("demand") or {},
            others={key: each for key, each in body.items() if key not in OURS},
        )


class Contents:
    """The database of content documents."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, content_hash: str) -> Content:
        """What is noted; of most content nothing is."""
        return (await self.get_many([content_hash]))[content_hash]

    async def get_many(self, hashes: Sequence[str]) -> Mapping[str, Content]:
        """The same of several, in one request; each has an answer."""
        found = await self._documents.get_many(hashes) if hashes else {}
        return {
            each: Content.from_document(found[each]) if each in found else Content(each)
            for each in hashes
        }

    async def page(
        self, prefix: str = "", *, after: str = "", limit: int = 1000
    ) -> Sequence[Content]:
        """Notes on content whose hash begins with `prefix`, from behind the hash `after`."""
        start = after + "\0" if after else prefix
        found = await self._documents.range(start, prefix + END, limit=limit)
        return [Content.from_document(each) for each in found]

    async def change(self, content_hash: str, edit: Callable[[Content], Content]) -> Content:
        """Make a change, again where somebody else was faster; what is noted then.

        `edit` may be called several times, each time with what is noted by then. What it does not
        know of the document stays there. `Unavailable` where others are always faster.
        """
        return (await self.change_many([content_hash], edit))[content_hash]

    async def change_many(
        self, hashes: Sequence[str], edit: Callable[[Content], Content]
    ) -> Mapping[str, Content]:
        """The same of several, in one request where nobody else writes; what is noted then."""
        changed: dict[str, Content] = {}
        left = list(dict.fromkeys(hashes))
        for _ in range(TRIES):
            documents = await self._documents.get_many(left) if left else {}
            writes = []
            for each in left:
                document = documents.get(each)
                known = Content(each) if document is None else Content.from_document(document)
                changed[each] = wanted = evolve(edit(known), hash=each, others=known.others)
                body, rev = wanted.to_body() or None, document.rev if document else None
                if wanted != known and (body or rev):
                    writes.append(Write(each, body, rev))
            answers = await self._documents.put_many(writes) if writes else ()
            left = [answer.id for answer in answers if isinstance(answer, Stale)]
            if not left:
                return changed
        raise Unavailable(f"Others note something of {left[0]} all the time", retry_after=1)


def unburied(content: Content) -> Content:
    """The same without a tombstone."""
    return evolve(content, removed=None)
