"""Protected content: what no tool removes a clone of."""

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from oose.contents import Content, Contents
from oose.errors import NotFound
from oose.existence import Existence
from oose.metadata.records import InventoryRecord
from oose.tombstones import is_buried

PAGE = 1000  # content notes in one question
PAGES = 20  # questions for one answer


@frozen
class Protected:
    """Some of what is protected, in hash order; `after` is where to go on, None at the end."""

    hashes: Sequence[str]
    after: str | None


@frozen
class Protection:
    """Protects content that there is, and ends that."""

    contents: Contents
    existence: Existence

    async def protect(self, hashes: Sequence[str]) -> Mapping[str, Content]:
        """From now on no tool removes any of it; `NotFound`, then none is."""
        found = await self.existence.records_of(hashes, fresh=True)
        notes = await self.contents.get_many(hashes)
        for each in hashes:
            protected(notes[each], found[each])
        return await self.contents.change_many(
            hashes, lambda known: protected(known, found[known.hash])
        )

    async def release(self, hashes: Sequence[str]) -> Mapping[str, Content]:
        """It may be removed again."""
        return await self.contents.change_many(hashes, lambda known: evolve(known, protected=False))

    async def page(self, after: str = "") -> Protected:
        """What is protected behind the hash `after`, as much as is found in a moment."""
        hashes: list[str] = []
        for _ in range(PAGES):
            notes = await self.contents.page(after=after, limit=PAGE)
            hashes += [each.hash for each in notes if each.protected]
            if len(notes) < PAGE:
                return Protected(hashes, None)
            after = notes[-1].hash
            if len(hashes) >= PAGE:
                break
        return Protected(hashes, after)


def protected(content: Content, records: Sequence[InventoryRecord]) -> Content:
    """The same, protected; `NotFound` where there is no clone but those that were removed."""
    if not content.protected and all(is_buried(content, each.created) for each in records):
        raise NotFound(f"{content.hash} was not found")
    return evolve(content, protected=True)
