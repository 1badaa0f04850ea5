"""A server that answers what a test tells it to, for faults that a real prism does not have."""

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress


def answer(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole answer, which may lie about its length."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body


def read_head(connection: socket.socket) -> bytes:
    """The head of a request; `ConnectionError` where it ends before."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += some(connection, 1)
    return head


def some(connection: socket.socket, most: int) -> bytes:
    """At least a byte; `ConnectionError` where no more come."""
    data = connection.recv(most)
    if not data:
        raise ConnectionError("the other side has closed")
    return data


def serve_one(connection: socket.socket, sent: bytes) -> bytes:
    """Read a request, answer it, and wait until the other side has closed; the request's head."""
    head = read_head(connection)
    length = re.search(rb"Content-Length: (\d+)", head)
    rest = int(length[1]) if length else 0
    while rest:
        rest -= len(some(connection, rest))
    connection.sendall(sent)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass
    return head


@contextmanager
def canned(answers: Sequence[bytes], heads: list[bytes] | None = None) -> Iterator[str]:
    """Serve one connection an answer; the URL. What was asked is added to `heads`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # the test has ended before all was asked for
                for each in answers:
                    connection, _ = server.accept()
                    with connection:
                        head = serve_one(connection, each)
                    if heads is not None:
                        heads.append(head)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def deaf(sent: bytes, *, hold: bool = True) -> Iterator[str]:
    """Serve one connection that is answered after its head, and read no further; the URL.

    It is held until the test is over, or else closed at once.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # the test has ended before it asked
                connection, _ = server.accept()
                with connection:
                    read_head(connection)
                    connection.sendall(sent)
                    if hold:
                        over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
