"""What happens with bytes that arrive: which stores take them, and how they become content.

    open     choose stores with room, begin to receive
    feed     hash and write as bytes arrive                                (oose.sink)
    settle   known content? too few clones? then: file durable and visible on each store,
             the records of all in one request, the answer

A crash anywhere before the records leaves nothing (`Disk.settle`); an answer means it is all there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from attrs import frozen
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from oose.address import hash_type_of
from oose.errors import ChecksumMismatch, Conflict, DiskFull, OoseError, Unavailable
from oose.existence import Existence
from oose.log import part
from oose.metadata.documents import Documents, Stale, Write
from oose.metadata.records import InventoryRecord
from oose.placement import Candidate, choose
from oose.pool import Pool
from oose.shield import shield
from oose.sink import Copy, Received, Reception, Sink
from oose.together import together

_log = part("upload")


class Keeper(Protocol):
    """A store as a prism sees it: here or, in a cluster, elsewhere."""

    def candidate(self) -> Candidate | None:
        """What placement has to know of it now; None when it takes nothing."""
        ...

    def receive(self) -> Reception:
        """Begin to send it a copy."""
        ...

    async def holds(self, record: InventoryRecord) -> bool:
        """Whether the file that the record tells of is really there, at its size."""
        ...


@frozen
class Kept:
    """What has become of an upload: the content's record, and how many clones there are."""

    record: InventoryRecord
    count: int
    wanted: int


class Uploads:
    """Receives content into `keepers`, by `<prism>:<store>`, until it has `wanted` clones.

    A store receives for itself: with `only`, its place, clones elsewhere are not counted.
    """

    def __init__(
        self,
        keepers: Mapping[str, Keeper],
        inventory: Documents,
        existence: Existence,
        *,
        wanted: int,
        hashing: Pool,
        clock: IReactorTime,
        chance: Callable[[], float],
        only: str | None = None,
    ) -> None:
        self._keepers = keepers
        self._inventory = inventory
        self._existence = existence
        self._wanted = wanted
        self._hashing = hashing
        self._clock = clock
        self._chance = chance
        self._only = only
        self._files = 0
        self._bytes = 0
        self._settling: dict[str, DeferredLock] = {}

    def describe(self) -> Mapping[str, int]:
        """For `/stats`: files and bytes kept since the start."""
        return {"files": self._files, "bytes": self._bytes}

    def check_room(self, size: int | None) -> None:
        """`DiskFull` when no store has room for `size` bytes, `Unavailable` when there is none."""
        self._choose(size)

    def open(self, hash_type: str, size: int | None) -> "Upload":
        """Begin to receive a file of at most `size` bytes; errors as in `check_room`."""
        chosen = self._choose(size)
        copies = [Copy(each.name, self._keepers[each.name].receive()) for each in chosen]
        return Upload(self, hash_type, Sink(copies, (hash_type, "sha256"), self._hashing))

    def _choose(self, size: int | None) -> Sequence[Candidate]:
        candidates = [c for keeper in self._keepers.values() if (c := keeper.candidate())]
        if not candidates:
            raise Unavailable("No store is available", retry_after=30)
        chosen = choose(candidates, self._wanted, size, (), self._chance)
        if not chosen:
            raise DiskFull("No store has room for this")
        return chosen

    async def settle(
        self, sink: Sink, received: Received, content_hash: str, ext: str, mime_type: str
    ) -> Kept:
        """Make what `sink` has received into content, once whoever else brings the same is done."""
        lock = self._settling.setdefault(content_hash, DeferredLock())
        await lock.acquire()
        try:
            kept = await self._keep(sink, received, content_hash, ext, mime_type)
        finally:
            lock.release()
            if not lock.locked:
                self._settling.pop(content_hash, None)
        self._files += 1
        self._bytes += received.size
        return kept

    async def _keep(
        self, sink: Sink, received: Received, content_hash: str, ext: str, mime_type: str
    ) -> Kept:
        known = await self._existence.records(content_hash, fresh=True)
        for record in known:
            refuse_forgery(record, received)
        counted = [record for record in known if self._only in {None, record.place}]
        present = [record for record in counted if await self._is_there(record)]
        missing = self._wanted - len(present)
        now = int(self._clock.seconds() * 1000)
        earlier = [*present, *known]  # the first extension that content came with stays
        if earlier:
            mime_type, ext = earlier[0].mime_type, earlier[0].mime_extension
        new = InventoryRecord(
            hash=content_hash,
            prism="",
            store="",
            mime_type=mime_type,
            mime_extension=ext,
            relative_path="",
            size=received.size,
            created=now,
            sha256=received.digests["sha256"],
            verified=now,
        )
        if missing > 0:
            places = {record.place for record in present}
            copies = [copy for copy in sink.copies if copy.place not in places][:missing]
            if copies or not present:
                present += await self._commit(sink, copies, new)
        return Kept(present[0], len(present), self._wanted)

    async def _is_there(self, record: InventoryRecord) -> bool:
        """Whether to count a clone: a store's word for its own, the registry's for the others."""
        keeper = self._keepers.get(record.place)
        if keeper is not None:
            return await keeper.holds(record)
        return bool(self._existence.counting([record]))

    async def _commit(
        self, sink: Sink, copies: Sequence[Copy], new: InventoryRecord
    ) -> Sequence[InventoryRecord]:
        results = await together(self._commit_one(sink, copy, new) for copy in copies)
        records = [record for record in results if isinstance(record, InventoryRecord)]
        if not records:
            errors = [each for each in results if isinstance(each, OoseError)]
            raise errors[0] if errors else Unavailable("No store could keep it", retry_after=30)
        await self._record(records)
        self._existence.forget(new.hash)
        done = {record.place for record in records}
        for copy in copies:
            if copy.place in done:
                await copy.reception.confirm()
        return records

    async def _commit_one(
        self, sink: Sink, copy: Copy, new: InventoryRecord
    ) -> InventoryRecord | OoseError:
        try:
            path = await sink.commit(copy, new.hash, new.mime_extension)
        except OoseError as error:
            _log.warn("{place} could not keep a file: {error}", place=copy.place, error=error)
            return error
        prism, _, store = copy.place.partition(":")
        return new.on(prism, store, path)

    async def _record(self, records: Sequence[InventoryRecord]) -> None:
        """Write the records, also over those of clones that were lost."""
        pending = {record.id: record for record in records}
        revisions: dict[str, str | None] = dict.fromkeys(pending)
        while pending:
            writes = [Write(key, r.to_body(), revisions[key]) for key, r in pending.items()]
            answers = await self._inventory.put_many(writes)
            stale = [answer.id for answer in answers if isinstance(answer, Stale)]
            pending = {key: pending[key] for key in stale}
            if pending:
                current = await self._inventory.get_many(stale)
                revisions = {key: current[key].rev if key in current else None for key in stale}


class Upload:
    """One file being received: `sink.feed` its bytes, then `settle`; `abandon` in every case."""

    def __init__(self, uploads: Uploads, hash_type: str, sink: Sink) -> None:
        self.hash_type = hash_type
        self.sink = sink
        self._uploads = uploads
        self._settling = False

    async def settle(self, ext: str, mime_type: str, *, expected: str | None = None) -> Kept:
        """The file has ended: keep it. Goes on to its end even where its caller is cancelled.

        `expected` is the hash it came under: `ChecksumMismatch` when it has another. `Conflict`
        when other content is known under the same hash.
        """
        self._settling = True
        return await shield(self._settle(ext, mime_type, expected))

    async def abandon(self) -> None:
        """Withdraw what was received; nothing to do once it settles."""
        if not self._settling:
            await self.sink.abandon()

    async def _settle(self, ext: str, mime_type: str, expected: str | None) -> Kept:
        try:
            received = await self.sink.finish()
            content_hash = received.digests[self.hash_type]
            if expected is not None and content_hash != expected:
                raise ChecksumMismatch(
                    f"The bytes received have the {self.hash_type} {content_hash}, not {expected}"
                )
            return await self._uploads.settle(self.sink, received, content_hash, ext, mime_type)
        finally:
            await self.sink.abandon()


def refuse_forgery(record: InventoryRecord, received: Received) -> None:
    """`Conflict` when the content known under a hash is not what was received under it.

    md5 and sha1 can be forged; sha256 and the size cannot both.
    """
    other = record.sha256 is not None and record.sha256 != received.digests["sha256"]
    if other or record.size != received.size:
        kind = hash_type_of(record.hash)
        raise Conflict(f"Other content is known under the same {kind}; use a stronger hash type")
