"""Content that a prism sends itself, to a user with a session."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from oose.continued import Continued
from oose.deliver.caching import PURCHASED
from oose.deliver.content import Clone
from oose.deliver.delivery import Deliveries, Outgoing
from oose.deliver.flow import Flow
from oose.deliver.sending import LocalFile
from oose.demand.counter import uncounted
from oose.errors import NotFound, Unavailable
from oose.existence import Existence
from oose.metadata.records import InventoryRecord
from oose.ranges import Span
from oose.readers import Readers
from oose.relay import Relay
from oose.volume import OpenFile
from oose.web.answers import Answer
from oose.web.intake import IntakeRequest


class Source(Protocol):
    """A store that can be read from here."""

    async def open(self, record: InventoryRecord) -> OpenFile:
        """Open the file of a record; `NotFound` or `Unavailable`."""
        ...


class Downloads:
    """Sends content from `sources`, by `<prism>:<store>`, and through `relay` from elsewhere.

    `count` is told the hash of what each user is sent.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        existence: Existence,
        readers: Readers,
        deliveries: Deliveries,
        relay: Relay | None = None,
        count: Callable[[str], None] = uncounted,
    ) -> None:
        self._sources = sources
        self._existence = existence
        self._readers = readers
        self._deliveries = deliveries
        self._relay = relay
        self._count = count

    async def send(self, request: IntakeRequest, content_hash: str) -> Answer | None:
        """Answer with the bytes, from another clone where one cannot be read or no longer."""
        existence = self._existence
        records = existence.candidates(await existence.last_known(content_hash))
        if not records:
            raise NotFound(f"{content_hash} was not found")
        self._count(content_hash)

        async def look() -> Sequence[InventoryRecord]:
            return existence.candidates(await existence.records(content_hash, fresh=True))

        record = records[0]
        content = Continued(record.size, records, look, self._clone, self._readers)
        outgoing = Outgoing(content_hash, record.mime_type, "inline", PURCHASED)
        return await self._deliveries.carry(request, outgoing, content)

    def _clone(self, record: InventoryRecord) -> Clone | None:
        source = self._sources.get(record.place)
        if source is not None:
            return LocalClone(source, record)
        return self._relay.clone(record) if self._relay is not None else None


class LocalClone:
    """A `Clone` on a store of this process."""

    def __init__(self, source: Source, record: InventoryRecord) -> None:
        self._source = source
        self._record = record
        self._file: LocalFile | None = None

    async def ready(self, flow: Flow, span: Span) -> None:
        """See `Clone.ready`: the file is open, and as long as it should be."""
        await self._opened()

    async def send(self, flow: Flow, span: Span) -> bool:
        """See `Clone.send`."""
        return await (await self._opened()).send(flow, span)

    def close(self) -> None:
        """See `Clone.close`."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    async def _opened(self) -> LocalFile:
        if self._file is None:
            self._file = LocalFile(await self._source.open(self._record))
            if self._file.size != self._record.size:
                raise Unavailable(f"{self._record.place} has a file of another size", retry_after=5)
        return self._file
