"""Content that a prism sends itself, to a user with a session."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from oose.deliver.delivery import PURCHASED, Deliveries, Outgoing
from oose.errors import NotFound, OoseError, Unavailable
from oose.existence import Existence
from oose.log import part
from oose.metadata.records import InventoryRecord
from oose.readers import Readers
from oose.volume import OpenFile
from oose.web.answers import Answer
from oose.web.intake import IntakeRequest

_log = part("download")


class Source(Protocol):
    """A store that can be read from here."""

    async def open(self, record: InventoryRecord) -> OpenFile:
        """Open the file of a record; `NotFound` or `Unavailable`."""
        ...


class Downloads:
    """Sends content from `sources`, by `<prism>:<store>`."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        existence: Existence,
        readers: Readers,
        deliveries: Deliveries,
    ) -> None:
        self._sources = sources
        self._existence = existence
        self._readers = readers
        self._deliveries = deliveries

    async def send(self, request: IntakeRequest, content_hash: str) -> Answer | None:
        """Answer with the bytes, from another clone where the first cannot be opened."""
        records = self._existence.counting(await self._existence.records(content_hash))
        if not records:
            raise NotFound(f"{content_hash} was not found")
        outgoing = Outgoing(content_hash, records[0].mime_type, "inline", PURCHASED)
        return await self._deliveries.deliver(request, outgoing, lambda: self._open(records))

    async def _open(self, records: Sequence[InventoryRecord]) -> OpenFile:
        error: OoseError = Unavailable("No store with the content can be read", retry_after=5)
        for record in self._readers.in_order(records):
            source = self._sources.get(record.place)
            if source is None:
                continue
            try:
                return await source.open(record)
            except OoseError as failed:
                _log.warn("{place}: {error}", place=record.place, error=failed)
                error = failed
        raise error
