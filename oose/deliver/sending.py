"""Sending parts of a file: the kernel copies them on plain TCP, threads read ahead for TLS.

Measured: docs/decisions/0004. No thread is held while a client is slow, and memory does not depend
on the size of the file. A client that takes nothing for `patience` seconds is cut off.
"""

import os
from abc import ABC, abstractmethod
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TooSlowError
from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from oose.errors import Unavailable
from oose.ranges import Span
from oose.volume import OpenFile

TURN = 4 * 1024 * 1024  # bytes a thread hands to the kernel before others have their turn
READ = 256 * 1024  # with 1 MiB TLS is half as fast


@implementer(IPushProducer)
class Sender(ABC):
    """Sends spans of `file` as (part of) the answer to `request`."""

    def __init__(self, request: Any, file: OpenFile, clock: IReactorTime, patience: float) -> None:
        self._request = request
        self._file = file
        self._clock = clock
        self._patience = patience
        self._flow: Deferred[None] | None = None
        self._flowing = True
        self._stopped = False

    def start(self) -> None:
        """Listen to how fast the client takes what it is sent."""
        self._request.registerProducer(self, True)

    def end(self) -> None:
        """All is sent, or given up."""
        if not self._stopped:
            self._request.unregisterProducer()

    @abstractmethod
    async def send(self, span: Span) -> bool:
        """Send the bytes of `span`; False when the client has left."""
        ...

    # As a producer.

    def pauseProducing(self) -> None:
        """See `IPushProducer`."""
        self._flowing = False

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""
        self._flowing = True
        self._wake()

    def stopProducing(self) -> None:
        """See `IProducer`: the connection is gone."""
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.callback(None)

    async def _wait(self) -> bool:
        """Wait until the client takes more; False when it has left or is too slow."""
        if not self._flowing and not self._stopped:
            flow: Deferred[None] = Deferred()
            self._flow = flow.addTimeout(self._patience, self._clock)
            try:
                await self._flow
            except TooSlowError:
                self._flow = None
                self._request.transport.abortConnection()
                return False
        return not self._stopped


class KernelSender(Sender):
    """`sendfile(2)` from the file to the socket, in the disk's threads; for plain TCP."""

    def start(self) -> None:
        """See `Sender.start`."""
        super().start()
        # The thread gets a descriptor of its own: the connection may close its meanwhile, and the
        # number could then be another's.
        self._socket = os.dup(self._request.transport.fileno())

    def end(self) -> None:
        """See `Sender.end`."""
        os.close(self._socket)
        super().end()

    async def send(self, span: Span) -> bool:
        """See `Sender.send`."""
        offset = span.start
        while offset < span.stop:
            self._arm()
            if not await self._wait():
                return False
            sent = await self._file.pool.run(self._turn, offset, span.stop - offset)
            if sent is None:
                return False
            offset += sent
            self._request.sentLength += sent
        return True

    def _arm(self) -> None:
        """Have `resumeProducing` called once the socket takes more."""
        if self._stopped:
            return
        transport = self._request.transport
        self._flowing = False
        transport.producerPaused = True
        transport.startWriting()

    def _turn(self, offset: int, count: int) -> int | None:
        """In a thread: bytes taken by the kernel; None when the client has left."""
        sent = 0
        target = min(count, TURN)
        try:
            while sent < target:
                taken = os.sendfile(
                    self._socket, self._file.descriptor, offset + sent, target - sent
                )
                if taken == 0:
                    raise Unavailable("The file has become shorter than its record says")
                sent += taken
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            return None
        return sent


class ReadAheadSender(Sender):
    """Reads the next piece while the last one is on its way; for TLS and other transports."""

    async def send(self, span: Span) -> bool:
        """See `Sender.send`."""
        ahead = self._read(span.start, span)
        for offset in range(span.start, span.stop, READ):
            data = await ahead
            if len(data) < min(READ, span.stop - offset):
                raise Unavailable("The file has become shorter than its record says")
            ahead = self._read(offset + READ, span)
            if not await self._wait():
                await ahead
                return False
            self._request.write(data)
        await ahead
        return True

    def _read(self, offset: int, span: Span) -> Deferred[bytes]:
        count = max(0, min(READ, span.stop - offset))
        return Deferred.fromCoroutine(
            self._file.pool.run(os.pread, self._file.descriptor, count, offset)
        )
