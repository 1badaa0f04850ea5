"""Down votes: who had no answer from whom. See `data-model.md` for their documents."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from oose.metadata.documents import Document, Documents, Stale, Write

END = "\uffff"


@frozen
class Vote:
    """`by` had no answer from `whom` (ids of peers), for this reason; `at` is ms since 1970."""

    whom: str
    by: str
    reason: str
    at: int

    @property
    def id(self) -> str:
        """The document's `_id`."""
        return vote_id(self.whom, self.by)

    def to_body(self) -> Mapping[str, Any]:
        """The document, without `_id` and `_rev`."""
        return {
            "peer": self.whom,
            "systemKey": self.by,
            "systemType": self.by.partition(":")[0],
            "reason": self.reason,
            "timestamp": self.at,
        }


def vote_id(whom: str, by: str) -> str:
    """The `_id` of a vote."""
    return f"down:{whom}:{by}"


def is_majority(voters: Collection[str], watchers: Collection[str]) -> bool:
    """Whether more than half of the watchers have voted; others' votes do not count."""
    return 2 * sum(each in voters for each in watchers) > len(watchers)


@frozen
class _Seen:
    rev: str
    at: float


class Votes:
    """The votes in the heartbeat database, and the revisions of those that were cast here."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._cast: dict[str, str] = {}
        self._seen: dict[str, _Seen] = {}

    async def cast(self, votes: Sequence[Vote]) -> None:
        """Cast votes, or renew those that were cast before."""
        left = list(votes)
        while left:
            writes = [Write(vote.id, vote.to_body(), self._cast.get(vote.id)) for vote in left]
            answers = await self._documents.put_many(writes)
            stale = []
            for vote, answer in zip(left, answers, strict=True):
                if isinstance(answer, Stale):
                    stale.append(vote)
                else:
                    self._cast[vote.id] = answer
            left = stale
            await self._read([vote.id for vote in left])

    async def withdraw(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take back what was cast here, given by `whom` and `by`."""
        left = [each for pair in pairs if (each := vote_id(*pair)) in self._cast]
        while left:
            writes = [Write(each, None, self._cast[each]) for each in left]
            answers = await self._documents.put_many(writes)
            await self._read([answer.id for answer in answers if isinstance(answer, Stale)])
            for each, answer in zip(left, answers, strict=True):
                if not isinstance(answer, Stale):
                    del self._cast[each]
            left = [each for each in left if each in self._cast]

    async def standing(self, pairs: Iterable[tuple[str, str]]) -> Collection[tuple[str, str]]:
        """Those of the pairs of `whom` and `by` of which there is a vote; one request for all."""
        by_id = {vote_id(*pair): pair for pair in pairs}
        found = await self._documents.get_many(list(by_id)) if by_id else {}
        return {by_id[each] for each in found}

    async def clear(self, ids: Collection[str]) -> None:
        """Delete all votes against these peers and by them, as they have just started."""
        found = await self._documents.range("down:", "down:" + END)
        wanted = [each for each in found if {_whom(each), _by(each)} & set(ids)]
        await self._delete(wanted)

    async def prune(
        self, whom: Collection[str], exists: Callable[[str], bool], life: float, now: float
    ) -> None:
        """Delete votes against these that were not renewed for so long, as was seen here.

        Votes against or by peers that do not exist go at once.
        """
        found = await self._documents.under([f"down:{each}:" for each in sorted(whom)])
        seen: dict[str, _Seen] = {}
        old = []
        for document in (each for rows in found.values() for each in rows):
            before = self._seen.get(document.id)
            is_same = before is not None and before.rev == document.rev
            mark = before if before is not None and is_same else _Seen(document.rev, now)
            seen[document.id] = mark
            is_vain = not (exists(_whom(document)) and exists(_by(document)))
            if is_vain or now - mark.at >= life:
                old.append(document)
        self._seen = seen
        await self._delete(old)

    async def _read(self, ids: Sequence[str]) -> None:
        """Learn the revisions of what somebody else has written or deleted."""
        found = await self._documents.get_many(ids) if ids else {}
        for each in ids:
            self._cast.pop(each, None)
            if each in found:
                self._cast[each] = found[each].rev

    async def _delete(self, documents: Sequence[Document]) -> None:
        """Those that have changed meanwhile stay."""
        if documents:
            await self._documents.put_many([Write(each.id, None, each.rev) for each in documents])


def _whom(document: Document) -> Any:
    return document.body.get("peer")


def _by(document: Document) -> Any:
    return document.body.get("systemKey")
