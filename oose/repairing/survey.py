"""Looking at all content of some slices: its records merged with what is noted of it.

Both are read in pages, in the order of their hashes. What lies between our slices comes along where
it is less than a page, and is left out where it is more. Between two handfuls of rows others have
their turn, for longer than the handful took.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.contents import Content, Contents
from oose.metadata.documents import END, Document, Documents
from oose.pace import Pace
from oose.repairing.need import Need

PAGE = 1000  # documents in one request
HANDFUL = 100  # contents looked at before others have their turn
YIELD = 3.0  # times as long as they took
Found = Callable[[str, Need], None]


@frozen
class Seen:
    """What a record says of a clone, as far as it matters here; see `InventoryRecord`."""

    place: str
    size: int
    created: int
    verified: int | None
    note: str | None

    @classmethod
    def from_document(cls, document: Document) -> "Seen":
        """Read a record; `KeyError` where it is none."""
        body = document.body
        return cls(
            place=document.id.partition(":")[2],
            size=body["size"],
            created=body["createdAt"],
            verified=body.get("verifiedAt"),
            note=body.get("note"),
        )


Judge = Callable[[Sequence[Seen], Content], Need]


@frozen
class Survey:
    """Looks at content; `pace` is of requests, and `judge` says what a content needs."""

    inventory: Documents
    contents: Contents
    pace: Pace
    clock: IReactorTime
    judge: Judge

    async def run(self, slices: Collection[str], found: Found) -> None:
        """Tell of all content of the slices, by its hash, what it needs."""
        notes = _Notes(self.contents, self.pace)
        start, left = min(slices, default=None), list[Document]()
        while start is not None:
            await self.pace.take(1)
            page = await self.inventory.range(start, END, limit=PAGE)
            groups = by_hash([*left, *(each for each in page if each.id[:2] in slices)])
            start, left = following(page, slices), []
            if start is not None and page[-1].id[:2] in slices:
                left = groups.popitem()[1]  # the next page may have more of it
            await self._look(groups, await notes.of(list(groups)), found)

    async def look(self, rows: Mapping[str, Sequence[Document]], found: Found) -> None:
        """The same of some contents whose records are known."""
        if rows:
            await self.pace.take(1)
            await self._look(rows, await self.contents.get_many(list(rows)), found)

    async def _look(
        self,
        rows: Mapping[str, Sequence[Document]],
        noted: Mapping[str, Content],
        found: Found,
    ) -> None:
        hashes = list(rows)
        for offset in range(0, len(hashes), HANDFUL):
            began = self.clock.seconds()
            for each in hashes[offset : offset + HANDFUL]:
                seen = [Seen.from_document(document) for document in rows[each]]
                found(each, self.judge(seen, noted.get(each) or Content(each)))
            await deferLater(self.clock, YIELD * max(0.0, self.clock.seconds() - began))


@define(eq=False)
class _Notes:
    """Content documents in the order of their hashes, each read once."""

    contents: Contents
    pace: Pace
    _after: str = field(default="", init=False)
    _page: Sequence[Content] = field(factory=tuple, init=False)
    _is_whole: bool = field(default=False, init=False)

    async def of(self, hashes: Sequence[str]) -> Mapping[str, Content]:
        """What is noted of some, which are in order and behind those asked for before."""
        if not hashes:
            return {}
        wanted = set(hashes)
        found: dict[str, Content] = {}
        while True:
            found |= {each.hash: each for each in self._page if each.hash in wanted}
            if self._is_whole or self._after >= hashes[-1]:
                return found
            await self.pace.take(1)
            after = max(self._after, hashes[0][:-1])  # what comes before is not ours
            self._page = await self.contents.page(after=after, limit=PAGE)
            self._is_whole = len(self._page) < PAGE
            if self._page:
                self._after = self._page[-1].hash


def following(page: Sequence[Document], slices: Collection[str]) -> str | None:
    """Where to go on after a page; None where it was the last."""
    if len(page) < PAGE:
        return None
    last = page[-1].id
    if last[:2] in slices:
        return last + "\0"
    return min((each for each in slices if each > last[:2]), default=None)


def by_hash(documents: Sequence[Document]) -> dict[str, list[Document]]:
    """Records in the order of their ids, by content."""
    groups: dict[str, list[Document]] = {}
    for each in documents:
        groups.setdefault(each.id.partition(":")[0], []).append(each)
    return groups
