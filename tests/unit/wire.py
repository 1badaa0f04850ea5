"""A connection in memory to a room: what a client sends, and what it gets."""

import json
from typing import Any

from attrs import define, field, frozen
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from oose.web.intake import Room
from oose.web.site import RoomSite


@frozen
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class MemoryTransport(StringTransport):
    protocol: Any = None
    bufferSize = 65536  # noqa: N815
    half_closed = False
    aborted = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True


@define
class Wire:
    """One connection. `clock` drives its time-outs."""

    room: Room
    clock: Clock = field(factory=Clock)
    idle_timeout: float = 60.0
    site: RoomSite = field(init=False)
    transport: MemoryTransport = field(init=False)
    channel: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.site = RoomSite(self.room, idle_timeout=self.idle_timeout, clock=self.clock)
        self.connect()

    def connect(self) -> None:
        """Another connection to the same site."""
        self.channel = self.site.buildProtocol(None)
        self.transport = MemoryTransport()
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> "Wire":
        self.channel.dataReceived(data)
        return self

    def leave(self) -> None:
        """The client closes the connection."""
        self.channel.connectionLost(Failure(ConnectionDone()))

    @property
    def raw(self) -> bytes:
        return bytes(self.transport.value())

    def responses(self) -> list[Response]:
        """All answers so far that are complete."""
        found, rest = [], self.raw
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
            length = int(headers.get("content-length", 0))
            found.append(Response(int(first.split()[1]), headers, rest[:length]))
            rest = rest[length:]
        return found

    def response(self) -> Response:
        (only,) = self.responses()
        return only


def request(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """A whole request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: prism.example"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def json_request(method: str, path: str, value: object, **headers: str) -> bytes:
    given = {"Content-Type": "application/json"}
    given.update({name.replace("_", "-"): text for name, text in headers.items()})
    return request(method, path, json.dumps(value).encode(), given)
