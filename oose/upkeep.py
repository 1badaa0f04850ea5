"""What a process says of its own peers: that they live, whether their disks are there, how full.

A disk that has gone makes its store unavailable at once, one that is back makes it available. Now
and then each peer's document is renewed, so that others see that it lives and reaches the
database.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from oose.contact import Contact
from oose.errors import OoseError, Unavailable
from oose.holdings import Holdings
from oose.log import part
from oose.loop import Loop
from oose.registry import Peer, Registry

_log = part("upkeep")
_beats = part("heartbeat")  # what comes every few seconds


class Upkeep:
    """Speaks for the peers `own` (ids), of which `stores` are here. `now` is ms since 1970.

    `contact` is with the database, as the renewals went. `care` is what our prism has to tell the
    others of its part of all content.
    """

    def __init__(
        self,
        own: Collection[str],
        stores: Sequence[Holdings],
        registry: Registry,
        now: Callable[[], int],
        care: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        self._own = tuple(own)
        self._stores = {f"store:{store.place}": store for store in stores}
        self._registry = registry
        self._now = now
        self._care = care
        self.contact = Contact()

    def loops(self, clock: IReactorTime, frequency: float, renewal: float) -> Sequence[Loop]:
        """What to do every `frequency` and `renewal` seconds; no disk waits for another."""
        disks = [
            Loop(f"Looking after {store.place}", partial(self.look_after, store), frequency, clock)
            for store in self._stores.values()
        ]
        return [*disks, Loop("Renewing our peers", self.renew, renewal, clock)]

    async def look_after(self, store: Holdings) -> None:
        """Look at a disk, and write down whether it is there."""
        await store.look()
        volume = store.volume
        _beats.debug(
            "{place}: {how}, {free} bytes free",
            place=store.place,
            how="there" if volume.usable else "not there",
            free=volume.space.free,
        )
        peer = self._registry.store(store.place)
        if peer is not None and peer.available != volume.usable:
            await self._registry.update(self._as_it_is(peer))

    async def renew(self) -> None:
        """Renew what is registered of each of our peers, in one request."""
        now = self._now()
        known = [peer for each in self._own if (peer := self._registry.peer(each)) is not None]
        try:
            await self._registry.renew([evolve(self._as_it_is(p), renewed=now) for p in known])
        except Unavailable as error:  # whoever asks the database has said so
            _log.debug("Our peers cannot be renewed: {why}", why=error.message)
            self.contact.lost()
        except OoseError as error:
            if self.contact.is_there or not self.contact.losses:
                _log.warn("Our peers cannot be renewed: {why}", why=error.message)
            self.contact.lost()
        except Exception:
            self.contact.lost()
            raise
        else:
            self.contact.made()

    def _as_it_is(self, peer: Peer) -> Peer:
        store = self._stores.get(peer.id)
        if store is None:
            return evolve(peer, available=True, care=self._care())
        volume = store.volume
        return evolve(
            peer,
            available=volume.usable,
            capacity=volume.space.capacity,
            free=volume.space.free,
            identity=volume.identity or peer.identity,
        )
