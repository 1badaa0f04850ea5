"""Talking to other prisms and stores: the one place that asks them something over HTTP."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from treq.client import HTTPClient
from treq.content import collect
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
)
from twisted.python.failure import Failure
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from oose import __version__
from oose.credentials import Credentials
from oose.errors import (
    BadInput,
    ChecksumMismatch,
    Conflict,
    DiskFull,
    NotAllowed,
    NotFound,
    OoseError,
    SourceFailed,
    SourceTooSlow,
    TooLarge,
    TooManyAttempts,
    TooSlow,
    Unavailable,
    WrongType,
)
from oose.line import Line, LineEndpoint, resolve_by
from oose.line_failure import FAILURES, in_words
from oose.volume import OpenFile

READ = 256 * 1024  # over TLS, more at a time halves the speed
MAX_ANSWER = 128 * 1024
PATIENCE = 60.0

_REFUSALS: Mapping[int, type[OoseError]] = {
    kind.status: kind
    for kind in (
        BadInput,
        NotAllowed,
        NotFound,
        TooSlow,
        Conflict,
        TooLarge,
        WrongType,
        ChecksumMismatch,
        TooManyAttempts,
        SourceFailed,
        Unavailable,
        SourceTooSlow,
        DiskFull,
    )
}


class PeerClient:
    """Asks peers, with the credentials that peers of this cluster share.

    `policy` judges their certificates. An exchange in which nothing moves for `patience` seconds
    is given up, within twice that time.
    """

    def __init__(
        self,
        reactor: IReactorTCP,
        policy: IPolicyForHTTPS,
        credentials: Credentials,
        *,
        clock: IReactorTime | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._reactor = reactor
        self._policy = policy
        self._credentials = credentials
        self._clock = clock if clock is not None else IReactorTime(reactor)
        self._patience = patience
        self._resolve = resolve_by(IReactorPluggableNameResolver(reactor).nameResolver)

    async def put_content(
        self, url: str, content_hash: str, ext: str, file: OpenFile
    ) -> Mapping[str, Any]:
        """Send a file to the peer at `url`, which hashes it; its answer. The file is closed.

        Raises what the peer answers as an error of ours, with its message: `ChecksumMismatch`
        (the bytes are not those of the hash), `DiskFull` and so on; and `Unavailable` where it
        cannot be reached, stalls, refuses our credentials or answers what cannot be understood.
        """
        body = FileBody(file)
        line = Line()
        peer = urlsplit(url).netloc.rpartition("@")[2]
        target = f"{url.rstrip('/')}/content/put/{content_hash}.{ext}"
        exchange = Deferred.fromCoroutine(self._put(target, peer, body, line))
        watch = _Watch(exchange.cancel, body, self._clock, self._patience)
        try:
            return await exchange
        except CancelledError:
            if watch.expired:
                raise Unavailable(f"{peer} did not go on for {self._patience:g} seconds") from None
            raise
        finally:
            watch.stop()
            line.abort()
            body.stopProducing()

    async def _put(self, url: str, peer: str, body: "FileBody", line: Line) -> Mapping[str, Any]:
        begun = False
        try:
            response = await self._client(line).request(
                "PUT",
                url,
                data=body,
                auth=(self._credentials.username, self._credentials.password),
                headers=Headers({"User-Agent": [f"OOSE/{__version__}"]}),
                allow_redirects=False,
                unbuffered=True,
                reactor=self._clock,  # type: ignore[arg-type] # only its time is used
            )
            begun = True
            text = await _text(response, peer)
        except FAILURES as error:
            raise Unavailable(in_words(error, peer, begun=begun)) from error
        return _understood(response.code, text, peer)

    def _client(self, line: Line) -> HTTPClient:
        # A connection for each request: one kept from an earlier one may have been closed by the
        # peer just now, and a body that has been read from a disk is not there to be sent again.
        endpoints = LineEndpoint(self._reactor, line, self._resolve, self._policy)
        agent = Agent.usingEndpointFactory(self._reactor, endpoints)
        return HTTPClient(agent)


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


class _Watch:
    """Calls `give_up` when a body has not moved between two looks at it."""

    def __init__(
        self, give_up: Callable[[], None], body: FileBody, clock: IReactorTime, every: float
    ) -> None:
        self.expired = False
        self._give_up = give_up
        self._body = body
        self._clock = clock
        self._every = every
        self._next = clock.callLater(every, self._look, 0)

    def stop(self) -> None:
        """No longer."""
        if self._next.active():
            self._next.cancel()

    def _look(self, sent: int) -> None:
        if self._body.sent == sent:
            self.expired = True
            self._give_up()
        else:
            self._next = self._clock.callLater(self._every, self._look, self._body.sent)


async def _text(response: IResponse, peer: str) -> bytes:
    pieces: list[bytes] = []

    def take(piece: bytes) -> None:
        pieces.append(piece)
        if sum(map(len, pieces)) > MAX_ANSWER:
            raise Unavailable(f"{peer} answered {response.code}, and more than any peer does")

    await collect(response, take)
    return b"".join(pieces)


def _understood(code: int, text: bytes, peer: str) -> Mapping[str, Any]:
    """A peer's JSON, or the error that it answers."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and 200 <= code < 300:
        return answer
    if code == 401:
        raise Unavailable(f"{peer} refuses our credentials: do all peers have the same ones?")
    message = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(message, str) and code in _REFUSALS:
        raise _REFUSALS[code](message)
    if isinstance(message, str):
        raise Unavailable(f"{peer} answered {code}: {message}")
    raise Unavailable(f"{peer} answered {code}, and not as a peer does")
