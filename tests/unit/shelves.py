"""A prism's downloads in front of stores on loopback, real rooms and others that a test scripts."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from types import SimpleNamespace
from typing import Any, ClassVar

from attrs import define, field
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from oose import tls
from oose.credentials import Credentials
from oose.deliver.caching import PURCHASED
from oose.deliver.delivery import Deliveries, Outgoing
from oose.disk import Disk
from oose.downloads import Downloads
from oose.errors import NotAuthenticated
from oose.existence import Existence
from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord
from oose.pool import Inline
from oose.readers import Nobody, Readers
from oose.relay import Relay
from oose.volume import OpenFile, Volume
from oose.web.answers import Answer
from oose.web.fields import Fields, json_body
from oose.web.intake import IntakeRequest
from oose.web.routing import Access, Routes
from oose.web.site import RoomSite
from tests.machine.talk import Connection, Response, connect, parse, request
from tests.real import reactor

CREDENTIALS = Credentials("störe", "p:w")
HASH = "a" * 40
PATIENCE = 5.0
IDLE = 60.0

shelf_routes = Routes()
desk_routes = Routes()


class Shelf:
    """The room of a store with one file."""

    routes: ClassVar[Routes] = shelf_routes
    app: ClassVar[Klein] = shelf_routes.app
    server_name = b"oose"

    def __init__(self, file: Path, etag: str) -> None:
        self.asked: list[str | None] = []
        self._file = file
        self._etag = etag
        self._deliveries = Deliveries(Clock(), IDLE)
        self._volume = Volume(Disk(file.parent.parent, "s", 0), Inline())

    async def authorise(self, request: IntakeRequest, access: Access) -> None:
        if not CREDENTIALS.match(request.header(b"authorization")):
            raise NotAuthenticated("Not a peer")

    def count(self, endpoint: str, status: int) -> None:
        pass

    async def open(self, record: object) -> OpenFile:
        return await self._volume.open(self._file.name)

    @shelf_routes.at("/content/download", "POST", access=Access.PEER, body=json_body)
    async def download(self, request: IntakeRequest, fields: Fields) -> Answer | None:
        assert fields.hash() == HASH
        self.asked.append(request.header(b"range"))
        outgoing = Outgoing(self._etag, "text/plain", "inline", PURCHASED)
        return await self._deliveries.deliver(request, outgoing, lambda: self.open(None))


class Desk:
    """The room of a prism that sends what is on the shelves."""

    routes: ClassVar[Routes] = desk_routes
    app: ClassVar[Klein] = desk_routes.app
    server_name = b"oose"

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    async def authorise(self, request: IntakeRequest, access: Access) -> None:
        pass

    def count(self, endpoint: str, status: int) -> None:
        pass

    @desk_routes.at("/film", "GET")
    async def film(self, request: IntakeRequest) -> Answer | None:
        return await self._downloads.send(request, HASH)


@define
class Scripted(Factory):
    """A store that sends `data` as far as `until` says for each request, the last for good.

    Then it closes, or `stays`. Where there are `answers`, these are given as they are instead.
    """

    data: bytes
    until: list[int] = field(factory=list)
    stays: bool = False
    etag: str = HASH
    answers: list[bytes] = field(factory=list)
    asked: list[str] = field(factory=list)
    reached: Deferred[None] = field(factory=Deferred)
    left: Deferred[None] = field(factory=Deferred)
    connections: list["ScriptedConnection"] = field(factory=list)

    def buildProtocol(self, addr: object) -> Any:
        self.connections.append(ScriptedConnection(self))
        return self.connections[-1]

    def say(self, wanted: str) -> bytes:
        self.asked.append(wanted)
        if not self.reached.called:
            self.reached.callback(None)
        if self.answers:
            return self.answers.pop(0)
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
        assert match
        start, last = int(match[1]), int(match[2])
        until = self.until.pop(0) if self.until else len(self.data)
        body = self.data[start : max(start, min(last + 1, until))]
        return head_of(start, last + 1, len(self.data), self.etag) + body


class ScriptedConnection(Protocol):
    transport: Any

    def __init__(self, store: Scripted) -> None:
        self.store = store
        self.taken = b""
        self.over = False

    def dataReceived(self, data: bytes) -> None:
        self.taken += data
        head, _, body = self.taken.partition(b"\r\n\r\n")
        if not body.endswith(b"}"):
            return
        wanted = re.search(rb"\nRange: (.*?)\r", head, re.IGNORECASE)
        assert wanted
        self.transport.write(self.store.say(wanted[1].decode()))
        if not self.store.stays:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over = True
        if not self.store.left.called:
            self.store.left.callback(None)


def head_of(start: int, stop: int, size: int, etag: str = HASH, status: int = 206) -> bytes:
    """The head of a store's answer."""
    return (
        f'HTTP/1.1 {status} Whatever\r\nETag: "{etag}"\r\nContent-Length: {stop - start}\r\n'
        f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n"
    ).encode()


class Watching(Nobody):
    """Remembers which stores failed."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def failed(self, place: str, why: Exception | str | None = None) -> None:
        self.failures.append(place)


class Desks:
    """A prism and its stores, in the order in which they are to be asked."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.clock = Clock()
        self.relay_clock = Clock()
        self.loads: dict[str, Any] = {}
        self.local: dict[str, Any] = {}
        self.urls: dict[str, str] = {}
        self.sites: dict[str, RoomSite] = {}
        self.watching = Watching()
        self.readers = Readers(self.loads, lambda: 0.5, watcher=self.watching)
        self.deliveries = Deliveries(self.clock, IDLE)
        self.counted: list[str] = []
        self.port = 0
        self.policy = tls.client_policy(verify=True, own=None)
        self._ports: list[Any] = []
        self._scripted: list[Scripted] = []

    def start(self) -> None:
        """Open the prism."""
        database: Any = self
        registry: Any = self
        existence = Existence(database, registry, self.clock, 30.0)
        relay = Relay(
            reactor, registry, self.policy, CREDENTIALS, clock=self.relay_clock, patience=PATIENCE
        )
        downloads = Downloads(
            self.local,
            existence,
            self.readers,
            self.deliveries,
            relay,
            count=self.counted.append,
        )
        self.port = self._listen(RoomSite(Desk(downloads), idle_timeout=IDLE, clock=Clock()))

    def script(self, *stores: Scripted, context: CertificateOptions | None = None) -> None:
        """Add stores that do what they are told."""
        for store in stores:
            self._scripted.append(store)
            scheme = "https" if context else "http"
            port = self._listen(store, context)
            self.urls[f"p2:s{len(self.urls)}"] = f"{scheme}://127.0.0.1:{port}"

    def shelve(self, folder: Path, *, etag: str = HASH, data: bytes | None = None) -> Shelf:
        """Add a real room that has the content."""
        place = f"p2:s{len(self.urls)}"
        content = folder / place / "content"
        content.mkdir(parents=True)
        (content / "file").write_bytes(self.data if data is None else data)
        shelf = Shelf(content / "file", etag)
        self.sites[place] = RoomSite(shelf, idle_timeout=IDLE, clock=Clock())
        self.urls[place] = f"http://127.0.0.1:{self._listen(self.sites[place])}"
        return shelf

    def cut(self, place: str) -> int:
        """Abort all connections of a real room; how many there were."""
        channels = list(self.sites[place]._channels)
        for channel in channels:
            channel.transport.abortConnection()
        return len(channels)

    async def ask(self, method: str = "GET", **headers: str) -> Response:
        connection = await self.begin(method, None, **headers)
        return parse(await connection.closed)

    async def begin(
        self, method: str = "GET", buffer: int | None = None, **headers: str
    ) -> Connection:
        """Ask; with `buffer` little lies in the client's system while it takes nothing."""
        connection = await connect(self.port)
        if buffer is not None:
            connection.transport.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, buffer)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.transport.write(request(method, "/film", given))
        return connection

    async def stop(self) -> None:
        for store in self._scripted:
            for connection in store.connections:
                if not connection.over:
                    connection.transport.abortConnection()
        for port in self._ports:
            await port.stopListening()

    def _listen(self, factory: Any, context: CertificateOptions | None = None) -> int:
        if context is None:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        else:
            port = reactor.listenSSL(0, factory, context, interface="127.0.0.1")
        self._ports.append(port)
        number: int = port.getHost().port
        return number

    # As the inventory and the registry.

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        return {prefix: [self._document(place) for place in self.urls] for prefix in prefixes}

    def store(self, place: str) -> Any:
        url = self.urls[place]
        return SimpleNamespace(url=url) if url else None

    def serving(self, place: str) -> Any:
        return place

    def _document(self, place: str) -> Document:
        prism, _, store = place.partition(":")
        size = len(self.data)
        record = InventoryRecord(HASH, prism, store, "text/plain", "txt", "file", size, 1)
        return Document(record.id, "1-x", record.to_body())


@asynccontextmanager
async def desks(data: bytes, *stores: Scripted) -> AsyncIterator[Desks]:
    """A started prism in front of scripted stores."""
    made = Desks(data)
    made.script(*stores)
    made.start()
    try:
        yield made
    finally:
        await made.stop()
