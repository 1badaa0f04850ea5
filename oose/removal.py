"""Removing content: all of its clones, wherever they are, and what was sold of it.

First a tombstone says that it is removed, so that whatever cuts in, the rest follows: a second
removal, the sweeps and the stores that come back finish it. Then each store that can be reached
deletes its clone, and the records of the others go: nobody is sent to them any more, and they put
the clone into quarantine when they are back (`oose.tombstones`).

What is uploaded meanwhile stays: only what is older than the tombstone goes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

from attrs import evolve, frozen
from twisted.internet.defer import DeferredSemaphore

from oose.contents import Content, Contents
from oose.counting import some
from oose.errors import Conflict, NotAllowed, NotFound, OoseError, Unavailable
from oose.existence import Existence
from oose.keepers import Keepers
from oose.log import part
from oose.metadata.documents import Documents, Stale, Write
from oose.metadata.records import InventoryRecord
from oose.shield import shield
from oose.together import together
from oose.tombstones import is_buried

AT_ONCE = 8  # contents, and stores for each
MANY = 1000  # contents in one request
SHOWN = 10  # hashes in a message
_log = part("clones")

Records = Sequence[InventoryRecord]
Outcome = Literal["removed", "missing", "newer", "away"]


@frozen
class Removed:
    """What has become of the clones of `hash`: `removed` are gone.

    Those at the places `waiting` go when their stores can be reached. `purchases` have ended, None
    where they were not counted by content.
    """

    hash: str
    removed: int
    waiting: Sequence[str]
    purchases: int | None = None


class Purchases(Protocol):
    """What was sold."""

    async def end_of(self, *hashes: str) -> int:
        """End all purchases of this content; how many."""
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

    async def remove(self, content_hash: str) -> Removed:
        """Remove all clones; goes on to its end even where its caller is cancelled.

        `NotAllowed` while it is protected, `NotFound` where there never was any. `Unavailable` when
        a database went away in the middle: then it is to be removed again.
        """
        return (await self.remove_all([content_hash]))[content_hash]

    async def remove_all(self, hashes: Sequence[str]) -> Mapping[str, Removed]:
        """The same of several: none goes where one is protected or not there."""
        found = await self._check(hashes)
        return await shield(self._remove_all(found))

    async def foresee(self, hashes: Sequence[str]) -> Mapping[str, Removed]:
        """What `remove_all` would come to now; errors as there."""
        found = await self._check(hashes)
        return {each: self._foreseen(each, records) for each, records in found.items()}

    async def _check(self, hashes: Sequence[str]) -> Mapping[str, Records]:
        notes = await self.contents.get_many(hashes)
        for each in notes.values():
            refuse_protected(each)
        found = await self.existence.records_of(hashes, fresh=True)
        missing = [each for each in hashes if not found[each] and notes[each].removed is None]
        if missing:
            raise NotFound(f"{', '.join(missing[:SHOWN])} was not found")
        return found

    def _foreseen(self, content_hash: str, records: Records) -> Removed:
        waiting = [each.place for each in records if self.keepers.get(each.place) is None]
        return Removed(content_hash, len(records) - len(waiting), sorted(waiting))

    async def _remove_all(self, found: Mapping[str, Records]) -> Mapping[str, Removed]:
        done: dict[str, Removed] = {}
        hashes, ended = list(found), 0
        for start in range(0, len(hashes), MANY):
            many = hashes[start : start + MANY]
            notes = await self._entomb({each: found[each] for each in many})
            with to_be_repeated(many):
                done |= await self._clear_all(notes)
                ended += await self.purchases.end_of(*many)
        if len(done) == 1:
            done = {key: evolve(each, purchases=ended) for key, each in done.items()}
        return done

    async def _entomb(self, found: Mapping[str, Records]) -> Mapping[str, Content]:
        now = self.now()
        # A clock that is ahead may have dated what is there already.
        times = {
            content_hash: max([now, *(each.created + 1 for each in records)])
            for content_hash, records in found.items()
        }
        return await self.contents.change_many(
            list(found), lambda known: entombed(known, times[known.hash])
        )

    async def _clear_all(self, notes: Mapping[str, Content]) -> Mapping[str, Removed]:
        found = await self.existence.records_of(list(notes), fresh=True)
        turns = DeferredSemaphore(AT_ONCE)

        async def clear(content: Content) -> Removed:
            await turns.acquire()
            try:
                return await self._clear(content, found[content.hash])
            finally:
                turns.release()

        return {each.hash: each for each in await together(map(clear, notes.values()))}

    async def _clear(self, content: Content, found: Records) -> Removed:
        """Round by round: an upload that had begun before may write its records late."""
        gone, waiting = 0, set[str]()
        asked: set[str] = set()
        while old := [x for x in found if is_buried(content, x.created) and x.place not in asked]:
            asked |= {each.place for each in old}
            for start in range(0, len(old), AT_ONCE):
                few = old[start : start + AT_ONCE]
                outcomes = await together(self._remove_clone(each, content) for each in few)
                gone += outcomes.count("removed")
                away = [each for each, how in zip(few, outcomes, strict=True) if how == "away"]
                await self._forget([each.id for each in away], content)
                waiting |= {each.place for each in away}
            found = await self.existence.records(content.hash, fresh=True)
        self.existence.forget(content.hash)
        _log.info(
            "{hash} is removed: {clones}; still to go: {waiting}",
            hash=content.hash,
            clones=some(gone, "clone"),
            waiting=" ".join(sorted(waiting)) or "none",
        )
        return Removed(content.hash, gone, sorted(waiting))

    async def _remove_clone(self, record: InventoryRecord, content: Content) -> Outcome:
        keeper = self.keepers.get(record.place)
        if keeper is None:
            return "away"
        try:
            await keeper.remove(record.hash, before=content.removed)
        except NotFound:
            return "missing"
        except Conflict:
            return "newer"
        except OoseError as error:
            _log.warn("{id} is still to be removed: {why}", id=record.id, why=error)
            return "away"
        return "removed"

    async def _forget(self, ids: Sequence[str], content: Content) -> None:
        """Delete the records of those that are away, as long as they are from before."""
        while ids:
            known = await self.inventory.get_many(ids)
            old = [each for each in known.values() if is_buried(content, each.body["createdAt"])]
            writes = [Write(each.id, None, each.rev) for each in old]
            answers = await self.inventory.put_many(writes) if writes else ()
            ids = [answer.id for answer in answers if isinstance(answer, Stale)]


@contextmanager
def to_be_repeated(hashes: Sequence[str]) -> Iterator[None]:
    """What goes wrong within is not the end of the removal: `Unavailable` that says so."""
    try:
        yield
    except OoseError as error:
        shown = ", ".join(hashes[:SHOWN])
        raise Unavailable(
            f"What was removed ({shown}) stays so, but not all is done: remove it again."
            f" {error.message}",
            retry_after=error.retry_after,
        ) from error


def entombed(content: Content, removed: int) -> Content:
    """The same with a tombstone of the time `removed` (ms), or a later one; `NotAllowed`.

    What is uploaded from then on is new content: how many clones were wished of the old one, and
    how often it was asked for, says nothing of that.
    """
    refuse_protected(content)
    return Content(content.hash, removed=max(removed, content.removed or 0), others=content.others)


def refuse_protected(content: Content) -> None:
    """`NotAllowed` where no tool may remove a clone."""
    if content.protected:
        raise NotAllowed(
            f"{content.hash} is protected: `oose protect --no {content.hash}` lets it be removed"
        )
