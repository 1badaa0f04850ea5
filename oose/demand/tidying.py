"""Taking words on demand out of content documents, when they mean nothing any more.

Who has said them may be gone. One prism looks, a page at a time: there is no hurry, as `desired`
knows by itself what is over.
"""

from collections.abc import Sequence

from attrs import evolve

from oose.contents import Content
from oose.demand.agreement import write_of
from oose.demand.note import Note
from oose.metadata.documents import END, Document, Documents, Stale
from oose.settings.model import CloneSettings
from oose.wishes import usual

PAGE = 1000  # content documents looked at in one request


class Tidying:
    """Goes round and round through the content documents."""

    def __init__(self, documents: Documents, settings: CloneSettings) -> None:
        self._documents = documents
        self._settings = settings
        self._after = ""

    async def step(self, now: int) -> Sequence[Content]:
        """Look at the next page; the content documents that were changed."""
        page = await self._documents.range(self._after, END, limit=PAGE)
        contents = []
        writes = []
        for document in page:
            content = self._tidied(document, now)
            write = write_of(content, document) if content is not None else None
            if content is not None and write is not None:
                contents.append(content)
                writes.append(write)
        answers = await self._documents.put_many(writes) if writes else ()
        self._after = page[-1].id + "\0" if len(page) == PAGE else ""
        pairs = zip(contents, answers, strict=True)
        return [content for content, answer in pairs if not isinstance(answer, Stale)]

    def _tidied(self, document: Document, now: int) -> Content | None:
        """Without demand, where it is over; None where it is not, or there is none."""
        content = Content.from_document(document)
        if not content.demand:
            return None
        floor = usual(content, self._settings)
        if not Note.parse(content.demand).is_over(self._settings, floor, now):
            return None
        return evolve(content, demand={})
