"""The folders of a store's content: what was linked into them is made durable, many at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from oose.batches import Batches, Job
from oose.durable import sync_folder
from oose.pool import Pool

LANES = 2  # a disk takes several syncs at once for little more than one
KNOWN = 100_000  # folders to remember; there are 65,792


class Folders:
    """Folders below the existing `content`, synced in `pool`."""

    def __init__(
        self, content: Path, pool: Pool, explain: Callable[[Exception], Exception]
    ) -> None:
        self._content = content
        self._durable: set[Path] = set()  # those whose own name is
        self._syncs: Batches[Sequence[Path], None] = Batches(
            pool, sync_folders, explain, lanes=LANES
        )

    async def make_durable(self, file: Path) -> None:
        """Return when the name of `file`, and those of the folders above it, survive a crash."""
        folder = file.parent
        unsynced = [folder]
        while folder != self._content and folder not in self._durable:
            folder = folder.parent
            unsynced.append(folder)
        await self._syncs.run(unsynced)
        if len(self._durable) > KNOWN:
            self._durable.clear()
        self._durable.update(unsynced[:-1])


def sync_folders(jobs: Sequence[Job[Sequence[Path], Any]]) -> None:
    """Sync every folder of every job, each once."""
    for folder in {folder for job in jobs for folder in job.work}:
        sync_folder(folder)
