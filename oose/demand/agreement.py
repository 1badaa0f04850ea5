"""One prism's words on demand, in the content documents that all prisms share.

Others write to the same documents, of demand and of other things: who was slower reads again. Each
word leaves those of others alone, but for those that count no more.
"""

from collections.abc import Sequence

from attrs import evolve

from oose.contents import Content
from oose.demand.counter import Rate
from oose.demand.note import Note, Word
from oose.demand.saying import Words, due, still_counting
from oose.metadata.documents import Document, Documents, Stale, Write
from oose.settings.model import CloneSettings
from oose.wishes import usual

TRIES = 3  # at documents that others write to; then in the next round


class Agreement:
    """Says what the prism `name` counts in `documents`, those of content."""

    def __init__(self, name: str, documents: Documents, settings: CloneSettings) -> None:
        self._name = name
        self._documents = documents
        self._settings = settings
        self._said: dict[str, Word] = {}  # no more than a few rounds say

    def __len__(self) -> int:
        """How many words were said lately."""
        return len(self._said)

    async def say(self, hottest: Sequence[Rate], share: float, now: int) -> Sequence[Content]:
        """Say what is due (see `due`); the content documents that were written.

        Two requests, and two more for each time that somebody else was faster.
        """
        self._said = still_counting(self._said, now)
        words = due(hottest, self._said, share, now)
        left = list(words)
        written: list[Content] = []
        for _ in range(TRIES):
            if not left:
                break
            done, left = await self._try(left, words, now)
            written += done
        return written

    async def _try(
        self, hashes: Sequence[str], words: Words, now: int
    ) -> tuple[Sequence[Content], list[str]]:
        """The content documents that were written, and the hashes of those that were not."""
        found = await self._documents.get_many(hashes)
        edits: list[tuple[Content, Write]] = []
        for each in hashes:
            content = self._with_word(content_of(each, found.get(each)), words[each], now)
            write = write_of(content, found.get(each))
            if write is None:
                self._note(each, words[each], now)
            else:
                edits.append((content, write))
        answers = await self._documents.put_many([write for _, write in edits]) if edits else ()
        written = []
        late = []
        for (content, _), answer in zip(edits, answers, strict=True):
            if isinstance(answer, Stale):
                late.append(content.hash)
            else:
                written.append(content)
                self._note(content.hash, words[content.hash], now)
        return written, late

    def _with_word(self, content: Content, per_minute: int | None, now: int) -> Content:
        settings = self._settings
        note = Note.parse(content.demand)
        note = note.said(self._name, per_minute, settings, usual(content, settings), now)
        return evolve(content, demand=note.to_value())

    def _note(self, content_hash: str, per_minute: int | None, now: int) -> None:
        self._said.pop(content_hash, None)
        if per_minute is not None:
            self._said[content_hash] = Word(per_minute, now)


def content_of(content_hash: str, document: Document | None) -> Content:
    """What is noted of content; nothing, where there is no document."""
    return Content(content_hash) if document is None else Content.from_document(document)


def write_of(content: Content, document: Document | None) -> Write | None:
    """What makes the document say this; None where it does."""
    body = content.to_body()
    if document is None:
        return Write(content.hash, body) if body else None
    if body == document.body:
        return None
    return Write(content.hash, body or None, document.rev)
