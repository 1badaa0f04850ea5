"""Removing content: all of its clones, wherever they are, and what was sold of it.

First a tombstone says that it is removed, so that whatever cuts in, the rest follows: a second
removal, the sweeps and the stores that come back finish it. Then each store that can be reached
deletes its clone, and the records of the others go: nobody is sent to them any more, and they put
the clone into quarantine when they are back (`oose.tombstones`).

What is uploaded meanwhile stays: only what is older than the tombstone goes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from attrs import evolve, field, frozen
from twisted.internet.defer import DeferredSemaphore

from oose.contents import Content, Contents
from oose.errors import Conflict, NotAllowed, NotFound, OoseError, Unavailable
from oose.existence import Existence
from oose.keepers import Keepers
from oose.log import part
from oose.metadata.documents import Documents, Stale, Write
from oose.metadata.records import InventoryRecord
from oose.shield import shield
from oose.together import together

AT_ONCE = 8  # contents, and stores for each
_log = part("clones")

Records = Sequence[InventoryRecord]
Outcome = Literal["removed", "missing", "newer", "away"]


@frozen
class Removed:
    """What has become of the clones of `hash`: `removed` are gone.

    Those at the places `waiting` go when their stores can be reached. `purchases` have ended.
    """

    hash: str
    removed: int
    waiting: Sequence[str]
    purchases: int


class Purchases(Protocol):
    """What was sold."""

    async def end_of(self, content_hash: str) -> int:
        """End all purchases of a content; how many."""
        ...


@frozen
class Removal:
    """Removes content; `now` is ms since 1970."""

    contents: Contents
    inventory: Documents
    existence: Existence
    keepers: Keepers
    purchases: Purchases
    now: Callable[[], int]
    _turns: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(AT_ONCE), init=False)

    async def remove(self, content_hash: str) -> Removed:
        """Remove all clones; goes on to its end even where its caller is cancelled.

        `NotAllowed` while it is protected, `NotFound` where there never was any. `Unavailable` when
        a database went away in the middle: then it is to be removed again.
        """
        return (await self.remove_all([content_hash]))[content_hash]

    async def remove_all(self, hashes: Sequence[str]) -> Mapping[str, Removed]:
        """The same of several: none goes where one is protected or not there."""
        await self._check(hashes)
        done = await together(shield(self._in_turn(each)) for each in hashes)
        return {each.hash: each for each in done}

    async def foresee(self, hashes: Sequence[str]) -> Mapping[str, Removed]:
        """What `remove_all` would come to now, without purchases; errors as there."""
        found = await self._check(hashes)
        return {each: self._foreseen(each, records) for each, records in found.items()}

    async def _check(self, hashes: Sequence[str]) -> Mapping[str, Records]:
        notes = await self.contents.get_many(hashes)
        for each in notes.values():
            refuse_protected(each)
        found = await self.existence.records_of(hashes, fresh=True)
        missing = [each for each in hashes if not found[each] and notes[each].removed is None]
        if missing:
            raise NotFound(f"{', '.join(missing[:10])} was not found")
        return found

    def _foreseen(self, content_hash: str, records: Records) -> Removed:
        waiting = [each.place for each in records if self.keepers.get(each.place) is None]
        return Removed(content_hash, len(records) - len(waiting), sorted(waiting), 0)

    async def _in_turn(self, content_hash: str) -> Removed:
        await self._turns.acquire()
        try:
            return await self._remove(content_hash)
        finally:
            self._turns.release()

    async def _remove(self, content_hash: str) -> Removed:
        records = await self.existence.records(content_hash, fresh=True)
        # A clock that is ahead may have dated what is there already.
        newest = max((each.created + 1 for each in records), default=0)
        removed = max(self.now(), newest)
        content = await self.contents.change(content_hash, lambda known: entombed(known, removed))
        try:
            done = await self._clear(content_hash, content.removed or removed)
            self.existence.forget(content_hash)
            done = evolve(done, purchases=await self.purchases.end_of(content_hash))
        except OoseError as error:
            raise Unavailable(
                f"{content_hash} is marked as removed, but not all was done; remove it again:"
                f" {error.message}",
                retry_after=error.retry_after,
            ) from error
        _log.info(
            "{hash} is removed: {n} clones, {p} purchases; still to come: {waiting}",
            hash=content_hash,
            n=done.removed,
            p=done.purchases,
            waiting=" ".join(done.waiting) or "none",
        )
        return done

    async def _clear(self, content_hash: str, removed: int) -> Removed:
        """Round by round: an upload that had begun before may write its records late."""
        gone, waiting = 0, set[str]()
        asked: set[str] = set()
        while True:
            found = await self.existence.records(content_hash, fresh=True)
            old = [each for each in found if each.created < removed and each.place not in asked]
            if not old:
                return Removed(content_hash, gone, sorted(waiting), 0)
            asked |= {each.place for each in old}
            for start in range(0, len(old), AT_ONCE):
                some = old[start : start + AT_ONCE]
                outcomes = await together(self._remove_clone(each, removed) for each in some)
                gone += outcomes.count("removed")
                away = [each for each, how in zip(some, outcomes, strict=True) if how == "away"]
                await self._forget([each.id for each in away], removed)
                waiting |= {each.place for each in away}

    async def _remove_clone(self, record: InventoryRecord, removed: int) -> Outcome:
        keeper = self.keepers.get(record.place)
        if keeper is None:
            return "away"
        try:
            await keeper.remove(record.hash, before=removed)
        except NotFound:
            return "missing"
        except Conflict:
            return "newer"
        except OoseError as error:
            _log.warn("{id} is still to be removed: {why}", id=record.id, why=error)
            return "away"
        return "removed"

    async def _forget(self, ids: Sequence[str], removed: int) -> None:
        """Delete the records of those that are away, as long as they are from before."""
        while ids:
            known = await self.inventory.get_many(ids)
            old = [each for each in known.values() if each.body["createdAt"] < removed]
            writes = [Write(each.id, None, each.rev) for each in old]
            answers = await self.inventory.put_many(writes) if writes else ()
            ids = [answer.id for answer in answers if isinstance(answer, Stale)]


def entombed(content: Content, removed: int) -> Content:
    """The same with a tombstone of the time `removed` (ms), or a later one; `NotAllowed`."""
    refuse_protected(content)
    return evolve(content, removed=max(removed, content.removed or 0))


def refuse_protected(content: Content) -> None:
    """`NotAllowed` where no tool may remove a clone."""
    if content.protected:
        raise NotAllowed(
            f"{content.hash} is protected: `oose protect --no {content.hash}` lets it be removed"
        )
