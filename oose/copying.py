"""Making more clones of one content: to which stores, from which clones, and what if one fails.

A clone is read and hashed again before it is sent, unless that was just now: a corrupt one goes to
quarantine by that, and the next is taken.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from attrs import define, field
from twisted.internet.defer import DeferredLock

from oose.cloning import Sender, no_room
from oose.errors import ChecksumMismatch, DiskFull, NotFound, OoseError, Unavailable
from oose.existence import Existence
from oose.keepers import Keepers
from oose.log import part
from oose.metadata.documents import Documents
from oose.metadata.records import InventoryRecord, record_id
from oose.placement import Candidate, choose
from oose.registry import Registry
from oose.together import together

_log = part("clones")

Records = Sequence[InventoryRecord]


@define(eq=False)
class Copying:
    """Makes clones of what `records` tell of.

    Stores in `avoid` get none, and their clones do not count for where others go. `sending` is how
    many clones each store sends now, of whatever content. `is_recent` tells whose bytes were hashed
    just now.
    """

    content_hash: str
    records: list[InventoryRecord]
    avoid: Collection[str]
    keepers: Keepers
    sender: Sender
    registry: Registry
    inventory: Documents
    existence: Existence
    sending: Counter[str]
    is_recent: Callable[[InventoryRecord], bool]
    chance: Callable[[], float]
    _made: list[InventoryRecord] = field(factory=list, init=False)
    _errors: list[OoseError] = field(factory=list, init=False)
    _tried: set[str] = field(factory=set, init=False)  # as targets
    _whole: set[str] = field(factory=set, init=False)  # places whose clone was read again
    _unreadable: set[str] = field(factory=set, init=False)  # and where it could not be
    _picking: DeferredLock = field(factory=DeferredLock, init=False)

    async def add(self, count: int) -> Records:
        """Make `count` where placement says, or as many as can be; the records of those made.

        Where none can be made the reason is raised.
        """
        while (missing := count - len(self._made)) > 0:
            chosen = self._choose(missing)
            if not chosen:
                break
            self._tried.update(chosen)
            await together(self._make(place) for place in chosen)
        return self._result() if count > 0 else ()

    async def add_to(self, place: str) -> Records:
        """Make one on the store `place`, the same way; none where it has one already."""
        if place in self._holding():
            return ()
        candidate = next((each for each in self._taking() if each.name == place), None)
        if candidate is None:
            raise Unavailable(f"The store {place} takes nothing now", retry_after=30)
        if not candidate.has_room(self._size):
            raise DiskFull(f"The store {place} has no room for this")
        await self._make(place)
        return self._result()

    def _result(self) -> Records:
        if self._made:
            return self._made
        raise self._errors[0] if self._errors else self._no_target()

    # Where to.

    @property
    def _size(self) -> int | None:
        return self.records[0].size if self.records else None

    def _holding(self) -> set[str]:
        known = [*self.records, *self._made]
        return {each.place for each in known if each.place not in self.avoid}

    def _taking(self) -> Sequence[Candidate]:
        candidates = [c for each in self.keepers.all() if (c := each.candidate()) is not None]
        return [each for each in candidates if each.name not in self.avoid]

    def _candidates(self) -> Sequence[Candidate]:
        """Stores that take something, and those that have it: their machines count too."""
        known = {each.name: each for each in self._taking()}
        for place in self._holding() - known.keys():
            peer = self.registry.serving(place)
            if peer is not None:
                known[place] = Candidate(place, peer.machine, peer.group, 0, 0, 0, 0, False)
        return list(known.values())

    def _choose(self, count: int) -> Sequence[str]:
        found = self._candidates()
        among = {each.name for each in found} - self._tried
        chosen = choose(found, count, self._size, self._holding(), self.chance, among)
        return [each.name for each in chosen]

    def _no_target(self) -> OoseError:
        others = [each for each in self._taking() if each.name not in self._holding()]
        if others and not any(each.has_room(self._size) for each in others):
            return no_room()
        return Unavailable("No other store can take a clone", retry_after=30)

    # From where.

    async def _make(self, place: str) -> None:
        sources: set[str] = set()
        while (source := await self._pick(sources)) is not None:
            sources.add(source.place)
            error = await self._send(source, place)
            if error is None:
                return
            self._errors.append(error)
            _log.warn("{place} could not be sent a clone: {why}", place=place, why=error)
            if isinstance(error, DiskFull):  # whoever sends it
                return
        if not self._errors:
            self._errors.append(NotFound(f"No clone of {self.content_hash} can be read now"))

    async def _pick(self, tried: Collection[str]) -> InventoryRecord | None:
        """A clone that is whole, on the store that sends least; None where there is none left."""
        await self._picking.acquire()
        try:
            while left := self._left(tried):
                source = min(left, key=self._reluctance)
                if await self._is_whole(source):
                    self.sending[source.place] += 1
                    return source
            return None
        finally:
            self._picking.release()

    def _left(self, tried: Collection[str]) -> Records:
        out = self._unreadable.union(tried)
        known = self.existence.counting([*self.records, *self._made])
        return [each for each in known if each.place not in out]

    def _reluctance(self, record: InventoryRecord) -> tuple[bool, int, float]:
        """A clone that is to stay is better read again than one that is to go."""
        return record.place in self.avoid, self.sending[record.place], self.chance()

    async def _is_whole(self, record: InventoryRecord) -> bool:
        place = record.place
        if place in self._whole or self.is_recent(record):
            return True
        keeper = self.keepers.get(place)
        if keeper is None:
            self._unreadable.add(place)
            return False
        try:
            status = await keeper.verify(self.content_hash)
        except OoseError as error:
            _log.warn("{place} could not verify a clone: {why}", place=place, why=error)
            self._errors.append(error)
            self._unreadable.add(place)
            return False
        if status == "ok":
            self._whole.add(place)
            return True
        self._drop(place)
        return False

    def _drop(self, place: str) -> None:
        """Its clone is none any more."""
        self._whole.discard(place)
        self.records = [each for each in self.records if each.place != place]

    async def _send(self, source: InventoryRecord, place: str) -> OoseError | None:
        """Have it sent; what went wrong."""
        try:
            record = await self.sender.send(source, place)
            self._made.append(record or await self._recorded(place))
        except ChecksumMismatch as error:  # who sent it has looked by now what it has
            self._drop(source.place)
            return error
        except OoseError as error:
            return error
        finally:
            self.sending[source.place] -= 1
        return None

    async def _recorded(self, place: str) -> InventoryRecord:
        key = record_id(self.content_hash, *place.split(":", 1))
        document = (await self.inventory.get_many([key])).get(key)
        if document is None:
            raise Unavailable(f"{place} was sent a clone and has no record of it")
        return InventoryRecord.from_document(document)
