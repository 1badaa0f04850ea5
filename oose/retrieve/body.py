"""The body of an answer on its way to a receiver, which may hold it back."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse

from oose.line import Line

OnPressure = Callable[[Callable[[], None], Callable[[], None]], None]


async def deliver(
    response: IResponse, feed: Callable[[bytes], None], on_pressure: OnPressure, line: Line
) -> None:
    """Pass the whole body to `feed`; pausing and resuming it is offered through `on_pressure`.

    Raises what `feed` raises, and what ended the body where it was not all there. A body of
    unknown length is complete when the server closed the connection in order.
    """
    body = _Body(feed, line)
    on_pressure(body.pause, body.resume)
    response.deliverBody(body)
    body.begun()
    await body.finished


class _Body(Protocol):
    transport: IPushProducer | None  # type: ignore[assignment]

    def __init__(self, feed: Callable[[bytes], None], line: Line) -> None:
        self.finished: Deferred[None] = Deferred(lambda _: self._stop())
        self._feed = feed
        self._line = line
        self._over = False
        self._held = False

    def pause(self) -> None:
        """Have the source wait. What is on its way already may still be fed."""
        self._held = True
        if self.transport is not None:
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Let it go on."""
        self._held = False
        if self.transport is not None:
            self.transport.resumeProducing()

    def begun(self) -> None:
        """Twisted has resumed the source after passing on the first bytes: they may be too many."""
        if self._held:
            self.pause()

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        if self._over:
            return
        try:
            self._feed(data)
        except Exception:
            self._stop()
            self.finished.errback()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `IProtocol`."""
        if self._over:
            return
        self._over = True
        if self._is_whole(reason):
            self.finished.callback(None)
        else:
            self.finished.errback(reason)

    def _is_whole(self, reason: Failure) -> bool:
        if isinstance(reason.value, PotentialDataLoss):
            return self._line.ended_cleanly
        return isinstance(reason.value, ResponseDone)

    def _stop(self) -> None:
        self._over = True
        self._line.abort()
