"""Which content is meant: by its hashes, its stores, how many clones it has.

Records are read in pages, notes for a block of contents at once: memory depends on neither, and
requests do not on the rows.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from oose.contents import Content, Contents
from oose.existence import Existence
from oose.metadata.documents import END, Document, Inventory
from oose.metadata.records import InventoryRecord, clones_of
from oose.moving.patience import insist
from oose.tombstones import is_buried

PAGE = 1000  # records in one request
BLOCK = 250  # contents that are looked at together

Records = Sequence[InventoryRecord]
Rows = Mapping[str, Sequence[Document]]
Step = tuple[Rows, float | None]


@frozen
class Picked:
    """One content: the `records` of its clones, and those `counting`, whose stores serve now.

    What was removed before has none. `damaged` is the id of a record that cannot be understood.
    """

    hash: str
    records: Records
    counting: Records
    content: Content
    damaged: str | None = None

    @property
    def size(self) -> int:
        """In bytes; 0 where there is no clone."""
        return self.records[0].size if self.records else 0

    @property
    def ids(self) -> Sequence[str]:
        """Of its records."""
        return [each.id for each in self.records]

    @property
    def places(self) -> Sequence[str]:
        """Where its clones are, as far as that is known."""
        known = [each.place for each in self.records]
        return known if self.damaged is None else [*known, place_of(self.damaged)]

    @property
    def is_anywhere(self) -> bool:
        """Whether there is any clone."""
        return bool(self.places)

    def on(self, place: str) -> InventoryRecord | None:
        """The record of its clone on a store."""
        return next((each for each in self.records if each.place == place), None)


@frozen
class Block:
    """Some contents, and how far they are on the way through all: from 0 to 1, if that is known."""

    picked: Sequence[Picked]
    passed: float | None


class Named(Protocol):
    """Contents that are named by their hashes."""

    @property
    def total(self) -> int:
        """How many."""
        ...

    def hashes(self) -> Iterator[str]:
        """Each."""
        ...


@frozen
class Choice:
    """What is meant of all content: what has a clone on one of the `stores` (places), and on one of
    the `prisms`, where any are named, and so many clones that count now.
    """

    stores: frozenset[str] = frozenset()
    prisms: frozenset[str] = frozenset()
    above: int | None = None
    below: int | None = None
    at: int | None = None

    def is_there(self, places: Sequence[str]) -> bool:
        """Whether content with clones at `places` may be meant."""
        prisms = {each.partition(":")[0] for each in places}
        return not (self.stores and self.stores.isdisjoint(places)) and not (
            self.prisms and self.prisms.isdisjoint(prisms)
        )

    def is_at(self, place: str) -> bool:
        """Whether a clone there is one that is meant."""
        return self.is_there([place])

    def takes(self, count: int) -> bool:
        """Whether content with so many clones is meant."""
        return (
            (self.above is None or count > self.above)
            and (self.below is None or count < self.below)
            and (self.at is None or count == self.at)
        )


@frozen
class Picking:
    """Reads what is meant, `block` contents at a time."""

    inventory: Inventory
    contents: Contents
    existence: Existence
    clock: IReactorTime
    block: int = BLOCK

    async def pick(self, choice: Choice, named: Named | None = None) -> AsyncGenerator[Block, None]:
        """All that `choice` takes of what is named, or of all there is.

        What is named may be nowhere; it is picked all the same, so that somebody says so.
        """
        async for rows, passed in self._rows(choice, named):
            self.existence.forget_all()  # so that what was remembered does not grow
            found = await self._picked(choice, rows)
            is_named = named is not None
            yield Block([each for each in found if is_named or each.is_anywhere], passed)

    # In pages.

    def _rows(self, choice: Choice, named: Named | None) -> AsyncGenerator[Step, None]:
        if named is not None:
            return self._named(named)
        if len(choice.stores) == 1:
            return self._on(*choice.stores)
        return self._all()

    async def _named(self, named: Named) -> AsyncGenerator[Step, None]:
        count, hashes = 0, named.hashes()
        while some := list(islice(hashes, self.block)):
            count += len(some)
            yield await self._under(some), count / named.total

    async def _on(self, place: str) -> AsyncGenerator[Step, None]:
        after = ""
        while held := await insist(
            lambda: self.inventory.held(place, after=after, limit=self.block),  # noqa: B023 # now
            self.clock,
        ):
            after = held[-1].hash
            yield await self._under([each.hash for each in held]), fraction(after)

    async def _all(self) -> AsyncGenerator[Step, None]:
        start, left = "", dict[str, list[Document]]()
        while True:
            page = await insist(
                lambda: self.inventory.range(start, END, limit=PAGE),  # noqa: B023 # now
                self.clock,
            )
            for each in page:
                left.setdefault(each.id.partition(":")[0], []).append(each)
            is_last = len(page) < PAGE
            if not is_last:
                start = page[-1].id + "\0"
            # Of the last content the next page may have more.
            while len(left) > (0 if is_last else self.block):
                some = {key: left.pop(key) for key in list(islice(left, self.block))}
                yield some, fraction(next(reversed(some)))
            if is_last:
                return

    async def _under(self, hashes: Sequence[str]) -> Rows:
        unique = list(dict.fromkeys(hashes))
        prefixes = [clones_of(each) for each in unique]
        found = await insist(lambda: self.inventory.under(prefixes), self.clock)
        return {each: found[clones_of(each)] for each in unique}

    # What they say.

    async def _picked(self, choice: Choice, rows: Rows) -> Sequence[Picked]:
        wanted = [key for key, found in rows.items() if choice.is_there(places(found))]
        notes = await insist(lambda: self.contents.get_many(wanted), self.clock)
        found = [self._one(each, rows[each], notes[each]) for each in wanted]
        return [
            each
            for each in found
            if choice.is_there(each.places) and choice.takes(len(each.counting))
        ]

    def _one(self, content_hash: str, rows: Sequence[Document], content: Content) -> Picked:
        records, damaged = [], None
        for row in rows:
            try:
                records.append(InventoryRecord.from_document(row))
            except (KeyError, TypeError):
                damaged = row.id
        alive = [each for each in records if not is_buried(content, each.created)]
        return Picked(content_hash, alive, self.existence.counting(alive), content, damaged)


def places(rows: Sequence[Document]) -> Sequence[str]:
    """Where clones are, as the ids of their records say."""
    return [place_of(row.id) for row in rows]


def place_of(record_id: str) -> str:
    """Where a clone is."""
    return record_id.partition(":")[2]


def fraction(content_hash: str) -> float | None:
    """How far a hash is on the way through all there may be: they are evenly spread."""
    try:
        return int(content_hash[:8], 16) / 16**8
    except ValueError:  # of a record that is none
        return None
