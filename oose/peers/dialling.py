"""What a connection to a peer takes: where it is, by what names it goes, what it is shown."""

from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen
from hyperlink import URL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from oose import __version__
from oose.credentials import Credentials
from oose.keepalive import keep_alive
from oose.line import Line, LineEndpoint, Resolve
from oose.peers.connections import PeerPool


@frozen
class Address:
    """A peer's base URL; `peer` is what it is called in messages."""

    url: str
    peer: str = field(init=False)
    _base: bytes = field(init=False)

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        peer = parts.netloc.rpartition("@")[2]
        bare = f"{parts.scheme}://{peer}{parts.path.rstrip('/')}"
        object.__setattr__(self, "peer", peer)
        object.__setattr__(self, "_base", URL.from_text(bare).to_uri().to_text().encode("ascii"))

    def at(self, path: str) -> bytes:
        """The URL of one of the peer's routes."""
        return self._base + path.encode("ascii")


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
@frozen
class KeptAlive:
    """Connections whose end is noticed although nothing moves on them."""

    endpoint: LineEndpoint

    def endpointForURI(self, uri: URI) -> "KeptAlive":
        """See `IAgentEndpointFactory`."""
        return KeptAlive(self.endpoint.endpointForURI(uri))

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        """See `IStreamClientEndpoint`."""
        return self.endpoint.connect(protocolFactory).addCallback(_kept_alive)


def _kept_alive(protocol: Any) -> Any:
    keep_alive(protocol.transport)
    return protocol


@frozen
class Dialling:
    """Connects to peers; `policy` judges their certificates."""

    reactor: IReactorTCP
    clock: IReactorTime
    policy: IPolicyForHTTPS
    resolve: Resolve
    credentials: Credentials

    def agent(self, line: Line, pool: PeerPool | None = None) -> Agent:
        """An agent whose connections go over `line`: one after the other where there is a pool."""
        endpoints = KeptAlive(LineEndpoint(self.reactor, line, self.resolve, self.policy))
        pool = pool or PeerPool(self.reactor, persistent=False)
        agent: Agent = Agent.usingEndpointFactory(self.reactor, endpoints, pool)
        return agent

    def headers(self) -> Headers:
        """Who we are, with the credentials that peers share."""
        who = f"{self.credentials.username}:{self.credentials.password}".encode()
        return Headers(
            {
                b"User-Agent": [b"OOSE/" + __version__.encode("ascii")],
                b"Authorization": [b"Basic " + b64encode(who)],
            }
        )
