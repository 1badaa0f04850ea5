"""Whom a prism avoids by itself, before anybody has voted.

Who failed the last request or ping is asked for nothing until a ping is answered; and those that
viewers are being sent to are pinged all the time, so that a dead one is noticed within seconds.

Who refuses our credentials answers pings all the same: it is asked again after a while, or when
its document says something else than it did.
"""

from collections.abc import Collection, Iterable

from attrs import define, evolve
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from oose.errors import Unavailable
from oose.log import part
from oose.peer import Peer
from oose.pings import Ping, Pings
from oose.registry import Registry

USED = 10.0  # seconds for which somebody who was sent to a peer may still come to it
REFUSED = 60.0  # seconds after which somebody who refused our credentials is asked again
_log = part("reachability")


class Refused(Unavailable):
    """A peer does not take our credentials."""


@define
class _Refusing:
    """Who refused us, as its document was then, and until when it is not asked."""

    peer: Peer | None
    until: float


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
        self._refusing: dict[str, _Refusing] = {}
        self._used: dict[str, float] = {}

    def failed(self, place: str, why: Exception | str | None = None) -> None:
        """It did not answer, or not as a peer does, or it has refused us: `why` is a `Refused`."""
        if place in self._own:
            return
        if isinstance(why, Refused):
            self._refused(place, why)
        elif place not in self._avoided:
            self._avoided.add(place)
            _log.warn(
                "{place} is avoided until it answers: {why}",
                place=place,
                why=_reason(why),
            )

    def answered(self, place: str) -> None:
        """It has done what it was asked for."""
        self._is_there(place)
        if self._refusing.pop(place, None) is not None:
            _log.info("{place} takes our credentials again", place=place)

    def avoids(self, place: str) -> bool:
        """Whether to ask others first; a store is avoided with its prism."""
        refusing = self._refusing.get(place)
        if refusing is not None and self._clock.seconds() < refusing.until:
            return True
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
        except Exception as error:
            self.failed(peer.place, error)
            raise
        self._is_there(peer.place)

    async def look(self) -> None:
        """One round: ping all that are used, and then those that are avoided."""
        oldest = self._clock.seconds() - USED
        self._used = {place: at for place, at in self._used.items() if at >= oldest}
        self._avoided = {place for place in self._avoided if self._find(place) is not None}
        for place, refusing in list(self._refusing.items()):
            peer = self._find(place)
            if peer is None:
                del self._refusing[place]
            elif _lasting(peer) != refusing.peer:
                refusing.until = oldest  # it may have been given other credentials
        places = [*self._used, *sorted(self._avoided - self._used.keys())]
        await self._pings.ask(list(self._counting(places)))

    def _is_there(self, place: str) -> None:
        if place in self._avoided:
            self._avoided.remove(place)
            _log.info("{place} answers again", place=place)

    def _refused(self, place: str, why: Refused) -> None:
        self._avoided.discard(place)  # it has answered
        if place not in self._refusing:
            _log.warn("{place} is avoided: {why}", place=place, why=why)
        until = self._clock.seconds() + REFUSED
        self._refusing[place] = _Refusing(_lasting(self._find(place)), until)

    def _counting(self, places: Iterable[str]) -> Iterable[Peer]:
        for place in places:
            peer = self._find(place)
            if peer is not None and peer.counts and place not in self._own:
                yield peer

    def _find(self, place: str) -> Peer | None:
        kind = "store" if ":" in place else "prism"
        return self._registry.peer(f"{kind}:{place}")


def _lasting(peer: Peer | None) -> Peer | None:
    """What of a peer does not change while it runs undisturbed."""
    return peer and evolve(peer, renewed=0, free=0, capacity=0, care=None)


def _reason(why: Exception | str | None) -> str:
    """Never empty. Who gave a request up knows no more than that."""
    if isinstance(why, CancelledError):
        return "no answer in time"
    if why is None:
        return "no answer"
    return str(why) or type(why).__name__
