"""The clones that one store holds: the files on its disk and their inventory records together."""

from collections.abc import Callable

from oose.burial import Burial, coming, not_here
from oose.counting import some
from oose.disk import Found
from oose.errors import Conflict, NotFound, Unavailable
from oose.existence import Existence
from oose.keepers import Status
from oose.locks import InUse
from oose.log import part
from oose.media_types import media_type_of
from oose.metadata.documents import Documents, Stale
from oose.metadata.records import InventoryRecord, record_id
from oose.placement import Candidate
from oose.receiving import Reception
from oose.registry import Registry
from oose.verifying.verifier import Verifier
from oose.volume import OpenFile, Volume

_log = part("store")


class Holdings:
    """A store's clones; `place` is `<prism>:<store>`."""

    def __init__(
        self,
        place: str,
        volume: Volume,
        inventory: Documents,
        existence: Existence,
        registry: Registry,
        now: Callable[[], int],
    ) -> None:
        self.place = place
        self.prism, _, self.store = place.partition(":")
        self.volume = volume
        self._inventory = inventory
        self._existence = existence
        self._registry = registry
        self._now = now
        self.verifier = Verifier(place, volume, inventory, existence, now)
        self.burial = Burial(place, volume, self.record, self._forget, now)

    # Start.

    async def enroll(self) -> None:
        """Take the disk into use, and undo what a crash cut short; nothing when it is not ours.

        `InUse` when another process has it.
        """
        peer = self._registry.store(self.place)
        known = peer.identity if peer is not None else None
        may_create = known is None and not await self._has_records()
        left = await self.volume.enroll(known, may_create=may_create)
        ids = [record_id(i.hash, self.prism, self.store) for i in left if i.hash is not None]
        recorded = await self._inventory.get_many(ids) if ids else {}
        places = {each.body["hash"]: each.body["relativePath"] for each in recorded.values()}
        for intent in left:  # one of another extension may not have got so far as its record
            is_recorded = intent.place is not None and places.get(intent.hash) == intent.place
            await self.volume.settle(intent, recorded=is_recorded)
        if left:
            what = some(len(left), "unfinished upload")
            _log.info("{what} cleared from {place}", what=what, place=self.place)

    async def look(self) -> None:
        """Look whether the disk is there; one that was not there at the start may have come."""
        if self.volume.identity is None:
            try:
                await self.enroll()
            except InUse as error:
                _log.error("{why}: {place} is unavailable", why=error, place=self.place)
        else:
            await self.volume.refresh()

    async def _has_records(self) -> bool:
        """Whether the inventory knows of any clone here; asked once in a disk's life."""
        start, page = "", 1000
        while True:
            rows = await self._inventory.range(start, "\uffff", limit=page)
            if any(row.id.endswith(f":{self.place}") for row in rows):
                return True
            if len(rows) < page:
                return False
            start = rows[-1].id + "\0"

    # For placement and uploads: a `Keeper`.

    def candidate(self) -> Candidate | None:
        """What placement has to know of this store now; None when it takes nothing."""
        peer = self._registry.serving(self.place)
        if peer is None or not peer.writable or not self.volume.usable:
            return None
        return Candidate(
            name=self.place,
            machine=peer.machine,
            group=peer.group,
            free=self.volume.space.free,
            capacity=self.volume.space.capacity,
            min_free=self.volume.disk.min_free,
            load=self.volume.writing,
            writable=True,
        )

    def receive(self) -> Reception:
        """Begin to receive a file."""
        return self.volume.receive()

    async def holds(self, record: InventoryRecord) -> bool:
        """Whether the file of a record is on the disk, at its size."""
        found = await self.volume.look_at(record.relative_path)
        return found is not None and found.size == record.size

    # For readers.

    async def open(self, record: InventoryRecord) -> OpenFile:
        """Open the file of a record, also where it lies in another layout than the record says."""
        try:
            return await self.volume.open(record.relative_path)
        except NotFound:
            return await self.volume.open((await self.found(record.hash)).relative_path)

    async def found(self, content_hash: str) -> Found:
        """The file of a hash, of several the one that is recorded; `NotFound`."""
        files = await self.volume.find_all(content_hash)
        if not files:
            raise not_here(content_hash)
        if len(files) > 1:
            record = await self.record(content_hash)
            known = record.relative_path if record is not None else None
            files = [each for each in files if each.relative_path == known] or files
        return files[0]

    async def record(self, content_hash: str) -> InventoryRecord | None:
        """The inventory's record of this store's clone."""
        document = await self._inventory.get(record_id(content_hash, self.prism, self.store))
        return InventoryRecord.from_document(document) if document is not None else None

    async def own_record(self, content_hash: str) -> InventoryRecord | None:
        """The same from the cache of all clones, for deliveries.

        While the inventory does not answer the disk's word is enough, if all is off the disk that
        was removed.
        """
        if not self.burial.clearance.is_given:
            records = await self._existence.records(content_hash)
            return next((record for record in records if record.place == self.place), None)
        try:
            records = await self._existence.last_known(content_hash)
        except Unavailable:
            found = await self.volume.find(content_hash)
            if found is None:
                raise
            return self._as_found(content_hash, found)
        return next((record for record in records if record.place == self.place), None)

    def _as_found(self, content_hash: str, found: Found) -> InventoryRecord:
        return InventoryRecord(
            hash=content_hash,
            prism=self.prism,
            store=self.store,
            mime_type=media_type_of(found.ext),
            mime_extension=found.ext,
            relative_path=found.relative_path,
            size=found.size,
            created=0,
        )

    # Verification and removal.

    async def verify(self, content_hash: str) -> Status:
        """Read the file again: see `Verifier.verify`."""
        return await self.verifier.verify(content_hash)

    async def remove(
        self, content_hash: str, *, before: int | None = None, until: int | None = None
    ) -> None:
        """Delete the clone: record first, so that nothing is listed that is gone; `NotFound`.

        With `before` (ms) only one that is older, as the content was removed then: see `Burial`.
        With `until` (ms) the record, and so the clone, goes only before then: `Conflict`. A process
        that stood still may come to it when others count on the clone by now. While the same is
        being uploaded to this store it stays: `Coming`, or without `before` `Conflict`.
        """
        self._check_in_time(content_hash, until)
        if before is not None:
            await self.burial.delete(content_hash, before)
        else:
            async with self.volume.passage.going(content_hash):
                if self.volume.passage.is_coming(content_hash):
                    raise Conflict(coming(content_hash, self.place).message)
                found = await self.volume.find(content_hash)
                await self._forget(content_hash, until)  # also where only a record was left
                if found is None:
                    raise not_here(content_hash)
                await self.volume.remove(found.relative_path)
        _log.debug("{hash} is removed from {place}", hash=content_hash, place=self.place)

    def _check_in_time(self, content_hash: str, until: int | None) -> None:
        if until is not None and self._now() >= until:
            raise Conflict(f"{content_hash} was to be removed before now; it stays")

    async def _forget(self, content_hash: str, until: int | None = None) -> None:
        while True:
            document = await self._inventory.get(record_id(content_hash, self.prism, self.store))
            self._check_in_time(content_hash, until)
            if document is None:
                break
            if not isinstance(await self._inventory.delete(document.id, document.rev), Stale):
                break
        self._existence.forget(content_hash)
