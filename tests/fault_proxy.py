"""A TCP proxy that does to a connection what a bad network or a bad server would.

What goes wrong is decided for each exchange, a request and its answer: the proxy knows no protocol,
an exchange begins when the client sends something after an answer, or at first. `script` says what
happens to the next ones; when it is used up, `rule` does for all others.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.real import reactor


@define(eq=False)
class Fault:
    """Nothing goes wrong. `struck` fires when the fault has done what it does."""

    struck: Deferred[None] = field(factory=Deferred, init=False)

    def request(self, link: "Link", data: bytes) -> None:
        """The client has sent `data`."""
        link.to_server(data)

    def answer(self, link: "Link", data: bytes) -> None:
        """The server has sent `data`."""
        link.to_client(data)
        self.strike()

    def strike(self) -> None:
        if not self.struck.called:
            self.struck.callback(None)


class Silence(Fault):
    """The request never arrives, and nothing comes back."""

    def request(self, link: "Link", data: bytes) -> None:
        self.strike()


class LostAnswer(Fault):
    """The request arrives, and is done; the connection stays, but nothing comes back."""

    def answer(self, link: "Link", data: bytes) -> None:
        self.strike()


class ResetBefore(Fault):
    """The connection breaks before the request has arrived."""

    def request(self, link: "Link", data: bytes) -> None:
        link.abort()
        self.strike()


class ResetAfter(Fault):
    """The request arrives, and is done; then the connection breaks without an answer."""

    def answer(self, link: "Link", data: bytes) -> None:
        link.abort()
        self.strike()


@define(eq=False)
class Truncated(Fault):
    """So many bytes of the answer come, then the connection breaks."""

    size: int

    def answer(self, link: "Link", data: bytes) -> None:
        some, self.size = data[: self.size], max(0, self.size - len(data))
        link.to_client(some)
        if self.size == 0:
            link.close()
            self.strike()


@define(eq=False)
class CutShort(Fault):
    """So many bytes of the request arrive, then the connection breaks."""

    size: int

    def request(self, link: "Link", data: bytes) -> None:
        some, self.size = data[: self.size], max(0, self.size - len(data))
        link.to_server(some)
        if self.size == 0:
            link.close()
            self.strike()


@define(eq=False)
class Stalled(Fault):
    """So many bytes of the request arrive, and nothing more; the connection stays."""

    size: int

    def request(self, link: "Link", data: bytes) -> None:
        some, self.size = data[: self.size], max(0, self.size - len(data))
        link.to_server(some)
        if self.size == 0:
            self.strike()


@define(eq=False)
class Says(Fault):
    """The request never arrives; this comes back instead, and the connection is closed."""

    text: bytes

    def request(self, link: "Link", data: bytes) -> None:
        link.to_client(self.text)
        link.close()
        self.strike()


@define(eq=False)
class SaysAfter(Fault):
    """The request arrives, and is done; but this comes back, and the connection is closed."""

    text: bytes

    def answer(self, link: "Link", data: bytes) -> None:
        if not self.struck.called:
            link.to_client(self.text)
            link.close()
            self.strike()


@define(eq=False)
class Delayed(Fault):
    """The answer comes when the test says so."""

    held: list[bytes] = field(factory=list, init=False)
    link: "Link | None" = field(default=None, init=False)

    def answer(self, link: "Link", data: bytes) -> None:
        self.held.append(data)
        self.link = link
        self.strike()

    def release(self) -> None:
        assert self.link is not None
        self.link.to_client(b"".join(self.held))


class Link:
    """One client's connection and the server's that belongs to it."""

    def __init__(self, proxy: "FaultProxy", front: Protocol) -> None:
        self._proxy = proxy
        self._front = front
        self._back: Protocol | None = None
        self._waiting: list[bytes] = []
        self._fault: Fault | None = None
        self._is_answered = True

    def connected(self, back: Protocol) -> None:
        self._back = back
        for data in self._waiting:
            self.to_server(data)

    def from_client(self, data: bytes) -> None:
        if self._fault is None or self._is_answered:
            self._fault = self._proxy.next_fault()
            self._is_answered = False
        self._fault.request(self, data)

    def from_server(self, data: bytes) -> None:
        self._is_answered = True
        if self._fault is None:
            self.to_client(data)
        else:
            self._fault.answer(self, data)

    def to_client(self, data: bytes) -> None:
        transport: Any = self._front.transport
        transport.write(data)

    def to_server(self, data: bytes) -> None:
        if self._back is None:
            self._waiting.append(data)
        else:
            transport: Any = self._back.transport
            transport.write(data)

    def abort(self) -> None:
        """Break both connections, as if a machine had gone."""
        for side in (self._front, self._back):
            if side is not None and side.transport is not None:
                transport: Any = side.transport
                transport.abortConnection()

    def close(self) -> None:
        """Close both in order, after what was written."""
        for side in (self._front, self._back):
            if side is not None and side.transport is not None:
                side.transport.loseConnection()


class _Front(Protocol):
    def __init__(self, proxy: "FaultProxy") -> None:
        self._proxy = proxy
        self.link = Link(proxy, self)

    def connectionMade(self) -> None:
        self._proxy.links.append(self.link)
        server = TCP4ClientEndpoint(reactor, "127.0.0.1", self._proxy.target)
        connecting: Any = connectProtocol(server, _Back(self.link))
        connecting.addCallbacks(self.link.connected, lambda _: self.link.abort())

    def dataReceived(self, data: bytes) -> None:
        self.link.from_client(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._proxy.links.remove(self.link)
        self.link.abort()


class _Back(Protocol):
    def __init__(self, link: Link) -> None:
        self._link = link

    def dataReceived(self, data: bytes) -> None:
        self._link.from_server(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._link.close()


class FaultProxy(Factory[Protocol]):
    """Listens on `port` for the server at the port `target`; both on loopback."""

    noisy = False

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.script: deque[Fault] = deque()
        self.rule: Callable[[], Fault] = Fault
        self.exchanges = 0
        self.links: list[Link] = []

    def buildProtocol(self, addr: object) -> Protocol:
        return _Front(self)

    def next_fault(self) -> Fault:
        self.exchanges += 1
        return self.script.popleft() if self.script else self.rule()

    def next(self, *faults: Fault) -> Fault:
        """What happens to the next exchanges; the last of them, to wait for."""
        self.script.extend(faults)
        return faults[-1]

    def break_all(self) -> None:
        """Every connection breaks."""
        for link in list(self.links):
            link.abort()


@asynccontextmanager
async def proxied(target: int) -> AsyncIterator[FaultProxy]:
    """A proxy on a port of its own."""
    proxy = FaultProxy(target)
    listening: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(proxy)
    proxy.port = listening.getHost().port
    try:
        yield proxy
    finally:
        await listening.stopListening()
        proxy.break_all()
