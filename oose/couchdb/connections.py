"""Connections to CouchDB, kept for the next request, and closed at once when they are given up.

Twisted's agent does not close a connection in the middle of an answer, and closes one over TLS
only when the other side agrees; a server that hangs never does.
"""

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS, IResponse
from zope.interface import implementer

KEPT = 16  # connections that wait for the next request
KEPT_FOR = 4  # seconds; some servers close theirs after 5


def pooled_agent(reactor: Any, policy: IPolicyForHTTPS) -> tuple[Agent, HTTPConnectionPool]:
    """An agent and the connections it keeps; `policy` judges certificates."""
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = KEPT
    pool.cachedConnectionTimeout = KEPT_FOR
    pool.retryAutomatically = False  # the client knows what may be repeated
    return Agent.usingEndpointFactory(reactor, _Endpoints(reactor, policy), pool), pool


async def read_body(response: IResponse) -> bytes:
    """All of an answer. Cancelling this closes the connection."""
    pieces: list[bytes] = []
    body = _Body(pieces.append)
    response.deliverBody(body)
    await body.finished
    return b"".join(pieces)


class _Body(Protocol):
    transport: IPushProducer | None  # type: ignore[assignment]

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self.finished: Deferred[None] = Deferred(self._give_up)
        self._feed = feed

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        self._feed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `IProtocol`; whether all is there, its JSON tells where the length does not."""
        if self.finished.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.finished.callback(None)
        else:
            self.finished.errback(reason)

    def _give_up(self, _: Deferred[None]) -> None:
        assert self.transport is not None
        self.transport.stopProducing()


class _Wire(ProtocolWrapper):
    def stopProducing(self) -> None:
        """Close the connection at once."""
        self.abortConnection()


class _Wires(WrappingFactory[_Wire]):
    protocol = _Wire
    noisy = False


@implementer(IStreamClientEndpoint)
@frozen
class _Endpoint:
    inner: IStreamClientEndpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        """See `IStreamClientEndpoint`."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        wire: Any = await self.inner.connect(_Wires(factory))
        inner: IProtocol = wire.wrappedProtocol
        return inner


@implementer(IAgentEndpointFactory)
@frozen
class _Endpoints:
    reactor: Any
    policy: IPolicyForHTTPS

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """See `IAgentEndpointFactory`."""
        endpoint: IStreamClientEndpoint = HostnameEndpoint(self.reactor, uri.host, uri.port)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(self.policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return _Endpoint(endpoint)
