"""The database that all processes share, and what they see of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.internet.task import Clock

from oose.errors import Unavailable
from oose.metadata.documents import END, Changes, Document, Held, Stale, Write
from tests.simulation.memory import MemoryDocuments, wake
from tests.stateful.hops import Hops, Life
from tests.unit.at_once import at_once

T = TypeVar("T")
FRESH = 0.05  # seconds in which a range may miss what was written
AWAY = 80  # requests of which one fails
LATE = 3  # ranges of which one may miss something


@frozen
class _Written:
    when: float
    id: str
    before: Document | None


class SharedDocuments(MemoryDocuments):
    """One database; ranges can be asked as they were a moment ago."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._time = clock
        self._last: list[_Written] = []
        self._edition = 0

    def rows(self, start: str, end: str, *, age: float) -> Iterable[Document]:
        """Those between two ids, as they were so many seconds ago."""
        then = self._time.seconds() - age
        self._last = [each for each in self._last if each.when > self._time.seconds() - FRESH]
        before = {each.id: each.before for each in reversed(self._last) if each.when > then}
        for key in sorted(self._documents.keys() | before.keys()):
            found = before[key] if key in before else self._documents[key]
            if found is not None and start <= key <= end:
                yield found

    async def changes(self, since: str | None, patience: float) -> Changes:
        """See `Documents.changes`."""
        edition, _, number = (since or "").partition("-")
        if since is not None and edition != str(self._edition):
            number = "lost"
        found = await super().changes(number or None, patience)
        return Changes(f"{self._edition}-{found.since}", found.ids, found.is_whole)

    def copy(self) -> Mapping[str, Document]:
        """All there is, for a backup."""
        return dict(self._documents)

    def restore(self, backup: Mapping[str, Document]) -> None:
        """Be as it was when that was made."""
        self._documents = dict(backup)
        self._ids = sorted(backup)
        self._edition += 1
        self._last.clear()
        waiting, self._waiting = self._waiting, []
        for each in waiting:  # they hear of it
            self._clock.callLater(0, wake, each)

    def lose(self, document_id: str) -> None:
        """Have a document no more."""
        document = self._documents.get(document_id)
        if document is not None:
            self._write(Write(document_id, None, document.rev))

    def _write(self, write: Write) -> str | Stale:
        before = self._documents.get(write.id)
        answer = super()._write(write)
        if not isinstance(answer, Stale):
            self._last.append(_Written(self._time.seconds(), write.id, before))
        return answer


@define
class Shared:
    """All databases."""

    clock: Clock
    peer: SharedDocuments = field(init=False)
    inventory: SharedDocuments = field(init=False)
    content: SharedDocuments = field(init=False)
    heartbeat: SharedDocuments = field(init=False)
    is_away: bool = False

    def __attrs_post_init__(self) -> None:
        for name in ("peer", "inventory", "content", "heartbeat"):
            setattr(self, name, SharedDocuments(self.clock))


class Reached:
    """A database as one process reaches it: meets `Inventory`."""

    def __init__(self, shared: Shared, documents: SharedDocuments, life: Life) -> None:
        self._shared = shared
        self._documents = documents
        self._life = life
        self._hops: Hops = life.hops

    async def get(self, document_id: str) -> Document | None:
        return await self._ask(lambda: at_once(self._documents.get(document_id)))

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Document]:
        return await self._ask(lambda: at_once(self._documents.get_many(ids)))

    async def range(self, start: str, end: str, *, limit: int | None = None) -> Sequence[Document]:
        return await self._ask(lambda: list(islice(self._rows(start, end), limit)))

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        return await self._ask(lambda: {p: list(self._rows(p, p + END)) for p in prefixes})

    async def held(
        self, place: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> Sequence[Held]:
        def look() -> Sequence[Held]:
            rows = self._rows(prefix, prefix + END)
            found = (held(row) for row in rows if row.id.partition(":")[2] == place)
            return list(islice((each for each in found if each.hash > after), limit))

        return await self._ask(look)

    async def put(
        self, document_id: str, body: Mapping[str, Any], rev: str | None = None
    ) -> str | Stale:
        return (await self.put_many([Write(document_id, body, rev)]))[0]

    async def delete(self, document_id: str, rev: str) -> str | Stale:
        return (await self.put_many([Write(document_id, None, rev)]))[0]

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        return await self._ask(lambda: at_once(self._documents.put_many(writes)))

    async def changes(self, since: str | None, patience: float) -> Changes:
        await self._life.later(self._fail)
        return await self._documents.changes(since, patience)

    def _rows(self, start: str, end: str) -> Iterable[Document]:
        age = 0.0
        if not self._hops.is_kind and self._hops.number(LATE) == 1:
            age = FRESH * self._hops.number(100) / 100
        return self._documents.rows(start, end, age=age)

    async def _ask(self, work: Callable[[], T]) -> T:
        """What cannot be asked is not done, what is not answered was done."""

        def ask() -> T:
            self._fail()
            answer = work()
            self._fail()
            return answer

        return await self._life.later(ask)

    def _fail(self) -> None:
        if self._shared.is_away or self._hops.mischance(AWAY):
            raise Unavailable("The database is away", retry_after=1)


def held(row: Document) -> Held:
    body = row.body
    return Held(
        row.id.partition(":")[0],
        row.rev,
        body["relativePath"],
        body["size"],
        body["createdAt"],
        body["verifiedAt"],
    )
