"""Stores in other processes, as a prism uses them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from attrs import define, field

from oose.errors import OoseError, Unavailable
from oose.keepers import Keeper, LocalKeeper, Status
from oose.metadata.records import InventoryRecord
from oose.peers.answers import Unreachable
from oose.peers.client import PeerClient
from oose.peers.links import Links
from oose.peers.reception import RemoteReception
from oose.placement import Candidate
from oose.reachability import Refused
from oose.registry import Peer, Registry
from oose.sink import Reception

VERIFYING = 12 * 3600.0  # seconds; as long as it answers pings, that is
USUAL_LEAST = 1_000_000_000  # bytes; what a store keeps free unless it is told otherwise


class Judgement(Protocol):
    """What is known here of whether stores can be reached, and is told of it."""

    def avoids(self, place: str) -> bool:
        """Whether its last request or ping has failed."""
        ...

    def failed(self, place: str, why: Exception | str | None = None) -> None:
        """A request to it got no answer, or it does not take our credentials."""
        ...

    def answered(self, place: str) -> None:
        """It has answered a request."""
        ...


def usual_least(peer: Peer) -> int:
    """The bytes that a store is taken to keep free."""
    return USUAL_LEAST


@define(eq=False)
class RemoteStore:
    """The store `place`, at `url`; `load` is how many copies are on their way there from here."""

    place: str
    url: str
    _registry: Registry
    _peers: PeerClient
    _judgement: Judgement
    _min_free: Callable[[Peer], int]
    load: int = field(default=0, init=False)
    _links: Links = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._links = self._peers.links(self.url)

    def candidate(self) -> Candidate | None:
        """See `Keeper.candidate`."""
        peer = self._registry.serving(self.place)
        if peer is None or not peer.writable or self._judgement.avoids(self.place):
            return None
        return Candidate(
            name=self.place,
            machine=peer.machine,
            group=peer.group,
            free=peer.free,
            capacity=peer.capacity,
            min_free=self._min_free(peer),
            load=self.load,
            writable=True,
        )

    def receive(self, hash_type: str) -> Reception:
        """Begin to send it a copy."""
        self.load += 1
        return RemoteReception(self._links, hash_type, self._judge, self._reception_ended)

    async def holds(self, record: InventoryRecord) -> bool:
        """See `Keeper.holds`; one that cannot be asked holds nothing that counts."""
        if self._judgement.avoids(self.place):
            return False
        try:
            answer = await self._peers.ask(self.url, "/content/exists", {"hash": record.hash})
        except OoseError as error:
            self._judge(error)
            return False
        self._judge(None)
        there = answer.get("exists")
        return isinstance(there, dict) and there.get("exists") is True

    async def verify(self, content_hash: str) -> Status:
        """See `Keeper.verify`; it may take as long as reading the file does."""
        answer = await self._ask("/content/verify", {"hash": content_hash}, VERIFYING)
        status = answer.get("status")
        if isinstance(status, str) and status in {"ok", "corrupt", "missing"}:
            return cast("Status", status)
        raise Unavailable(f"{self.place} answered something that cannot be understood")

    async def remove(
        self, content_hash: str, *, before: int | None = None, until: int | None = None
    ) -> None:
        """See `Keeper.remove`."""
        times = {"before": before, "until": until}
        said = {name: time for name, time in times.items() if time is not None}
        await self._ask("/content/remove", {"hash": content_hash, **said})

    async def _ask(
        self, path: str, fields: Mapping[str, Any], patience: float | None = None
    ) -> Mapping[str, Any]:
        try:
            answer = await self._peers.ask(self.url, path, fields, patience=patience)
        except OoseError as error:
            self._judge(error)
            raise
        self._judge(None)
        return answer

    def close(self) -> None:
        """Close the connections that are idle."""
        self._links.close()

    def _reception_ended(self) -> None:
        self.load -= 1

    def _judge(self, error: OoseError | None) -> None:
        if isinstance(error, Unreachable | Refused):
            self._judgement.failed(self.place, error)
        else:
            self._judgement.answered(self.place)


class ClusterKeepers:
    """The stores of this process, and all others that the registry knows to serve."""

    def __init__(
        self,
        local: Mapping[str, LocalKeeper],
        registry: Registry,
        peers: PeerClient,
        judgement: Judgement,
        *,
        min_free: Callable[[Peer], int] = usual_least,
    ) -> None:
        self._local = local
        self._registry = registry
        self._peers = peers
        self._judgement = judgement
        self._min_free = min_free
        self._remote: dict[str, RemoteStore] = {}

    def all(self) -> Sequence[Keeper]:
        """See `Keepers.all`."""
        places = [peer.place for peer in self._registry.peers() if peer.kind == "store"]
        remote = [store for place in places if (store := self._elsewhere(place)) is not None]
        return [*self._local.values(), *remote]

    def get(self, place: str) -> Keeper | None:
        """See `Keepers.get`."""
        return self._local.get(place) or self._elsewhere(place)

    def receive(self, place: str, hash_type: str) -> Reception:
        """See `Keepers.receive`."""
        local = self._local.get(place)
        if local is not None:
            return local.receive()
        store = self._elsewhere(place)
        if store is None:
            raise Unavailable(f"The store {place} is not available any more", retry_after=30)
        return store.receive(hash_type)

    def close(self) -> None:
        """Close the connections that are idle; at the end of the process."""
        for store in self._remote.values():
            store.close()

    def _elsewhere(self, place: str) -> RemoteStore | None:
        peer = self._registry.serving(place)
        if peer is None or place in self._local:
            return None
        known = self._remote.get(place)
        if known is None or known.url != peer.url:
            if known is not None:
                known.close()
            known = RemoteStore(
                place, peer.url, self._registry, self._peers, self._judgement, self._min_free
            )
            self._remote[place] = known
        return known
