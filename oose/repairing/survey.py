"""Looking at all content of some slices: its records merged with what is noted of it.

Both are read in pages, in the order of their hashes. Between two handfuls of rows others have their
turn, for longer than the handful took.
"""

from collections.abc import Callable, Mapping, Sequence

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

    async def run(self, runs: Sequence[tuple[str, str]], found: Found) -> None:
        """Tell of all content of the slices in `runs`, by its hash, what it needs."""
        for first, last in runs:
            await self._run(first, last, found)

    async def _run(self, first: str, last: str, found: Found) -> None:
        notes = _Notes(self.contents, self.pace, after=first)
        start, left = first, list[Document]()
        while True:
            await self.pace.take(1)
            page = await self.inventory.range(start, last + END, limit=PAGE)
            groups = by_hash([*left, *page])
            left = []
            if is_more := len(page) == PAGE:
                start = page[-1].id + "\0"
                left = groups.popitem()[1]  # the next page may have more of it
            await self._look(groups, await notes.of(list(groups)), found)
            if not is_more:
                return

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
    after: str
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
            if self._is_whole or (self._page and self._page[-1].hash > hashes[-1]):
                return found
            await self.pace.take(1)
            self._page = await self.contents.page(after=self.after, limit=PAGE)
            self._is_whole = len(self._page) < PAGE
            if self._page:
                self.after = self._page[-1].hash


def by_hash(documents: Sequence[Document]) -> dict[str, list[Document]]:
    """Records in the order of their ids, by content."""
    groups: dict[str, list[Document]] = {}
    for each in documents:
        groups.setdefault(each.id.partition(":")[0], []).append(each)
    return groups
