"""Having stores send clones to one another."""

from typing import Any

from attrs import frozen

from oose.errors import Unavailable
from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord
from oose.peers.client import PeerClient
from oose.peers.remote import Judgement
from oose.registry import Peer, Registry

PATIENCE = 12 * 3600.0  # seconds that a large file may take, while the store answers pings


@frozen
class ClusterSender:
    """Asks the store that has a clone to send it; a `Sender`."""

    registry: Registry
    peers: PeerClient
    judgement: Judgement

    async def send(self, record: InventoryRecord, target: str) -> InventoryRecord | None:
        """See `Sender.send`."""
        source, to = self._serving(record.place), self._serving(target)
        if not await self.peers.ping(to.url):  # the source would wait for it much longer
            self.judgement.failed(target)
            raise Unavailable(f"{target} does not answer")
        file = f"{record.hash}.{record.mime_extension}"
        answer = await self.peers.ask(
            source.url, "/content/send", {"file": file, "store": target}, patience=PATIENCE
        )
        return recorded(answer.get("record"), record, target)

    def _serving(self, place: str) -> Peer:
        peer = self.registry.serving(place)
        if peer is None:
            raise Unavailable(f"The store {place} is not available any more", retry_after=30)
        return peer


def recorded(told: Any, sent: InventoryRecord, target: str) -> InventoryRecord | None:
    """The record that the store at `target` has written of what it was `sent`, as peers tell.

    None where they do not, or not of that: then the inventory has to be asked.
    """
    if not isinstance(told, dict):
        return None
    try:
        record = InventoryRecord.from_document(Document("", "", told))
    except KeyError:
        return None
    is_of_that = (record.hash, record.place, record.size) == (sent.hash, target, sent.size)
    has_times = all(isinstance(told.get(key), int) for key in ("createdAt", "verifiedAt"))
    return record if is_of_that and has_times else None
