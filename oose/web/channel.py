"""The connection: everything oose has to know of Twisted's private side stands in this module.

`twisted.web.http.HTTPChannel` answers what it cannot parse with a bare `400`, and knows a
request's method and path only privately while the headers are in and the body is not. Tests pin
the private names used here, so that an upgrade of Twisted that moves them fails loudly.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer

from oose.errors import BadInput, HeaderTooLarge, OoseError, TooSlow
from oose.keepalive import keep_alive
from oose.web.answers import error_bytes

LINGER_SECONDS = 5.0
LINGER_BYTES = 8 * 1024 * 1024
ON_ITS_WAY = 2.0  # seconds for which a request may be, on a connection that looks idle
RECEIVE_BYTES = 256 * 1024  # a receive while a body streams in: 64 KiB costs a third more CPU
USUAL_RECEIVE_BYTES = 64 * 1024


class Held(Protocol):
    """What lasts from one request to the next, and no longer than their connection."""

    def lost(self) -> None:
        """The connection has ended."""
        ...


@implementer(IHalfCloseableProtocol)
class IntakeChannel(HTTPChannel):
    """An HTTP/1.1 connection that refuses in JSON and closes so that the answer arrives."""

    maxHeaders = 100
    totalHeadersSize = 32 * 1024
    MAX_LENGTH = 32 * 1024

    transport: Any  # TCP or TLS: more than `ITransport` promises
    site: Any
    closed: Callable[["IntakeChannel"], None] = staticmethod(lambda channel: None)
    _host: Any = None
    _lingering: IDelayedCall | None = None
    _discarded = 0
    _ending = False
    _closes_on_release = False
    _is_last = False  # the next request, or the one under way
    held: Held | None = None
    is_paused = False  # by whoever takes the body

    # What the request asks of its channel.

    def head(self) -> tuple[bytes, bytes, bytes]:
        """Method, request target and version, from when the headers are in to the body's end."""
        return self._command, self._path, self._version

    def getHost(self) -> Any:
        """See `ITransport`: our end of the connection, which stays the same for all requests."""
        if self._host is None:
            self._host = super().getHost()
        return self._host

    def close_after_this(self) -> None:
        """Take no further request on this connection, but for those that end what it holds.

        Where no client has been told so, because nothing is being answered or the answer's head has
        gone out, one more may be on its way: it is waited for, and its answer says `close`.
        """
        if self.held is not None:
            self._closes_on_release = True
            return
        self._is_last = True
        if not self.requests:
            self.setTimeout(ON_ITS_WAY)
        elif not self.requests[0].startedWriting:
            self.persistent = False

    def hold(self, held: Held) -> None:
        """Let `held` live until it is released or the connection ends: between requests on it no
        time is too long, but a client that dies is noticed.
        """
        self.held = held
        keep_alive(self.transport)

    def release(self) -> None:
        """Nothing is held any more."""
        self.held = None
        if self._closes_on_release:
            self.persistent = False

    def pause_intake(self) -> None:
        """Read nothing more for now; the idle time-out rests, as it is not the client's fault."""
        self.setTimeout(None)
        self.is_paused = True
        self.transport.pauseProducing()

    def resume_intake(self) -> None:
        """Read on. While a request is being answered, however long that takes, nothing is due."""
        if not self._handlingRequest:
            self.setTimeout(self.site.timeOut)
        self.is_paused = False
        self.transport.resumeProducing()

    def widen(self, size: int = RECEIVE_BYTES) -> None:
        """Receive up to `size` bytes at once."""
        tcp = self.transport
        while hasattr(tcp, "wrappedProtocol"):  # TLS stands between
            tcp = tcp.transport
        tcp.bufferSize = size

    def send_continue(self) -> None:
        """Tell a client that waits for it to send its body (RFC 9110 section 10.1.1)."""
        self._send100Continue()

    def linger(self) -> None:
        """Close after an answer that was written before the body had ended.

        To close at once would reset the connection while the client still sends, and it might never
        see the answer: end our side, throw away what comes for a while, then give up. Nothing
        of it is ever parsed as another request.
        """
        if self._lingering is not None:
            return
        self.persistent = False
        self.setTimeout(None)
        network: Any = self._networkProducer
        network.unregisterProducer()
        self.transport.resumeProducing()
        self.clearLineBuffer()
        self._lingering = self.callLater(LINGER_SECONDS, self.transport.abortConnection)
        if not self.isSecure():  # TLS has no half-closed state: the client closes on the answer
            self.transport.loseWriteConnection()

    # What Twisted's channel calls.

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol.dataReceived`."""
        if self._lingering is None:
            if self._is_last and not self.requests:
                self.setTimeout(self.site.timeOut)  # it has come
            super().dataReceived(data)
            return
        self._discarded += len(data)
        if self._discarded > LINGER_BYTES:
            self.transport.abortConnection()

    def refuse(self, error: OoseError) -> None:
        """Answer what never became a request, and close."""
        self.transport.write(error_bytes(error))
        self.linger()

    def _respondToBadRequestAndDisconnect(self) -> None:
        if self._receivedHeaderSize > self.totalHeadersSize:
            limit = self.totalHeadersSize
            self.refuse(HeaderTooLarge(f"The headers are over the limit of {limit} bytes"))
        elif self._receivedHeaderCount > self.maxHeaders:
            self.refuse(HeaderTooLarge(f"There are more than {self.maxHeaders} headers"))
        else:
            self.refuse(BadInput("The request is not well-formed HTTP/1.1"))

    def lineLengthExceeded(self, line: bytes) -> None:
        """See `LineReceiver`: a line of the header section is over `MAX_LENGTH` bytes."""
        self.refuse(
            HeaderTooLarge(f"A line of the headers is over the limit of {self.MAX_LENGTH} bytes")
        )

    def timeoutConnection(self) -> None:
        """Nothing came for too long: say so where a request had begun, else just close."""
        request = self.requests[-1] if self.requests else None
        if request is None or request.startedWriting:
            super().timeoutConnection()
        else:
            request.fail(TooSlow(f"Nothing was received for {self.site.timeOut:g} seconds"))

    def readConnectionLost(self) -> None:  # noqa: N802
        """See `IHalfCloseableProtocol`: one that ends within a request is told; others are gone."""
        request = self.requests[-1] if self.requests else None
        if request is not None and not request.is_whole and not request.startedWriting:
            request.fail(BadInput("The request is cut short"))
            self.transport.loseConnection()
        else:
            self.transport.connectionLost(Failure(ConnectionDone()))

    def writeConnectionLost(self) -> None:  # noqa: N802
        """See `IHalfCloseableProtocol`: we did that; see `linger`."""

    def loseConnection(self) -> None:
        """See `HTTPChannel`. TLS ends when the other side agrees: listen for that, not forever."""
        if self._ending:
            return
        self._ending = True
        self.transport.resumeProducing()
        super().loseConnection()
        self.setTimeout(self.site.timeOut)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """See `Protocol.connectionLost`."""
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        super().connectionLost(reason)
        held, self.held = self.held, None
        if held is not None:
            held.lost()
        self.closed(self)

    def requestDone(self, request: Request) -> None:
        """See `HTTPChannel`: the answer is complete and another request may come."""
        self.widen(USUAL_RECEIVE_BYTES)
        # Also where intake was paused when the body ended.
        self._savedTimeOut = ON_ITS_WAY if self._is_last else self.site.timeOut
        super().requestDone(request)
        if self.held is not None and not self.requests:
            self.setTimeout(None)

    def checkPersistence(self, request: Request, version: bytes) -> bool:  # noqa: N802
        """See `HTTPChannel`: whether another request may come after this one."""
        return super().checkPersistence(request, version) and not self._is_last

    def allHeadersReceived(self) -> None:  # noqa: N802
        """See `HTTPChannel`: from here on a body is due."""
        if self.held is not None:
            self.setTimeout(self.site.timeOut)
        super().allHeadersReceived()
