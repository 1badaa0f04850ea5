"""The quarantine of a store: corrupt files, and those of content that was removed meanwhile.

They stay for a while, so that somebody can look at them and bring them back.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from twisted.internet.interfaces import IReactorTime

from oose import put_aside
from oose.counting import some
from oose.errors import NotFound, OoseError
from oose.incoming import explained
from oose.log import part
from oose.loop import Loop
from oose.put_aside import Page, PutAside, Round
from oose.volume import OpenFile, Volume

LISTED = 25  # files in one answer
EVERY = 600.0  # seconds between two rounds
P = ParamSpec("P")
T = TypeVar("T")
_log = part("store")


class Quarantine:
    """On the disk of one store; files stay for `life` (ms)."""

    def __init__(self, volume: Volume, life: int) -> None:
        self._volume = volume
        self._folder = volume.disk.quarantine
        self._life = life
        self._seen: Mapping[str, int] = {"files": 0, "bytes": 0}

    def describe(self) -> Mapping[str, int]:
        """For `/stats`: files and bytes, as last looked at."""
        return self._seen

    def loop(self, clock: IReactorTime, now: Callable[[], int]) -> Loop:
        """`prune` again and again; `now` is ms since 1970."""

        async def work() -> None:
            try:
                await self.prune(now())
            except OoseError as error:
                _log.warn("The quarantine stays as it is: {why}", why=error)

        return Loop(f"Clearing the quarantine of {self._volume.disk.name}", work, EVERY, clock)

    async def prune(self, now: int) -> int:
        """Delete what has been there for its time at `now` (ms); how many files.

        A slice at a time. Nothing while the disk is not there.
        """
        if not self._volume.usable:
            return 0
        this = Round(now - self._life)
        entries = await self._run(os.scandir, str(self._folder))
        try:
            while await self._run(this.go_on, self._folder, entries):
                pass
        finally:
            await self._volume.pool.run(entries.close)
        self._seen = {"files": this.files, "bytes": this.bytes}
        if this.gone:
            what, store = some(this.gone, "file"), self._volume.disk.name
            _log.info("{what} deleted from the quarantine of {store}", what=what, store=store)
        return this.gone

    async def page(self, after: str = "") -> Page:
        """What is there behind the name `after`, in the order of names."""
        return await self._run(put_aside.page, self._folder, after, LISTED)

    async def find(self, content_hash: str) -> Sequence[PutAside]:
        """What is there of a content, the newest first; `NotFound`."""
        found = await self._run(put_aside.find, self._folder, content_hash)
        if not found:
            raise NotFound(f"{content_hash} is not in the quarantine of this store")
        return found

    async def open(self, file: PutAside) -> OpenFile:
        """Open a file to read; `NotFound`."""
        return await self._volume.open(f"../{self._folder.name}/{file.name}")

    async def read(self, file: OpenFile, offset: int, size: int) -> bytes:
        """Some bytes of an open file."""
        return await self._run(os.pread, file.descriptor, size, offset)

    async def remove(self, file: PutAside) -> None:
        """Delete a file."""
        await self._run(put_aside.remove, self._folder, file.name)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def run() -> T:
            self._volume.disk.check()
            with explained(self._volume.disk.name):
                return call(*args, **kwargs)

        return await self._volume.pool.run(run)
