"""Doing what one content needs, from what is so now and not from what was found some time ago.

Whatever it is cut short by, what it has done is recorded by then, and the rest is found again.
"""

from collections.abc import Callable, Collection, Sequence

from attrs import frozen

from oose.clones import Clones
from oose.contents import Content
from oose.metadata.records import InventoryRecord
from oose.pace import Pace
from oose.repairing.fleet import Fleet
from oose.repairing.need import Need, need_of
from oose.settings.model import CloneSettings
from oose.tombstones import is_buried

Records = Sequence[InventoryRecord]


@frozen
class Mended:
    """What was done: clones made and removed, the bytes sent, and what is needed now."""

    need: Need
    added: int = 0
    removed: int = 0
    bytes: int = 0


@frozen
class Repair:
    """Mends contents. `pace` is of bytes, `fleet` tells which stores there are."""

    clones: Clones
    fleet: Callable[[], Fleet]
    settings: CloneSettings
    pace: Pace
    now: Callable[[], int]

    async def mend(self, content_hash: str, known_ids: Collection[str] = ()) -> Mended:
        """Do what it needs now, as far as it can be done; an `OoseError` where nothing can."""
        records, content = await self._look(content_hash, known_ids)
        need = self._need(records, content)
        added: Records = ()
        removed: Records = ()
        count = need.missing or int(need.is_shared)
        if count:
            await self.pace.take(need.size * count)
            added = await self.clones.add(content_hash, records, count)
            records = [*records, *added]
            need = self._need(records, content)
        if added and need.kind is not None:
            records, content = await self._look(content_hash, ids(records))
            need = self._need(records, content)
        if need.surplus:
            await self.pace.take(need.size * need.wanted)  # which are read again
            removed = await self.clones.trim(
                content_hash,
                need.wanted,
                off=self._closed(records),
                known_ids=ids(records, added),
            )
            records = [each for each in records if each not in removed]
            need = self._need(records, content)
        if need.has_wrong_note:
            fleet = self.fleet()
            live = [each for each in records if fleet.standing(each.place) == "there"]
            await self.clones.correct(live, need.usual)
            need = self._need(*await self._look(content_hash, ids(records, added)))
        return Mended(need, len(added), len(removed), need.size * len(added))

    async def _look(self, content_hash: str, known_ids: Collection[str]) -> tuple[Records, Content]:
        content = await self.clones.contents.get(content_hash)
        records = await self.clones.look(content_hash, known_ids)
        return [each for each in records if not is_buried(content, each.created)], content

    def _closed(self, records: Records) -> Collection[str]:
        """Stores that take nothing more: somebody may be emptying them."""
        rooms = self.fleet().rooms
        return {each.place for each in records if each.place not in rooms}

    def _need(self, records: Records, content: Content) -> Need:
        return need_of(records, content, self.fleet(), self.settings, self.now())


def ids(*groups: Records) -> Collection[str]:
    """The ids of all of them."""
    return {each.id for group in groups for each in group}
