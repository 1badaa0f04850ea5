"""Writing documents to one of CouchDB's databases.

CouchDB answers 201 when most of its nodes have a write, and 202 when they do not: then another
writer may have won on the others, and what it has is read again before it is believed.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from oose.couchdb.client import Answer, AnswerLost, CouchClient, escaped, query
from oose.couchdb.presence import RETRY_AFTER
from oose.couchdb.reading import Reader
from oose.couchdb.rows import text, understood
from oose.errors import Unavailable
from oose.metadata.documents import Document, Stale, Write
from oose.together import together

AT_ONCE = 250  # writes in one request, which has to be answered in time
SIDE_BY_SIDE = 8
Outcome = str | Stale
Outcomes = dict[str, Outcome]


class Writer:
    """Writes the database at `path`, which `reader` reads."""

    def __init__(self, client: CouchClient, path: str, reader: Reader) -> None:
        self._client = client
        self._path = path
        self._reader = reader

    async def put_many(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        """See `Documents.put_many`."""
        outcomes: list[Outcome] = [Stale(write.id) for write in writes]
        # A deletion without a revision deletes on some servers: it is not asked for.
        good = [n for n, write in enumerate(writes) if write.body is not None or write.rev]
        for numbers in _rounds(good, writes):
            answer = await self._put_batch([writes[n] for n in numbers])
            for n in numbers:
                outcomes[n] = answer[writes[n].id]
        return outcomes

    async def _put_batch(self, writes: Sequence[Write]) -> Outcomes:
        """Writes of different documents. One whose answer is lost is looked for, not believed."""
        until = self._client.until()
        done: Outcomes = {}
        left = writes
        try:
            return await self._send(left, until)
        except AnswerLost:
            done, left = await self._found(left, until)
        if not left:
            return done
        try:
            return done | await self._send(left, until)
        except AnswerLost:
            more, left = await self._found(left, until)
            if left:
                raise
            return done | more

    async def _send(self, writes: Sequence[Write], until: float) -> Outcomes:
        answer = await self._client.ask(
            "POST",
            f"{self._path}/_bulk_docs",
            {"docs": [_as_json(write) for write in writes]},
            until=until,
        )
        with understood():
            outcomes, doubtful = _outcomes(answer, writes)
        while doubtful:
            some = [doubtful.popleft() for _ in range(min(SIDE_BY_SIDE, len(doubtful)))]
            for settled in await together(self._settle(*each, until) for each in some):
                outcomes.update(settled)
        return outcomes

    async def _found(
        self, writes: Sequence[Write], until: float
    ) -> tuple[Outcomes, Sequence[Write]]:
        """What became of writes whose answer was lost, and those that were not made."""
        found = await self._reader.get_many([write.id for write in writes], until)
        done = {}
        left = []
        for write in writes:
            outcome = outcome_of(write, found.get(write.id))
            if outcome is None:
                left.append(write)
            else:
                done[write.id] = outcome
        return done, left

    # Where too few nodes have confirmed a write.

    async def _settle(self, write: Write, rev: str, until: float) -> Outcomes:
        """Whether a write that CouchDB has only accepted stands.

        Where another stands beside it, it is taken back: the other may have been answered 201.
        Of two that see each other so, the one that readers do not see steps back first.
        """
        current, others = await self._leaves(write.id, until)
        if write.body is None:
            return {write.id: rev if current is None else Stale(write.id)}
        if current == rev and others:
            current, others = await self._leaves(write.id, until)
        if current == rev and not others:
            return {write.id: rev}
        if rev == current or rev in others:
            await self._step_back(write.id, rev, until)
        return {write.id: Stale(write.id)}

    async def _leaves(self, document_id: str, until: float) -> tuple[str | None, Sequence[str]]:
        """The revision that readers see, and those beside it."""
        values = query(conflicts=True)
        answer = await self._client.ask(
            "GET",
            f"{self._path}/{escaped(document_id)}{values}",
            expected={404},
            repeat=True,
            until=until,
        )
        if answer.status == 404:
            return None, ()
        with understood():
            return text(answer.value["_rev"]), list(answer.value.get("_conflicts", ()))

    async def _step_back(self, document_id: str, rev: str, until: float) -> None:
        body = {"docs": [{"_id": document_id, "_rev": rev, "_deleted": True}]}
        with suppress(AnswerLost):  # it is a loser's revision: a next write cleans it up as well
            await self._client.ask("POST", f"{self._path}/_bulk_docs", body, until=until)


def outcome_of(write: Write, current: Document | None) -> Outcome | None:
    """What became of a write, judged by the document as it is now; None when it was not made.

    A document that is gone may be gone by this write or another's: `Stale`, as whoever wrote it
    has to look again.
    """
    rev = None if current is None else current.rev
    if rev == write.rev:
        return None
    if current is None or write.body is None or not _is_by(write, current):
        return Stale(write.id)
    return current.rev


def _is_by(write: Write, current: Document) -> bool:
    follows = write.rev is None or generation(current.rev) == generation(write.rev) + 1
    return follows and json.loads(json.dumps(write.body)) == current.body


def generation(rev: str) -> int:
    """The number that a revision begins with."""
    number = rev.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _rounds(numbers: Sequence[int], writes: Sequence[Write]) -> Iterator[Sequence[int]]:
    """The numbers of writes that go out together: no document twice, and not too many."""
    left = list(numbers)
    while left:
        batch: dict[str, int] = {}
        later = []
        for n in left:
            if writes[n].id in batch or len(batch) == AT_ONCE:
                later.append(n)
            else:
                batch[writes[n].id] = n
        yield list(batch.values())
        left = later


def _as_json(write: Write) -> Mapping[str, Any]:
    value: dict[str, Any] = {**(write.body or {}), "_id": write.id}
    if write.rev is not None:
        value["_rev"] = write.rev
    if write.body is None:
        value["_deleted"] = True
    return value


def _outcomes(answer: Answer, writes: Sequence[Write]) -> tuple[Outcomes, deque[tuple[Write, str]]]:
    """What each row says, and those writes that are accepted but not made for certain.

    Rows are told by their ids: they need not come in the order of the writes.
    """
    outcomes: Outcomes = {}
    doubtful: deque[tuple[Write, str]] = deque()
    rows = {row["id"]: row for row in answer.value}
    if len(answer.value) != len(writes):
        raise ValueError("not a row for each write")
    for write in writes:
        row = rows[write.id]
        if row.get("error") == "conflict":
            outcomes[write.id] = Stale(write.id)
        elif "error" in row:
            raise Unavailable(
                f"The database (CouchDB) refuses a document: {row['error']}",
                retry_after=RETRY_AFTER,
            )
        elif answer.status == 202 or row.get("accepted"):
            doubtful.append((write, text(row["rev"])))
        else:
            outcomes[write.id] = text(row["rev"])
    return outcomes, doubtful
