"""A file of a disk as the body of a request."""

import os
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from oose.errors import Unavailable
from oose.volume import OpenFile

READ = 256 * 1024  # over TLS, more at a time halves the speed


@implementer(IBodyProducer)
class FileBody:
    """The body of a request, read from an open file in its disk's threads as it is taken.

    The file is closed when all of it was read, when reading fails, and by `stopProducing`, which
    may be called at any time and any number of times. `sent` counts the bytes taken. `seen` is
    called in the thread with each piece read, to compute something on the way.
    """

    def __init__(self, file: OpenFile, seen: Callable[[bytes], object] | None = None) -> None:
        self.length = file.size
        self.sent = 0
        self._file = file
        self._seen = seen
        self._flow: Deferred[None] | None = None
        self._producing: Deferred[None] | None = None
        self._stopped = False
        self._closed = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """See `IBodyProducer`. Fails with `Unavailable` where the file cannot be read."""
        done: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self._producing = Deferred.fromCoroutine(self._produce(consumer, done))
        return done

    def pauseProducing(self) -> None:
        """See `IPushProducer`."""
        if self._flow is None:
            self._flow = Deferred()

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.callback(None)

    def stopProducing(self) -> None:
        """See `IBodyProducer`. A read under way keeps the file open until it is done."""
        self._stopped = True
        self.resumeProducing()
        if self._producing is None:
            self._close()

    async def _produce(self, consumer: IConsumer, done: Deferred[None]) -> None:
        failure: Failure | None = None
        try:
            await self._copy(consumer)
        except Exception:
            failure = Failure()
        self._close()
        if not self._stopped:
            done.callback(None) if failure is None else done.errback(failure)

    async def _copy(self, consumer: IConsumer) -> None:
        while await self._wanted():
            piece = await self._file.pool.run(self._read, self.sent)
            if not self._stopped:
                self.sent += len(piece)
                consumer.write(piece)

    async def _wanted(self) -> bool:
        if self._flow is not None:
            await self._flow
        return not self._stopped and self.sent < self.length

    def _read(self, offset: int) -> bytes:
        count = min(READ, self.length - offset)
        try:
            piece = os.pread(self._file.descriptor, count, offset)
        except OSError as error:
            raise Unavailable(f"The file cannot be read: {error.strerror}") from error
        if not piece:
            raise Unavailable("The file has become shorter than it was")
        if self._seen is not None:
            self._seen(piece)
        return piece

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._file.close()
