"""Tombstones: content that was removed stays away, also from a store that was not there.

The removal itself deletes the records of stores that it cannot reach, so nobody is sent there. What
these have on their disks goes to quarantine when they are back: all content notes are looked
through when a disk comes, those that others write as they are written.
"""

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

from oose.burial import Coming
from oose.contents import Content, Contents
from oose.counting import some
from oose.errors import Conflict, OoseError
from oose.holdings import Holdings
from oose.log import part
from oose.loop import Loop
from oose.metadata.documents import Documents
from oose.metadata.records import InventoryRecord, record_id

PAGE = 1000  # content notes in one question
GRACE = 60_000  # ms in which a removal that is under way deletes clones itself
_log = part("store")


def is_buried(content: Content, created_ms: int) -> bool:
    """Whether a clone made at `created_ms` (ms since 1970) is one of those that were removed."""
    return not content.protected and content.removed is not None and created_ms < content.removed


class Tombstones:
    """Honours them on the disk of one store. `now` is ms since 1970."""

    def __init__(
        self,
        holdings: Holdings,
        contents: Contents,
        inventory: Documents,
        now: Callable[[], int],
    ) -> None:
        self.holdings = holdings
        self._contents = contents
        self._inventory = inventory
        self._now = now
        self._clearance = holdings.burial.clearance
        self._told = ""

    def loop(self, clock: IReactorTime, seconds: float) -> Loop:
        """`look` again and again."""
        name = f"Looking for what was removed on {self.holdings.place}"
        return Loop(name, self.look, seconds, clock)

    async def look(self) -> None:
        """One round: do what is due; what goes wrong is tried again in the next."""
        try:
            if self.holdings.volume.usable:
                if not self._clearance.is_given:
                    await self.holdings.volume.let_nginx_send(allowed=False)
                    await self.honour()
                    await self.holdings.volume.let_nginx_send(allowed=self._clearance.is_given)
                await self._look_again()
        except OoseError as error:
            if error.message != self._told:
                place, why = self.holdings.place, error.message
                _log.warn("{place} may have removed content: {why}", place=place, why=why)
            self._told = error.message
        else:
            self._told = ""

    async def honour(self) -> int:
        """Put everything into quarantine that is on the disk and was removed; how many files."""
        stamp, after, count = self._clearance.stamp, "", 0
        while notes := await self._contents.page(after=after, limit=PAGE):
            count += await self._honour(notes)
            after = notes[-1].hash
        self._clearance.give(stamp)
        if count:
            what = some(count, "file")
            _log.info("{place} had {what} of removed content", place=self.holdings.place, what=what)
        return count

    async def changed(self, hashes: Sequence[str]) -> None:
        """Somebody has written notes on this content: look at what was removed, in a while."""
        notes = await self._contents.get_many(hashes)
        self._clearance.leave([each.hash for each in notes.values() if each.removed is not None])

    def missed(self) -> None:
        """Somebody may have written notes on any content."""
        self._clearance.take_back()

    async def _look_again(self) -> None:
        left = self._clearance.left
        hashes = sorted(left)[:PAGE]
        notes = await self._contents.get_many(hashes)
        due = [each for each in notes.values() if not self._is_recent(each)]
        left.difference_update(each.hash for each in due)
        try:
            await self._honour(due)
        except OoseError:
            self._clearance.leave([each.hash for each in due])
            raise

    def _is_recent(self, content: Content) -> bool:
        return content.removed is not None and self._now() < content.removed + GRACE

    async def _honour(self, notes: Sequence[Content]) -> int:
        buried = {each.hash: each for each in notes if is_buried(each, 0)}
        if not buried:
            return 0
        prism, store = self.holdings.prism, self.holdings.store
        records = await self._inventory.get_many([record_id(h, prism, store) for h in buried])
        created = {
            each.hash: each.created for each in map(InventoryRecord.from_document, records.values())
        }
        files = await self.holdings.volume.find_each(list(buried))
        # A record out of a backup may tell of an older clone than the one that is there.
        made = created | {
            each: max(file.modified, created.get(each, 0)) for each, file in files.items()
        }
        count = 0
        for content_hash, when in made.items():
            if is_buried(buried[content_hash], when):
                count += await self._bury(content_hash)
        return count

    async def _bury(self, content_hash: str) -> int:
        content = await self._contents.get(content_hash)  # it may have been uploaded meanwhile
        if content.removed is None or content.protected:
            return 0
        try:
            return await self.holdings.burial.set_aside(content_hash, content.removed)
        except (Conflict, Coming):  # what is coming is looked at again
            return 0
