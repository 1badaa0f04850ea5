"""Bringing a file back from quarantine, when its bytes are what its name says."""

from attrs import frozen
from twisted.internet.defer import Deferred

from oose.address import hash_type_of
from oose.contents import Contents, unburied
from oose.errors import ChecksumMismatch, OoseError
from oose.log import part
from oose.media_types import media_type_of
from oose.metadata.records import InventoryRecord
from oose.put_aside import PutAside
from oose.quarantine import Quarantine
from oose.sink import Sink
from oose.uploads import Uploads
from oose.volume import OpenFile

PIECE = 1024 * 1024
_log = part("store")


@frozen
class Restoring:
    """Into the store that `uploads` are kept on. The file comes as an upload does."""

    quarantine: Quarantine
    uploads: Uploads
    contents: Contents

    async def restore(self, content_hash: str) -> InventoryRecord:
        """Content as a clone here again, also where it had been removed; its record.

        `NotFound` where none is in quarantine, `ChecksumMismatch` where all of it is corrupt.
        """
        last: OoseError | None = None
        for file in await self.quarantine.find(content_hash):
            try:
                record = await self._bring(file)
            except ChecksumMismatch:
                last = ChecksumMismatch(f"{file.name} is corrupt, and stays in quarantine")
                continue
            await self.contents.change(content_hash, unburied)
            await self.quarantine.remove(file)
            _log.info("{id} is back from quarantine", id=record.id)
            return record
        assert last is not None
        raise last

    async def _bring(self, file: PutAside) -> InventoryRecord:
        opened = await self.quarantine.open(file)
        try:
            upload = self.uploads.open(hash_type_of(file.hash), file.size)
            try:
                await self._feed(opened, upload.sink)
                kept = await upload.settle(file.ext, media_type_of(file.ext), expected=file.hash)
            finally:
                await upload.abandon()
        finally:
            opened.close()
        return kept.record

    async def _feed(self, file: OpenFile, sink: Sink) -> None:
        """All of it, as fast as the sink takes it."""
        gate = Gate()
        sink.on_pressure(gate.close, gate.open)
        for offset in range(0, file.size, PIECE):
            await gate.passed()
            sink.feed(await self.quarantine.read(file, offset, PIECE))


class Gate:
    """Has one who comes wait while it is closed."""

    def __init__(self) -> None:
        self._is_closed = False
        self._waiting: Deferred[None] | None = None

    def close(self) -> None:
        """From now on."""
        self._is_closed = True

    def open(self) -> None:
        """Let who waits go on."""
        self._is_closed = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    async def passed(self) -> None:
        """It is open."""
        if self._is_closed:
            self._waiting = Deferred()
            await self._waiting
