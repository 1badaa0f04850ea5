"""Clones of content that was removed: taken off a store's disk when they are from before that."""

import json
from collections.abc import Awaitable, Callable

from oose.clearance import Clearance
from oose.disk import Found
from oose.errors import Conflict, NotFound, Unavailable
from oose.log import part
from oose.metadata.records import InventoryRecord
from oose.volume import Volume

_log = part("store")
Take = Callable[[Found], Awaitable[None]]


class Coming(Unavailable):
    """The same content is being uploaded to the store."""


class Burial:
    """Of the store at `place`. `record` reads its record of a hash, `forget` deletes that.

    How old a clone is its record says, or where there is none its file. What came since is left
    alone: `Conflict`. What could not be taken is noted in `clearance`.
    """

    def __init__(
        self,
        place: str,
        volume: Volume,
        record: Callable[[str], Awaitable[InventoryRecord | None]],
        forget: Callable[[str], Awaitable[None]],
        now: Callable[[], int],
    ) -> None:
        self.clearance = Clearance(volume)
        self._place = place
        self._volume = volume
        self._record = record
        self._forget = forget
        self._now = now

    async def delete(self, content_hash: str, removed: int) -> None:
        """Delete the clone of content that was removed at `removed` (ms); `NotFound`.

        `Coming` while the same is being uploaded to this store.
        """

        async def delete(found: Found) -> None:
            await self._volume.remove(found.relative_path)

        if not await self._take(content_hash, removed, delete):
            raise not_here(content_hash)

    async def set_aside(self, content_hash: str, removed: int) -> int:
        """The same into quarantine; how many files that were."""

        async def set_aside(found: Found) -> None:
            why = {
                "hash": content_hash,
                "removed": removed,
                "size": found.size,
                "path": found.relative_path,
                "at": self._now(),
            }
            await self._volume.set_aside(found.relative_path, content_hash, json.dumps(why))

        count = await self._take(content_hash, removed, set_aside)
        if count:
            _log.info(
                "{hash} was removed: what {place} had of it is in quarantine",
                hash=content_hash,
                place=self._place,
            )
        return count

    async def _take(self, content_hash: str, removed: int, take: Take) -> int:
        try:
            async with self._volume.passage.going(content_hash):
                return await self._take_old(content_hash, removed, take)
        except Conflict:
            raise
        except Exception:  # the disk or the inventory is away, or nobody waits for it any more
            self.clearance.leave([content_hash])
            raise

    async def _take_old(self, content_hash: str, removed: int, take: Take) -> int:
        is_coming = self._volume.passage.is_coming(content_hash)
        record = await self._record(content_hash)
        if record is not None and record.created >= removed:
            raise newer(content_hash)
        if is_coming:
            raise coming(content_hash, self._place)
        count = 0
        while (found := await self._volume.find(content_hash)) is not None:
            if record is None and found.modified >= removed:
                raise newer(content_hash)
            # The file first: where a crash cuts in, the record still says how old it was.
            await take(found)
            count += 1
        await self._forget(content_hash)
        return count


def not_here(content_hash: str) -> NotFound:
    """What asks for a clone that is not on this store's disk is told."""
    return NotFound(f"{content_hash} was not found on this store")


def coming(content_hash: str, place: str) -> Coming:
    """The clone at `place` is to be removed while the same is being uploaded there."""
    return Coming(f"{content_hash} is being uploaded to {place} just now")


def newer(content_hash: str) -> Conflict:
    """What is to be removed was uploaded again since."""
    return Conflict(f"{content_hash} has come to this store since it was removed")
