"""The heartbeat: are the disks of this process there, and does the registry know it?

On one machine nobody else can look, so each process looks after its own stores: a disk that has
gone makes its store unavailable at once, one that is back makes it available, and how much room
there is stays fresh.
"""

from collections.abc import Sequence

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from oose.holdings import Holdings
from oose.registry import Peer, Registry
from oose.together import together

FRESH = 60.0  # seconds after which the room on a disk is written down again


class Heartbeat:
    """Looks after the disks of `stores`, once a `beat`."""

    def __init__(self, stores: Sequence[Holdings], registry: Registry, clock: IReactorTime) -> None:
        self._stores = stores
        self._registry = registry
        self._clock = clock
        self._written: dict[str, float] = {}

    async def beat(self) -> None:
        """Look once at every disk, and write down what has changed; no disk waits for another."""
        await together(self._look_after(store) for store in self._stores)

    async def _look_after(self, store: Holdings) -> None:
        await store.look()
        peer = self._registry.store(store.place)
        if peer is not None:
            await self._write_down(peer, store)

    async def _write_down(self, peer: Peer, store: Holdings) -> None:
        now = self._clock.seconds()
        volume = store.volume
        is_stale = now - self._written.get(store.place, 0) >= FRESH
        if peer.available == volume.usable and not is_stale:
            return
        self._written[store.place] = now
        await self._registry.update(
            evolve(
                peer,
                available=volume.usable,
                capacity=volume.space.capacity,
                free=volume.space.free,
                identity=volume.identity or peer.identity,
            )
        )
