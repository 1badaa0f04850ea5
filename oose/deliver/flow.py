"""How fast a client takes an answer. One that takes nothing for `patience` seconds is cut off."""

from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer


class Source(Protocol):
    """What sends by itself, as fast as it is let."""

    def pause(self) -> None:
        """Send nothing for now."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...

    def stop(self) -> None:
        """The client has left: send nothing any more."""
        ...


@implementer(IPushProducer)
class Flow:
    """The way of the bytes of one answer, from whatever sends them to the client.

    A sender either waits for room, or is a `source` that is told when to hold back.
    """

    def __init__(self, request: Any, clock: IReactorTime, patience: float) -> None:
        self.request = request
        self.stopped = False
        self._clock = clock
        self._patience = patience
        self._flowing = True
        self._source: Source | None = None
        self._waiting: Deferred[None] | None = None
        self._late: IDelayedCall | None = None

    @property
    def sent(self) -> int:
        """Bytes on their way to the client so far, without the head of the answer."""
        return int(self.request.sentLength)

    def start(self) -> None:
        """Listen to how fast the client takes what it is sent."""
        self.request.registerProducer(self, True)

    def end(self) -> None:
        """All is sent, or given up."""
        self._settle()
        if not self.stopped:
            self.request.unregisterProducer()

    def write(self, data: bytes) -> None:
        """Send `data` now; the head goes first where it has not gone yet."""
        self.request.write(data)

    def attend(self, source: Source | None) -> None:
        """From now on tell `source` when to hold back and when to stop; None for nobody."""
        self._source = source
        if source is not None and not self._flowing:
            source.pause()

    async def wait(self) -> bool:
        """Wait until the client takes more; False when it has left or is too slow."""
        if not self._flowing and not self.stopped:
            self._waiting = Deferred()
            await self._waiting
        return not self.stopped

    def arm(self) -> None:
        """For who writes to the socket itself: have `wait` wait until the socket takes more."""
        if not self.stopped:
            self._hold()
            transport = self.request.transport
            transport.producerPaused = True
            transport.startWriting()

    # As a producer.

    def pauseProducing(self) -> None:
        """See `IPushProducer`."""
        self._hold()
        if self._source is not None:
            self._source.pause()

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""
        self._flowing = True
        self._settle()
        if self._source is not None:
            self._source.resume()
        self._wake()

    def stopProducing(self) -> None:
        """See `IProducer`: the connection is gone."""
        self.stopped = True
        self._settle()
        if self._source is not None:
            self._source.stop()
        self._wake()

    def _hold(self) -> None:
        self._flowing = False
        if self._late is None:
            self._late = self._clock.callLater(self._patience, self._give_up)

    def _settle(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            late.cancel()

    def _give_up(self) -> None:
        self._late = None
        self.request.transport.abortConnection()
        self.stopProducing()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
