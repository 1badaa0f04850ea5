"""Whom a prism avoids by itself, before anybody has voted.

Who failed the last request or ping is asked for nothing until a ping is answered; and those that
viewers are being sent to are pinged all the time, so that a dead one is noticed within seconds.
"""

from collections.abc import Collection, Iterable

from twisted.internet.interfaces import IReactorTime

from oose.log import part
from oose.peer import Peer
from oose.pings import Ping, Pings
from oose.registry import Registry

USED = 10.0  # seconds for which somebody who was sent to a peer may still come to it
_log = part("reachability")


class Reachability:
    """What one process has found out about peers, called by their `place`. Not about its `own`."""

    def __init__(
        self,
        ping: Ping,
        registry: Registry,
        clock: IReactorTime,
        *,
        own: Collection[str] = (),
        timeout: float,
        concurrency: int,
    ) -> None:
        self._ask = ping
        self._registry = registry
        self._clock = clock
        self._own = frozenset(own)
        self._pings = Pings(self.ping, clock, timeout, concurrency)
        self._avoided: set[str] = set()
        self._used: dict[str, float] = {}

    def failed(self, place: str) -> None:
        """It did not answer, or not as a peer does."""
        if place not in self._own and place not in self._avoided:
            self._avoided.add(place)
            _log.warn("{place} does not answer; it is avoided until it does", place=place)

    def answered(self, place: str) -> None:
        """It has answered."""
        if place in self._avoided:
            self._avoided.remove(place)
            _log.info("{place} answers again", place=place)

    def avoids(self, place: str) -> bool:
        """Whether to ask others first; a store is avoided with its prism."""
        return place in self._avoided or place.partition(":")[0] in self._avoided

    def used(self, place: str) -> None:
        """A viewer was sent there, or told that content is."""
        now = self._clock.seconds()
        self._used[place] = now
        self._used[place.partition(":")[0]] = now

    async def ping(self, peer: Peer) -> None:
        """Ping it, and remember what came of it."""
        try:
            await self._ask(peer)
        except Exception:  # given up after a while too
            self.failed(peer.place)
            raise
        self.answered(peer.place)

    async def look(self) -> None:
        """One round: ping all that are used, and then those that are avoided."""
        oldest = self._clock.seconds() - USED
        self._used = {place: at for place, at in self._used.items() if at >= oldest}
        self._avoided = {place for place in self._avoided if self._find(place) is not None}
        places = [*self._used, *sorted(self._avoided - self._used.keys())]
        await self._pings.ask(list(self._counting(places)))

    def _counting(self, places: Iterable[str]) -> Iterable[Peer]:
        for place in places:
            peer = self._find(place)
            if peer is not None and peer.counts and place not in self._own:
                yield peer

    def _find(self, place: str) -> Peer | None:
        kind = "store" if ":" in place else "prism"
        return self._registry.peer(f"{kind}:{place}")
