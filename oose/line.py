"""Connections to other servers, one for each request, which whoever asked can close at any time.

Twisted's agent hides its connections: it neither closes one in the middle of an answer, nor bounds
the head of an answer, nor says whether a connection was closed in order.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionDone, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorTCP,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""All addresses of a host, as text."""

CONNECT_TIMEOUT = 10  # seconds for each address
MAX_HEAD = 256 * 1024
RECEIVE = 256 * 1024


def resolve_by(resolver: IHostnameResolver) -> Resolve:
    """A reactor's resolver as a `Resolve`, which fails with `DNSLookupError` for no address."""

    async def resolve(host: str) -> Sequence[str]:
        answer = _Answer()
        resolver.resolveHostName(answer, host)
        addresses = await answer.complete
        if not addresses:
            raise DNSLookupError(host)
        return addresses

    return resolve


@implementer(IResolutionReceiver)
class _Answer:
    def __init__(self) -> None:
        self.complete: Deferred[Sequence[str]] = Deferred()
        self._addresses: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N802, N803
        """Nothing yet."""

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802
        """One more."""
        self._addresses.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:  # noqa: N802
        """That is all of them."""
        self.complete.callback(self._addresses)


class Line:
    """One connection, from the outside: what it may still receive, how it ended, and the plug."""

    def __init__(self) -> None:
        self.ended: Failure | None = None
        self._head_left: int | None = MAX_HEAD
        self._wire: _Wire | None = None

    @property
    def ended_cleanly(self) -> bool:
        """Whether the server closed it in order, not the network or an attacker."""
        return self.ended is not None and isinstance(self.ended.value, ConnectionDone)

    def take_body(self) -> None:
        """The head of the answer is there: what comes now is somebody else's to bound."""
        self._head_left = None
        if self._wire is not None:
            self._wire.widen()

    def abort(self) -> None:
        """Close it at once. Harmless at any time."""
        if self._wire is not None:
            self._wire.abort()

    def opened(self, wire: "_Wire") -> None:
        """It is connected."""
        self._wire = wire

    def received(self, size: int) -> bool:
        """Whether `size` more bytes are within what a head may have."""
        if self._head_left is None:
            return True
        self._head_left -= size
        return self._head_left >= 0

    def lost(self, reason: Failure) -> None:
        """It is over."""
        self.ended = reason
        self._wire = None


class _Wire(ProtocolWrapper):
    """Passes everything through, and lets the `Line` know."""

    factory: "_Wires"

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        self.factory.line.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        if self.factory.line.received(len(data)):
            super().dataReceived(data)
        else:
            self.abort()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """See `IProtocol`."""
        self.factory.line.lost(reason)
        super().connectionLost(reason)

    def widen(self) -> None:
        """Take more of a fast source at a time than Twisted's 64 KiB."""
        self.transport.bufferSize = RECEIVE  # type: ignore[union-attr]

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abortConnection()  # type: ignore[union-attr]


class _Wires(WrappingFactory[_Wire]):
    protocol = _Wire
    noisy = False

    def __init__(self, factory: IProtocolFactory, line: Line) -> None:
        super().__init__(factory)
        self.line = line


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
@frozen
class LineEndpoint:
    """Has an `Agent` connect `line` to the first of `addresses` that can be reached.

    The host's addresses are asked for once, and nothing else is connected to. Fails with what
    `addresses` raises, or with the error of the last address. `policy` judges certificates.
    """

    reactor: IReactorTCP
    line: Line
    addresses: Resolve
    policy: IPolicyForHTTPS
    uri: URI | None = None

    def endpointForURI(self, uri: URI) -> "LineEndpoint":
        """See `IAgentEndpointFactory`."""
        return evolve(self, uri=uri)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        """See `IStreamClientEndpoint`."""
        assert self.uri is not None
        return Deferred.fromCoroutine(self._connect(protocolFactory, self.uri))

    async def _connect(self, factory: IProtocolFactory, uri: URI) -> IProtocol:
        wires = _Wires(factory, self.line)
        addresses = await self.addresses(uri.host.decode("ascii"))
        for address in addresses[:-1]:
            try:
                return await self._connect_to(address, uri, wires)
            except ConnectError:
                continue  # the next may be reachable: IPv6 without a route is common
        return await self._connect_to(addresses[-1], uri, wires)

    async def _connect_to(self, address: str, uri: URI, wires: _Wires) -> IProtocol:
        family = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        endpoint: IStreamClientEndpoint = family(
            self.reactor, address, uri.port, timeout=CONNECT_TIMEOUT
        )
        if uri.scheme == b"https":
            creator = self.policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        wire = cast("_Wire", await endpoint.connect(wires))
        return wire.wrappedProtocol
