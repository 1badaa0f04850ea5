"""Connections to one peer that are held: what is done over one belongs together.

A link is used by one reception at a time, over its only connection: when that ends, what was begun
over it is undone by the peer, and the link is of no more use.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.iweb import IBodyProducer

from oose.errors import OoseError, Unavailable
from oose.line import Line
from oose.peers.answers import Unreachable, exchange
from oose.peers.attendance import Attendance, Attending
from oose.peers.connections import PeerPool
from oose.peers.dialling import Address, Dialling
from oose.peers.stream import WholeBody

YOUNG = 15.0  # seconds for which one that was used waits to be used again
MOST_IDLE = 32
MOST_USES = 100  # the answers on one connection are bounded together: see `oose.line`
HELD = 30 * 86400  # seconds after which Twisted would close one that waits


class Link:
    """One connection to a peer, made by the first request over it."""

    def __init__(self, address: Address, dialling: Dialling, attending: Attending) -> None:
        self.uses = 0
        self._address = address
        self._headers = dialling.headers()
        self._attending = attending
        self._line = Line()
        self._pool = PeerPool(dialling.clock, persistent=True)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = HELD
        self._agent = dialling.agent(self._line, self._pool)
        self._asking: Deferred[Mapping[str, Any]] | None = None
        self._closed: OoseError | None = None

    @property
    def peer(self) -> str:
        """What the peer is called in messages."""
        return self._address.peer

    @property
    def is_lost(self) -> bool:
        """Whether its connection has ended, by whomever."""
        return self._line.ended is not None or self._closed is not None

    async def ask(self, method: str, path: str, body: IBodyProducer | None) -> Mapping[str, Any]:
        """One request, for as long as it takes; errors as in `exchange`."""
        if self._closed is not None:
            raise self._closed
        self._asking = Deferred.fromCoroutine(
            exchange(
                self._agent,
                method.encode("ascii"),
                self._address.at(path),
                self._headers,
                body,
                self.peer,
            )
        )
        try:
            return await self._asking
        except (CancelledError, OoseError):
            if self._closed is not None:  # which is why it failed
                raise self._closed from None
            raise
        finally:
            self._asking = None

    async def ask_within_patience(
        self, method: str, path: str, chunks: Sequence[bytes] = ()
    ) -> Mapping[str, Any]:
        """One request with a whole body, given up where the peer does not go on."""
        body = WholeBody(chunks) if method == "PUT" else None
        with self.attended(lambda: 0):
            return await self.ask(method, path, body)

    def attended(self, moved: Callable[[], int]) -> Attendance:
        """Within it, the link is closed where the peer does not go on."""
        return self._attending.to(lambda why: self.close(Unreachable(why)), moved)

    def close(self, why: OoseError | None = None) -> None:
        """Close the connection at once; what waits for an answer gets `why`."""
        if self._closed is None:
            self._closed = why or Unavailable("The upload was given up")
            self._line.abort()
            _ = self._pool.closeCachedConnections()
            if self._asking is not None:
                self._asking.cancel()


class Links:
    """Links to one peer; those that are idle are kept while they are young."""

    def __init__(self, make: Callable[[], Link], clock: IReactorTime) -> None:
        self._make = make
        self._clock = clock
        self._idle: dict[Link, IDelayedCall] = {}

    def take(self) -> Link:
        """One that is used by nobody."""
        while self._idle:
            link, closing = self._idle.popitem()  # the youngest
            closing.cancel()
            link.uses += 1
            if not link.is_lost:
                return link
            link.close()
        return self._make()

    def give(self, link: Link) -> None:
        """It is not used any more."""
        if link.is_lost or link.uses >= MOST_USES or len(self._idle) >= MOST_IDLE:
            link.close()
        else:
            self._idle[link] = self._clock.callLater(YOUNG, self._drop, link)

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            link, closing = self._idle.popitem()
            closing.cancel()
            link.close()

    def _drop(self, link: Link) -> None:
        del self._idle[link]
        link.close()
