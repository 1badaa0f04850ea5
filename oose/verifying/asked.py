"""What was asked of a store, kept on its disk so that a restart goes on with it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import asdict, frozen
from twisted.internet.defer import DeferredLock

from oose.disk import Disk
from oose.durable import draft_prefix, sync_folder, write_whole
from oose.errors import Unavailable
from oose.log import part
from oose.shield import shield
from oose.volume import Volume

FILE = "oose-verify.json"  # in a store's root
VERSION = 1
_log = part("verify")


@frozen
class Asked:
    """All that was not verified since `since` is to be; asked for at `begun` (both ms).

    At `rate` bytes a second, as fast as it goes at 0, else at the usual rate.
    """

    since: int
    begun: int
    rate: int | None


def save(asked: Asked | None, disk: Disk) -> None:
    """Keep it on the disk, or nothing; `OSError`, `Unavailable`. Blocks."""
    disk.check()
    path = disk.root / FILE
    if asked is not None:
        write_whole(path, json.dumps({"version": VERSION, **asdict(asked)}))
    elif path.exists():
        path.unlink()
        sync_folder(disk.root)


def load(root: Path) -> Asked | None:
    """What was kept; None where nothing was, or nothing that can be used. `OSError`. Blocks."""
    path = root / FILE
    for draft in root.glob(f"{draft_prefix(path)}*"):  # a crash left it
        draft.unlink(missing_ok=True)
    with suppress(FileNotFoundError, ValueError, LookupError, TypeError, OverflowError):
        return understood(json.loads(path.read_text("utf-8")))
    return None


def understood(value: Mapping[str, Any]) -> Asked:
    """What was asked, as it was kept; some error where it is none."""
    since, begun, rate = int(value["since"]), int(value["begun"]), value["rate"]
    if value["version"] != VERSION or since < 1 or (rate is not None and int(rate) < 0):
        raise ValueError("another's")
    return Asked(since, begun, None if rate is None else int(rate))


class Memory:
    """Of what is asked of the store whose disk is `volume`.

    A disk that cannot keep it is no reason not to do it: that is said, and tried again.
    """

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._wanted: Asked | None = None
        self._kept: Asked | None = None
        self._is_known = False  # what is on the disk
        self._is_over = False  # the time before the start of this process
        self._writing = DeferredLock()
        self._told = ""

    async def recall(self) -> Asked | None:
        """What there was to do when the last process ended: told once.

        None also where something else was asked since, or the disk cannot be read yet.
        """
        if self._is_over or not self._volume.usable:
            return None
        try:
            found = await self._volume.pool.run(load, self._volume.disk.root)
        except OSError as error:
            self._warn(error)
            return None
        if self._is_over:  # somebody was faster
            return None
        self._is_over = self._is_known = True
        self._wanted = self._kept = found
        return found

    async def keep(self, asked: Asked | None) -> None:
        """That is what there is to do now."""
        self._is_over = True
        self._wanted = asked
        await self.settle()

    async def settle(self) -> None:
        """Keep what could not be kept before."""
        if self._is_over and not self._is_settled:
            await shield(self._settle())

    @property
    def _is_settled(self) -> bool:
        return self._is_known and self._kept == self._wanted

    async def _settle(self) -> None:
        async with self._writing:
            wanted = self._wanted
            if self._is_settled or not self._volume.usable:
                return
            self._is_known = False  # until it is written
            try:
                await self._volume.pool.run(save, wanted, self._volume.disk)
            except (OSError, Unavailable) as error:
                self._warn(error)
            else:
                self._is_known, self._kept = True, wanted

    def _warn(self, error: Exception) -> None:
        if str(error) != self._told:
            store = self._volume.disk.name
            what = "What was asked of the verification of {store} cannot be kept: {why}"
            _log.warn(what, store=store, why=error)
        self._told = str(error)
