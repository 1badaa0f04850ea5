"""What stores have put aside, wherever they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from oose.errors import NotFound, Unavailable
from oose.peers.client import PeerClient
from oose.peers.remote import VERIFYING
from oose.registry import Peer, Registry


@frozen
class Quarantines:
    """Asks the stores."""

    registry: Registry
    peers: PeerClient

    def places(self) -> Sequence[str]:
        """The stores that can be asked."""
        stores = [each.place for each in self.registry.peers() if each.kind == "store"]
        return [place for place in stores if self.registry.serving(place) is not None]

    def away(self) -> Sequence[str]:
        """Those that cannot be, without the ones that were deactivated: they are given up."""
        stores = [each for each in self.registry.peers() if each.kind == "store" and each.active]
        return [each.place for each in stores if self.registry.serving(each.place) is None]

    async def page(self, store: str, after: str | None) -> Mapping[str, Any]:
        """What the store has, behind the name `after`; errors as of `PeerClient.ask`."""
        fields = {} if after is None else {"after": after}
        return await self.peers.ask(self._named(store).url, "/quarantine/list", fields)

    async def restore(self, store: str, content_hash: str) -> Mapping[str, Any]:
        """Have the store bring back a file; its record."""
        url = self._named(store).url
        return await self.peers.ask(
            url, "/quarantine/restore", {"hash": content_hash}, patience=VERIFYING
        )

    def _named(self, store: str) -> Peer:
        for peer in self.registry.peers():
            if peer.kind == "store" and store in {peer.place, peer.name}:
                if self.registry.serving(peer.place) is None:
                    raise Unavailable(f"The store {peer.place} is not available", retry_after=30)
                return peer
        raise NotFound(f"There is no store {store!r}")
