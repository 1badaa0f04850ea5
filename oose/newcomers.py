"""Small files that nobody knows: kept on a disk of this machine without asking first.

    file      under its intent, linked to its place where nothing is there
    sync      one for all that come together
    record    one transaction for all, each only where nothing is known of its hash
    confirm   the intents go

All of it is one call in the disk's pool. What is known after all, or cannot be kept, is withdrawn
and then goes the way of everything else (`oose.uploads`), which finds out why.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from attrs import define, field
from twisted.python.failure import Failure

from oose.batches import Batches, Job
from oose.disk import Disk
from oose.errors import OoseError
from oose.incoming import Incoming
from oose.log import part
from oose.metadata.first_clones import MOST, FirstClones
from oose.metadata.records import InventoryRecord
from oose.volume import Volume
from oose.whole_files import WholeFile, keep_together

LANES = 2  # batches at once: one waits for the disk while another makes its files
_log = part("upload")
_of_store = part("store")


@define(eq=False)
class Newcomer:
    """A file and its record; `leftover` is why its intent is still there."""

    file: WholeFile
    record: InventoryRecord
    leftover: OoseError | None = field(default=None, init=False)


class Newcomers:
    """Keeps them on `volumes`, by `<prism>:<store>`, and their records in `first_clones`."""

    def __init__(self, volumes: Mapping[str, Volume], first_clones: FirstClones) -> None:
        self._volumes = volumes
        self._first_clones = first_clones
        self._batches: Mapping[str, Batches[Newcomer, bool]] = {
            place: Batches(volume.pool, partial(self._keep_all, volume.disk), lanes=LANES)
            for place, volume in volumes.items()
        }

    def may_come(self, place: str) -> bool:
        """Whether the store is one of those, and has no large file to sync with them."""
        volume = self._volumes.get(place)
        return volume is not None and volume.may_sync_all()

    async def keep(self, chunks: Sequence[bytes], record: InventoryRecord) -> bool:
        """Keep the whole file `chunks` as the first clone of its content, where `record` says.

        Whether it was kept; if not, nothing has changed.
        """
        # It comes now, as the file will say by itself: to tell it so would be one call more.
        file = WholeFile(chunks, record.hash, record.mime_extension, over=False)
        newcomer = Newcomer(file, record)
        passage = self._volumes[record.place].passage
        await passage.come(record.hash)
        try:
            is_kept = await self._batches[record.place].run(newcomer)
        except OoseError as error:
            _log.debug("{id} is not kept at once: {why}", id=record.id, why=error)
            return False
        finally:
            passage.came(record.hash)
        if is_kept:
            self._first_clones.written(record)
            _of_store.debug("{path} is on {store}", path=record.relative_path, store=record.store)
        if newcomer.leftover is not None:
            why = newcomer.leftover
            _log.warn("{why}; the next start clears what is left of {id}", why=why, id=record.id)
        return is_kept

    # In the disk's pool.

    def _keep_all(self, disk: Disk, jobs: Sequence[Job[Newcomer, bool]]) -> None:
        for start in range(0, len(jobs), MOST):
            some = jobs[start : start + MOST]
            try:
                self._keep(disk, some)
            except Exception:  # the others are not concerned
                for job in some:
                    job.failure = Failure()

    def _keep(self, disk: Disk, jobs: Sequence[Job[Newcomer, bool]]) -> None:
        kept = keep_together(disk, [job.work.file for job in jobs])
        there = []
        for job, each in zip(jobs, kept, strict=True):
            if isinstance(each, Incoming):
                there.append((job, each))
            else:
                job.failure = Failure(each)
        if not there:
            return
        try:
            written = self._first_clones.write([job.work.record for job, _ in there])
        except Exception:
            for _, incoming in there:
                incoming.withdraw()
            raise
        for (job, incoming), is_first in zip(there, written, strict=True):
            job.result = is_first
            if is_first:
                self._confirm(job.work, incoming)
            else:
                incoming.withdraw()

    def _confirm(self, newcomer: Newcomer, incoming: Incoming) -> None:
        try:
            incoming.confirm()
        except OoseError as error:
            newcomer.leftover = error
