"""Clones on stores of other processes, passed on to a client as fast as it takes them."""

import json
from base64 import b64encode
from typing import Any

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
)
from twisted.python.failure import Failure
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from oose import __version__
from oose.credentials import Credentials
from oose.deliver.flow import Flow
from oose.errors import NotFound, Unavailable
from oose.line import Line, LineEndpoint, resolve_by
from oose.line_failure import FAILURES, in_words
from oose.metadata.records import InventoryRecord
from oose.ranges import Span, content_range
from oose.reachability import Refused
from oose.registry import Registry
from oose.retrieve.body import deliver

PATIENCE = 5.0  # seconds: how long a store may say nothing before another is asked


class Relay:
    """Reads clones from the stores of `registry`, with the credentials that peers share.

    `policy` judges their certificates. A store that sends nothing for `patience` seconds while it
    may is given up.
    """

    def __init__(
        self,
        reactor: IReactorTCP,
        registry: Registry,
        policy: IPolicyForHTTPS,
        credentials: Credentials,
        *,
        clock: IReactorTime | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.clock = clock if clock is not None else IReactorTime(reactor)
        self.patience = patience
        self._reactor = reactor
        self._registry = registry
        self._policy = policy
        self._credentials = credentials
        self._resolve = resolve_by(IReactorPluggableNameResolver(reactor).nameResolver)

    def clone(self, record: InventoryRecord) -> "RelayedClone | None":
        """The clone of a record; None where there is no such store."""
        store = self._registry.store(record.place)
        if store is None:
            return None
        return RelayedClone(self, record, f"{store.url.rstrip('/')}/content/download")

    async def ask(self, url: str, record: InventoryRecord, span: Span, line: Line) -> IResponse:
        """Have a store begin to answer with `span`; `NotFound` or `Unavailable`."""
        who = f"{self._credentials.username}:{self._credentials.password}".encode()
        headers = Headers(
            {
                "User-Agent": [f"OOSE/{__version__}"],
                "Authorization": ["Basic " + b64encode(who).decode("ascii")],
                "Content-Type": ["application/json"],
                "Accept-Encoding": ["identity"],
                "Range": [f"bytes={span.start}-{span.stop - 1}"],
            }
        )
        endpoints = LineEndpoint(self._reactor, line, self._resolve, self._policy)
        agent: IAgent = Agent.usingEndpointFactory(self._reactor, endpoints)
        body = _Bytes(json.dumps({"hash": record.hash}).encode("ascii"))
        try:
            response = await agent.request(b"POST", url.encode("ascii"), headers, body)
        except FAILURES as error:
            raise Unavailable(in_words(error, record.place), retry_after=5) from error
        _check(response, record, span)
        return response


class RelayedClone:
    """One clone on a store elsewhere: a `Clone` of which each span is a request of its own."""

    def __init__(self, relay: Relay, record: InventoryRecord, url: str) -> None:
        self._relay = relay
        self._record = record
        self._url = url
        self._line = Line()
        self._response: tuple[Span, IResponse] | None = None

    async def ready(self, flow: Flow, span: Span) -> None:
        """See `Clone.ready`: the store says that it has these bytes of this content."""
        self.close()
        self._line = Line()

        def left(failure: Failure) -> None:
            if not (flow.stopped and failure.check(CancelledError)):
                failure.raiseException()

        asking = Deferred.fromCoroutine(self._relay.ask(self._url, self._record, span, self._line))
        flow.attend(_Asking(asking))
        try:
            response = await asking.addTimeout(
                self._relay.patience, self._relay.clock, self._too_late
            ).addErrback(left)
        finally:
            flow.attend(None)
        self._response = (span, response) if response is not None else None

    async def send(self, flow: Flow, span: Span) -> bool:
        """See `Clone.send`."""
        if self._response is None or self._response[0] != span:
            await self.ready(flow, span)
        if self._response is None or flow.stopped:
            return False
        response, self._response = self._response[1], None
        self._line.take_body()
        passing = _Passing(flow, self._line, self._relay.clock, self._relay.patience)
        try:
            return await passing.run(response)
        except FAILURES as error:
            if passing.stalled:
                raise self._stalled() from error
            raise Unavailable(
                in_words(error, self._record.place, begun=True), retry_after=5
            ) from error
        finally:
            self.close()

    def close(self) -> None:
        """See `Clone.close`."""
        self._response = None
        self._line.abort()

    def _too_late(self, result: object, seconds: float) -> Any:
        raise self._stalled()

    def _stalled(self) -> Unavailable:
        return Unavailable(
            f"{self._record.place} sent nothing for {self._relay.patience:g} seconds",
            retry_after=5,
        )


@frozen
class _Asking:
    """A request that waits for its answer, as a `Source`."""

    answer: "Deferred[IResponse]"

    def pause(self) -> None:
        """Nothing comes yet."""

    def resume(self) -> None:
        """Nothing was held."""

    def stop(self) -> None:
        """See `Source.stop`."""
        self.answer.cancel()


class _Passing:
    """The body of one answer on its way into a `Flow`: a `Source` that must not stall."""

    def __init__(self, flow: Flow, line: Line, clock: IReactorTime, patience: float) -> None:
        self.stalled = False
        self._flow = flow
        self._line = line
        self._clock = clock
        self._patience = patience
        self._due: IDelayedCall | None = None

    async def run(self, response: IResponse) -> bool:
        """Pass on all of it; False when the client has left."""
        self._watch()
        self._work = Deferred.fromCoroutine(
            deliver(response, self._feed, self._on_pressure, self._line)
        )
        try:
            await self._work
        except CancelledError:
            return False
        finally:
            self._flow.attend(None)
            self._rest()
        return True

    def pause(self) -> None:
        """See `Source.pause`: while it waits for the client, the store need not send."""
        self._rest()
        self._pause()

    def resume(self) -> None:
        """See `Source.resume`."""
        self._watch()
        self._resume()

    def stop(self) -> None:
        """See `Source.stop`."""
        self._work.cancel()

    def _on_pressure(self, pause: Any, resume: Any) -> None:
        self._pause, self._resume = pause, resume
        self._flow.attend(self)

    def _feed(self, data: bytes) -> None:
        self._moved = self._clock.seconds()
        self._flow.write(data)

    def _watch(self) -> None:
        self._rest()
        self._moved = self._clock.seconds()
        self._due = self._clock.callLater(self._patience, self._look)

    def _rest(self) -> None:
        due, self._due = self._due, None
        if due is not None:
            due.cancel()

    def _look(self) -> None:
        left = self._moved + self._patience - self._clock.seconds()
        if left > 0:
            self._due = self._clock.callLater(left, self._look)
            return
        self._due = None
        self.stalled = True
        self._line.abort()


@implementer(IBodyProducer)
class _Bytes:
    """The body of a request that is in memory."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._data = data

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """See `IBodyProducer`."""
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All is written already."""

    def resumeProducing(self) -> None:
        """All is written already."""

    def stopProducing(self) -> None:
        """All is written already."""


def _check(response: IResponse, record: InventoryRecord, span: Span) -> None:
    """`NotFound` or `Unavailable` unless it is exactly what was asked for."""
    place = record.place
    if response.code == 404:
        raise NotFound(f"{place} does not have the content")
    if response.code == 401:
        raise Refused(f"{place} refuses our credentials: do all peers have the same ones?")
    if response.code != 206:
        raise Unavailable(f"{place} answered {response.code}", retry_after=5)
    said = (_header(response, b"ETag"), _header(response, b"Content-Range"), response.length)
    due = (f'"{record.hash}"'.encode(), content_range(span, record.size).encode(), len(span))
    if said != due:
        raise Unavailable(f"{place} has something else under this hash", retry_after=5)


def _header(response: IResponse, name: bytes) -> bytes | None:
    values = response.headers.getRawHeaders(name)
    return values[0] if values else None
