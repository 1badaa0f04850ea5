"""Talking HTTP/1.1 to a port of this machine, byte by byte where a test wants to."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from tests.real import reactor

BOUNDARY = b"oose-test-boundary"


@frozen
class Response:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The message of an answer that must be an error in JSON and nothing else."""
        value = self.json()
        assert list(value) == ["error"]
        assert isinstance(value["error"], str)
        assert self.headers["content-type"].startswith("application/json")
        return str(value["error"])


class Connection(Protocol):
    """A client's side of a connection; `closed` fires with all that came when it ends."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.closed: Deferred[bytes] = Deferred()
        self._awaited: tuple[bytes, Deferred[None]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self._awaited is not None and self._awaited[0] in self.received:
            waiting, self._awaited = self._awaited[1], None
            waiting.callback(None)

    def connectionLost(self, reason: Failure = Failure(ValueError())) -> None:  # noqa: B008 # as Twisted has it
        self.closed.callback(self.received)

    async def until(self, text: bytes) -> None:
        """Wait until `text` has come."""
        if text not in self.received:
            waiting: Deferred[None] = Deferred()
            self._awaited = (text, waiting)
            await waiting


async def connect(port: int) -> Connection:
    """A new connection to a port of this machine."""
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    connection: Connection = await connectProtocol(endpoint, Connection())
    return connection


async def exchange(port: int, data: bytes) -> bytes:
    """Send `data` and return all that comes until the other side closes."""
    connection = await connect(port)
    connection.transport.write(data)
    return await connection.closed


def parse(raw: bytes) -> Response:
    """The first answer in `raw`, whole."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    assert blank, raw
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    status = int(first.split()[1])
    if status == 100:
        return parse(body)
    if "content-length" in headers:
        body = body[: int(headers["content-length"])]
    return Response(status, headers, body)


def request(
    method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """A whole request; the connection ends after it unless a header says otherwise."""
    given = {"Host": "127.0.0.1", "Connection": "close", **(headers or {})}
    if body is not None and "Transfer-Encoding" not in given:
        given.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + (body or b"")


def basic(credentials: tuple[str, str]) -> Mapping[str, str]:
    """The header of basic authentication."""
    return {"Authorization": "Basic " + b64encode(":".join(credentials).encode()).decode()}


def form(*parts: tuple[str, str] | tuple[str, str, str, bytes]) -> bytes:
    """A multipart body: fields `(name, value)`, files `(name, filename, type, data)`."""
    body = b""
    for part in parts:
        if len(part) == 2:
            name, value = part
            head, data = f'name="{name}"', value.encode()
        else:
            name, filename, kind, data = part
            head = f'name="{name}"; filename="{filename}"\r\nContent-Type: {kind}'
        body += b"--%s\r\nContent-Disposition: form-data; " % BOUNDARY
        body += head.encode() + b"\r\n\r\n" + data + b"\r\n"
    return body + b"--%s--\r\n" % BOUNDARY


FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
