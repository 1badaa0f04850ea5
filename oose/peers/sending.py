"""Having stores send clones to one another."""

from attrs import frozen

from oose.errors import Unavailable
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

    async def send(self, record: InventoryRecord, target: str) -> None:
        """See `Sender.send`."""
        source, to = self._serving(record.place), self._serving(target)
        if not await self.peers.ping(to.url):  # the source would wait for it much longer
            self.judgement.failed(target)
            raise Unavailable(f"{target} does not answer")
        file = f"{record.hash}.{record.mime_extension}"
        await self.peers.ask(
            source.url, "/content/send", {"file": file, "store": target}, patience=PATIENCE
        )

    def _serving(self, place: str) -> Peer:
        peer = self.registry.serving(place)
        if peer is None:
            raise Unavailable(f"The store {place} is not available any more", retry_after=30)
        return peer
