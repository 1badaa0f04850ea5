"""Sending parts of a file: the kernel copies them on plain TCP, threads read ahead for TLS.

Measured: docs/decisions/0004. No thread is held while a client is slow, and memory does not depend
on the size of the file.
"""

import os

from twisted.internet.defer import Deferred

from oose.deliver.flow import Flow
from oose.errors import Unavailable
from oose.ranges import Span
from oose.volume import OpenFile

TURN = 4 * 1024 * 1024  # bytes a thread hands to the kernel before others have their turn
READ = 256 * 1024  # with 1 MiB TLS is half as fast


class LocalFile:
    """A file of this machine as what is sent: a `Content`."""

    def __init__(self, file: OpenFile) -> None:
        self.size = file.size
        self.whole = file.whole
        self._file = file

    async def ready(self, flow: Flow, span: Span) -> None:
        """See `Clone.ready`: it is open."""

    async def send(self, flow: Flow, span: Span) -> bool:
        """See `Clone.send`."""
        if self.whole is not None:
            flow.write(self.whole[span.start : span.stop])
            return True
        if flow.request.isSecure():
            return await read_ahead(self._file, flow, span)
        return await by_kernel(self._file, flow, span)

    def close(self) -> None:
        """See `Clone.close`."""
        self._file.close()


async def by_kernel(file: OpenFile, flow: Flow, span: Span) -> bool:
    """`sendfile(2)` from the file to the socket, in the disk's threads; for plain TCP.

    False when the client has left.
    """
    if flow.stopped:
        return False
    request = flow.request
    flow.write(b"")  # the head of the answer, if it has not gone yet
    # The thread gets a descriptor of its own: the connection may close its meanwhile, and the
    # number could then be another's.
    socket = os.dup(request.transport.fileno())
    try:
        offset = span.start
        while offset < span.stop:
            flow.arm()
            if not await flow.wait():
                return False
            sent = await file.pool.run(_turn, socket, file.descriptor, offset, span.stop - offset)
            if sent is None:
                return False
            offset += sent
            request.sentLength += sent
    finally:
        os.close(socket)
    return True


def _turn(socket: int, descriptor: int, offset: int, count: int) -> int | None:
    """In a thread: bytes taken by the kernel; None when the client has left."""
    sent = 0
    target = min(count, TURN)
    try:
        while sent < target:
            taken = os.sendfile(socket, descriptor, offset + sent, target - sent)
            if taken == 0:
                break
            sent += taken
    except BlockingIOError:
        return sent
    except (BrokenPipeError, ConnectionResetError):
        return None
    except OSError as error:
        if sent == 0:  # what has gone out must be counted first; the next turn fails again
            raise unreadable(error) from error
    if sent == 0:
        raise shorter()
    return sent


async def read_ahead(file: OpenFile, flow: Flow, span: Span) -> bool:
    """Read the next piece while the last one is on its way; for TLS and other transports.

    False when the client has left.
    """
    ahead = _read(file, span.start, span)
    for offset in range(span.start, span.stop, READ):
        data = await ahead
        if len(data) < min(READ, span.stop - offset):
            raise shorter()
        ahead = _read(file, offset + READ, span)
        if not await flow.wait():
            await ahead
            return False
        flow.write(data)
    await ahead
    return True


def _read(file: OpenFile, offset: int, span: Span) -> Deferred[bytes]:
    count = max(0, min(READ, span.stop - offset))

    def read() -> bytes:
        try:
            return os.pread(file.descriptor, count, offset)
        except OSError as error:
            raise unreadable(error) from error

    return Deferred.fromCoroutine(file.pool.run(read))


def shorter() -> Unavailable:
    """The file does not have what its record says."""
    return Unavailable("The file has become shorter than its record says")


def unreadable(error: OSError) -> Unavailable:
    """The disk does not give it."""
    return Unavailable(f"The file cannot be read: {error.strerror}")
