"""Documents in memory, which meet the contract of `oose.metadata.documents`."""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from itertools import count, takewhile
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from oose.metadata.documents import Changes, Document, Stale, Write


class MemoryDocuments:
    """One database. `written` is called with each document as it is written."""

    def __init__(
        self, clock: IReactorTime, written: Callable[[Document], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._written = written
        self._documents: dict[str, Document] = {}
        self._ids: list[str] = []
        self._log: list[str] = []
        self._waiting: list[Deferred[None]] = []
        self._numbers = count(1)
        self.requests = 0

    async def get(self, document_id: str) -> Document | None:
        self.requests += 1
        return self._documents.get(document_id)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Document]:
        self.requests += 1
        return {each: self._documents[each] for each in ids if each in self._documents}

    async def range(self, start: str, end: str, *, limit: int | None = None) -> Sequence[Document]:
        self.requests += 1
        found = self._from(start, lambda each: each <= end)
        return found if limit is None else found[:limit]

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        self.requests += 1
        return {each: self._under(each) for each in prefixes}

    async def put(
        self, document_id: str, body: Mapping[str, Any], rev: str | None = None
    ) -> str | Stale:
        self.requests += 1
        return self._write(Write(document_id, body, rev))

    async def delete(self, document_id: str, rev: str) -> str | Stale:
        self.requests += 1
        return self._write(Write(document_id, None, rev))

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        self.requests += 1
        return [self._write(write) for write in writes]

    async def changes(self, since: str | None, patience: float) -> Changes:
        self.requests += 1
        if since is None:
            return Changes(str(len(self._log)), ())
        if not since.isdigit() or int(since) > len(self._log):
            return Changes(str(len(self._log)), (), is_whole=False)
        if int(since) == len(self._log) and patience:
            await self._wait(patience)
        ids = tuple(dict.fromkeys(self._log[int(since) :]))
        return Changes(str(len(self._log)), ids)

    def now(self) -> Mapping[str, Document]:
        """All that there is."""
        return self._documents

    async def _wait(self, patience: float) -> None:
        waiting: Deferred[None] = Deferred()
        late = self._clock.callLater(patience, wake, waiting)
        self._waiting.append(waiting)
        try:
            await waiting
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            if late.active():
                late.cancel()

    def _from(self, start: str, belongs: Callable[[str], bool]) -> Sequence[Document]:
        first = bisect_left(self._ids, start)
        ids = takewhile(belongs, (self._ids[n] for n in range(first, len(self._ids))))
        return [self._documents[each] for each in ids]

    def _under(self, prefix: str) -> Sequence[Document]:
        return self._from(prefix, lambda each: each.startswith(prefix))

    def _write(self, write: Write) -> str | Stale:
        before = self._documents.get(write.id)
        if write.rev != (before.rev if before is not None else None) or (
            before is None and write.body is None
        ):
            return Stale(write.id)
        rev = f"{next(self._numbers)}-{write.id}"
        if write.body is None:
            del self._documents[write.id]
            self._ids.remove(write.id)
        else:
            self._documents[write.id] = Document(write.id, rev, write.body)
            self._written(self._documents[write.id])
            if before is None:
                insort(self._ids, write.id)
        self._log.append(write.id)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._clock.callLater(0, wake, each)
        return rev


def wake(waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.callback(None)
