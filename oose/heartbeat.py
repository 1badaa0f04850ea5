"""The heartbeat: are the disks of this process there, and does the registry know it?

On one machine nobody else can look, so each process looks after its own stores: a disk that has
gone makes its store unavailable at once, one that is back makes it available, and how much room
there is stays fresh. Loops never overlap, and one that fails runs again.
"""

from collections.abc import Mapping

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from oose.log import part
from oose.registry import Peer, Registry
from oose.volume import Volume

FRESH = 60.0  # seconds after which the room on a disk is written down again
_log = part("heartbeat")


class Heartbeat(Service):
    """Watches `volumes`, by `<prism>:<store>`, every `frequency` seconds."""

    def __init__(
        self,
        volumes: Mapping[str, Volume],
        registry: Registry,
        frequency: float,
        clock: IReactorTime,
    ) -> None:
        self._volumes = volumes
        self._registry = registry
        self._frequency = frequency
        self._clock = clock
        self._loop = LoopingCall(self._beat)
        self._loop.clock = clock
        self._running: Deferred[None] | None = None
        self._written: dict[str, float] = {}

    def startService(self) -> None:
        """See `IService`: the first beat comes after one `frequency`."""
        super().startService()
        self._running = self._loop.start(self._frequency, now=False)

    async def stop(self) -> None:
        """Stop, when the beat under way has ended."""
        if self._loop.running:
            self._loop.stop()
        if self._running is not None:
            await self._running
            self._running = None

    def _beat(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.beat()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        _log.failure("A heartbeat failed; the next one will be tried all the same", failure)

    async def beat(self) -> None:
        """Look once at every disk."""
        for place, volume in self._volumes.items():
            await volume.refresh()
            peer = self._registry.store(place)
            if peer is not None:
                await self._write_down(peer, volume)

    async def _write_down(self, peer: Peer, volume: Volume) -> None:
        now = self._clock.seconds()
        is_stale = now - self._written.get(peer.place, 0) >= FRESH
        if peer.available == volume.usable and not is_stale:
            return
        self._written[peer.place] = now
        await self._registry.update(
            evolve(
                peer,
                available=volume.usable,
                capacity=volume.space.capacity,
                free=volume.space.free,
            )
        )


