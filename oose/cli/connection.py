"""One connection to a prism, with the standard library: a request, and its answer as it comes."""

import io
import json
import select
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from oose.cli.exits import UNAVAILABLE, CommandFailed, code_of_status
from oose.cli.profile import Profile

# In seconds:
CONNECT_PATIENCE = 20.0
PATIENCE = 330.0  # the answer to an upload comes when all of it is safe
NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}  # what OpenSSL says to plain HTTP
NO_PRISM = "The answer is not one of a prism; is the URL right?"
Headers = Mapping[str, str]


class Rest(io.RawIOBase):
    """What comes from a socket, after `begun`, which was read from it already."""

    def __init__(self, sock: socket.socket, begun: bytes) -> None:
        self._sock = sock
        self._begun = begun

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `HTTPResponse` asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        if not self._begun:
            return self._sock.recv_into(buffer)
        some, self._begun = self._begun[: len(buffer)], self._begun[len(buffer) :]
        buffer[: len(some)] = some
        return len(some)

    def close(self) -> None:
        """See `io.RawIOBase`."""
        super().close()
        self._sock.close()


def exchange(
    profile: Profile,
    method: str,
    path: str,
    headers: Headers,
    body: Iterable[bytes] | bytes,
    patience: float = PATIENCE,
) -> HTTPResponse:
    """Send a request and return the head of its answer; `CommandFailed` when there is none.

    A body that is not bytes is sent as it is read; its length must be among the headers, else it is
    sent in chunks. An answer that comes before the body has ended ends the sending. What `body`
    raises goes through, unless it is an `OSError`: that would be taken for the network's.
    """
    connection = open_connection(profile)
    try:
        connection.connect()
        connection.sock.settimeout(patience)
        whole = urlsplit(profile.url).path.rstrip("/") + path
        connection.putrequest(method, whole, skip_accept_encoding=True)
        for name, value in {"Connection": "close", **headers}.items():
            connection.putheader(name, value)
        if isinstance(body, bytes):
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return connection.getresponse()
        early = send(connection, body, chunked="Content-Length" not in headers)
        if not early:
            return connection.getresponse()
        rest: Any = Rest(connection.sock, early)
        answer = HTTPResponse(rest, method=method)
        answer.begin()
    except (OSError, HTTPException, UnicodeError) as error:  # the last: no name of a host
        connection.close()
        raise CommandFailed(unreachable(profile, error), UNAVAILABLE) from None
    except BaseException:
        connection.close()
        raise
    return answer


def open_connection(profile: Profile) -> HTTPConnection:
    """A connection that is still to be made."""
    parts = urlsplit(profile.url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        return HTTPConnection(host, port, timeout=CONNECT_PATIENCE)
    return HTTPSConnection(host, port, timeout=CONNECT_PATIENCE, context=tls_context(profile))


def tls_context(profile: Profile) -> ssl.SSLContext:
    """Whom to trust: those of `ca`, else the system's authorities, or anybody."""
    try:
        context = ssl.create_default_context(cafile=profile.ca)
    except OSError as error:
        raise CommandFailed(f"{profile.ca} cannot be used as certificates: {error}") from None
    if profile.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def send(connection: HTTPConnection, body: Iterable[bytes], *, chunked: bool) -> bytes:
    """Send the headers and a body; what came of an answer before all of it was sent."""
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    try:
        for piece in body:
            early = pour(
                connection.sock, b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
            )
            if early:
                return early
        return pour(connection.sock, b"0\r\n\r\n" if chunked else b"")
    except (ConnectionError, ssl.SSLError):
        return b""  # refused: the answer that says why may still be there to be read


def pour(sock: socket.socket, data: bytes) -> bytes:
    """Send `data`, unless something comes from the other side, which then is returned.

    Never blocks in sending alone: who refuses may have stopped reading.
    """
    left = memoryview(data)
    while left:
        readable, writable, _ = select.select([sock], [sock], [], sock.gettimeout())
        if not (readable or writable):
            raise TimeoutError("nothing is taken there any more")
        if readable and (early := received(sock)):
            return early
        if writable:
            left = left[sock.send(left) :]
    return b""


def received(sock: socket.socket) -> bytes:
    """What there is to read. TLS sends more than data, so nothing is no sign yet."""
    patience = sock.gettimeout()
    sock.settimeout(0)
    try:
        data = sock.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError):
        return b""
    finally:
        sock.settimeout(patience)
    if not data:
        raise ConnectionAbortedError
    return data


def unreachable(profile: Profile, error: Exception) -> str:
    """Why there was no answer, for whoever typed the command."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{profile.url} shows a certificate that is not trusted ({error.verify_message});"
            " name its certificate with --ca, or accept any with --insecure"
        )
    if isinstance(error, ssl.SSLError) and error.reason in NOT_TLS:
        return f"{profile.url} does not speak TLS: should its URL begin with http:// instead?"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, ssl.SSLError) and error.reason:
        words = f"TLS failed ({error.reason.replace('_', ' ').lower()})"
    return f"{profile.url} cannot be reached: {words}. Is the prism running there?"


def understood(answer: HTTPResponse) -> Any:
    """The JSON of an answer; `CommandFailed` with its message when it is an error."""
    with answer:
        try:
            value = json.loads(answer.read())
        except (OSError, HTTPException, ValueError):
            value = None
    if answer.status >= 400:
        message = value.get("error") if isinstance(value, dict) else None
        words = str(message or f"{answer.status} {answer.reason}")
        raise CommandFailed(words, code_of_status(answer.status))
    if not isinstance(value, dict):
        raise CommandFailed(NO_PRISM, UNAVAILABLE)
    return value


def basic(username: str, password: str) -> str:
    """An `Authorization` header (RFC 7617)."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")
