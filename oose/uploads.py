"""What happens with bytes that arrive: which stores take them, and how they become content.

    open     choose stores with room, begin to receive
    feed     hash and write as bytes arrive                                (oose.sink)
    settle   small, and for one disk here? kept at once, unless it is known     (oose.newcomers)
             known content? too few clones? then: file durable and visible on each store,
             the records of all in one request (oose.cloning), the answer

A crash anywhere before the records leaves nothing (`Disk.settle`); an answer means it is all there.

Clones from before content was removed are on their way out, and count for nothing. What comes is
newer than the removal, whatever the clocks say; but a copy of a clone is as old as that, or content
that is removed while it is copied would be back.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from attrs import evolve, frozen
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from oose.address import hash_type_of, relative_path
from oose.cloning import Cloning, Sender, split_place
from oose.contents import Content, Contents, unburied
from oose.errors import ChecksumMismatch, Conflict, NotFound, OoseError
from oose.existence import Existence
from oose.keepers import Keepers, LocalKeeper, LocalKeepers
from oose.log import part
from oose.metadata.documents import Documents
from oose.metadata.records import InventoryRecord
from oose.newcomers import Newcomers
from oose.pool import Pool
from oose.shield import shield
from oose.sink import Copy, Received, Sink
from oose.surplus import Surplus
from oose.together import both, together
from oose.tombstones import is_buried

_log = part("upload")


@frozen
class Kept:
    """What has become of an upload: the content's record, and how many clones there are."""

    record: InventoryRecord
    count: int
    wanted: int


class Uploads:
    """Receives content into `keepers`, by `<prism>:<store>`, until it has `wanted` clones.

    A store receives for itself: with `only`, its place, clones elsewhere are not counted. The rest
    is for a cluster: `sender` and `accept_fewer` as in `Cloning`; `surplus` where others may be
    uploading the same. `newcomers` where there is no cluster. `ready` raises where what is
    received could not be recorded, as it is known.
    """

    def __init__(
        self,
        keepers: Keepers | Mapping[str, LocalKeeper],
        inventory: Documents,
        existence: Existence,
        contents: Contents,
        *,
        wanted: int,
        hashing: Pool,
        clock: IReactorTime,
        chance: Callable[[], float],
        only: str | None = None,
        accept_fewer: bool = True,
        sender: Sender | None = None,
        surplus: Surplus | None = None,
        newcomers: Newcomers | None = None,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._keepers = LocalKeepers(keepers) if isinstance(keepers, Mapping) else keepers
        self._cloning = Cloning(self._keepers, inventory, wanted, accept_fewer, sender, chance)
        self._existence = existence
        self._contents = contents
        self._wanted = wanted
        self._hashing = hashing
        self._clock = clock
        self._only = only
        self._surplus = surplus
        self._newcomers = newcomers
        self._ready = ready
        self._files = 0
        self._bytes = 0
        self._settling: dict[str, DeferredLock] = {}

    def describe(self) -> Mapping[str, int]:
        """For `/stats`: files and bytes kept since the start."""
        return {"files": self._files, "bytes": self._bytes}

    def check_room(self, size: int | None) -> None:
        """`DiskFull` when no store has room for `size` bytes, `Unavailable` when there is none.

        `Unavailable` also while the inventory is known to be away.
        """
        self._ready()
        self._cloning.check_room(size)

    def open(self, hash_type: str, size: int | None) -> "Upload":
        """Begin to receive a file of at most `size` bytes; errors as in `check_room`."""
        self._ready()
        return Upload(self, hash_type, self.sink((hash_type, "sha256"), size))

    def sink(self, hash_types: Sequence[str], size: int | None) -> Sink:
        """The same without what comes after; the content will be called by the first hash type."""
        chosen = self._cloning.choose(size)
        _log.debug("Receiving for {places}", places=" ".join(each.name for each in chosen))
        copies = [
            Copy(each.name, self._keepers.receive(each.name, hash_types[0]), each)
            for each in chosen
        ]
        return Sink(copies, hash_types, self._hashing, self._clock.seconds)

    async def settle(
        self,
        sink: Sink,
        received: Received,
        content_hash: str,
        ext: str,
        mime_type: str,
        created: int | None = None,
    ) -> Kept:
        """Make what `sink` has received into content, once whoever else brings the same is done.

        `created` as in `Upload.settle`.
        """
        lock = self._settling.setdefault(content_hash, DeferredLock())
        await lock.acquire()
        try:
            kept = await self._keep(sink, received, content_hash, ext, mime_type, created)
        finally:
            lock.release()
            if not lock.locked:
                self._settling.pop(content_hash, None)
        self._files += 1
        self._bytes += received.size
        _log.debug(
            "{hash}: {size} bytes, {count} of {wanted} clones",
            hash=content_hash,
            size=received.size,
            count=kept.count,
            wanted=kept.wanted,
        )
        return kept

    async def _keep(
        self,
        sink: Sink,
        received: Received,
        content_hash: str,
        ext: str,
        mime_type: str,
        created: int | None,
    ) -> Kept:
        now = int(self._clock.seconds() * 1000)
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
        if created is None:  # a copy is known to be none
            kept = await self._keep_newcomer(sink, new)
            if kept is not None:
                return kept
        known, note = await both(
            self._existence.records(content_hash, fresh=True), self._contents.get(content_hash)
        )
        for record in known:
            refuse_forgery(record, received)
        when = max(now, note.removed or 0) if created is None else min(now, created)
        refuse_buried(note, when)
        new = evolve(new, created=when)
        alive = [record for record in known if not is_buried(note, record.created)]
        counted = [record for record in alive if self._only in {None, record.place}]
        answers = await together(self._is_there(record) for record in counted)
        present: Sequence[InventoryRecord] = [
            record for record, is_there in zip(counted, answers, strict=True) if is_there
        ]
        if earlier := [*present, *known]:  # the first extension that content came with stays
            first = earlier[0]
            new = evolve(new, mime_type=first.mime_type, mime_extension=first.mime_extension)
        if len(present) < self._wanted:
            present = await self._add(sink, new, present)
            if created is not None:
                await self._check_again(present, when)
        if created is None and note.removed is not None:
            await self._unbury(content_hash, when)
        return Kept(present[0], len(present), self._wanted)

    async def _keep_newcomer(self, sink: Sink, new: InventoryRecord) -> Kept | None:
        """Keep it without asking whether it is known; None where that is not to be done."""
        if self._newcomers is None or sink.whole is None or not self._cloning.is_enough(1):
            return None
        places = [copy.place for copy in sink.copies]
        if len(places) != 1 or not self._newcomers.may_come(places[0]):
            return None
        path = relative_path(new.hash, new.mime_extension)
        record = new.on(*split_place(places[0]), path)
        note = self._cloning.note([record])
        if note is not None:
            record = evolve(record, note=note)
        if not await self._newcomers.keep(sink.whole, record):
            return None
        self._existence.forget(new.hash)
        return Kept(record, 1, self._wanted)

    async def _unbury(self, content_hash: str, created: int) -> None:
        """What was uploaded at `created` (ms) is wanted again, unless it was removed since."""

        def edit(content: Content) -> Content:
            return content if is_buried(content, created) else unburied(content)

        try:
            await self._contents.change(content_hash, edit)
        except OoseError as error:  # what is newer than its tombstone is not taken away
            _log.warn("{hash} is still noted as removed: {why}", hash=content_hash, why=error)

    async def _add(
        self, sink: Sink, new: InventoryRecord, present: Sequence[InventoryRecord]
    ) -> Sequence[InventoryRecord]:
        clones = await self._cloning.add(sink, new, present)
        self._existence.forget(new.hash)
        if self._surplus is not None:
            clones = await self._surplus.trim(new.hash, clones)
        return clones

    async def _check_again(self, copies: Sequence[InventoryRecord], created: int) -> None:
        """Take back what was removed while it was copied: `Conflict`."""
        note = await self._contents.get(copies[0].hash)
        if is_buried(note, created):
            for each in copies:
                keeper = self._keepers.get(each.place)
                if keeper is not None:
                    with suppress(NotFound, Conflict):
                        await keeper.remove(each.hash, before=note.removed)
        refuse_buried(note, created)

    async def _is_there(self, record: InventoryRecord) -> bool:
        """Whether to count a clone: a store's word for its own, the registry's for the others."""
        keeper = self._keepers.get(record.place)
        if keeper is not None:
            return await keeper.holds(record)
        return bool(self._existence.counting([record]))


class Upload:
    """One file being received: `sink.feed` its bytes, then `settle`; `abandon` in every case."""

    def __init__(self, uploads: Uploads, hash_type: str, sink: Sink) -> None:
        self.hash_type = hash_type
        self.sink = sink
        self._uploads = uploads
        self._settling = False

    async def settle(
        self,
        ext: str,
        mime_type: str,
        *,
        expected: str | None = None,
        created: int | None = None,
    ) -> Kept:
        """The file has ended: keep it. Goes on to its end even where its caller is cancelled.

        `expected` is the hash it came under: `ChecksumMismatch` when it has another. `Conflict`
        when other content is known under the same hash. `created` (ms) is when the clone came that
        this is a copy of: `Conflict` when it was removed since.
        """
        self._settling = True
        return await shield(self._settle(ext, mime_type, expected, created))

    async def abandon(self) -> None:
        """Withdraw what was received; nothing to do once it settles."""
        if not self._settling:
            _log.debug("Given up after {size} bytes", size=self.sink.size)
            await self.sink.abandon()

    async def _settle(
        self, ext: str, mime_type: str, expected: str | None, created: int | None
    ) -> Kept:
        try:
            received = await self.sink.finish()
            content_hash = received.digests[self.hash_type]
            if expected is not None and content_hash != expected:
                raise ChecksumMismatch(
                    f"The bytes received have the {self.hash_type} {content_hash}, not {expected}"
                )
            return await self._uploads.settle(
                self.sink, received, content_hash, ext, mime_type, created
            )
        finally:
            await self.sink.abandon()


def refuse_buried(note: Content, created: int) -> None:
    """`Conflict` when what came at `created` (ms) was removed since."""
    if is_buried(note, created):
        raise Conflict(f"{note.hash} was removed")


def refuse_forgery(record: InventoryRecord, received: Received) -> None:
    """`Conflict` when the content known under a hash is not what was received under it.

    md5 and sha1 can be forged; sha256 and the size cannot both.
    """
    other = record.sha256 is not None and record.sha256 != received.digests["sha256"]
    if other or record.size != received.size:
        kind = hash_type_of(record.hash)
        raise Conflict(f"Other content is known under the same {kind}; use a stronger hash type")
