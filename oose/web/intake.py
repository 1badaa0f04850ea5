"""One request: who asks is settled before the body is read, and the body streams.

Twisted's own request spools a body to disk and then reads a form into memory, before any check has
run. This one stops reading when the headers are in, lets the room check the login and open
what takes the body, and then hands over the bytes as they arrive.
"""

import itertools
import secrets
from collections.abc import Iterator
from contextvars import copy_context
from io import BytesIO
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.server import Request

from oose.errors import BadInput, OoseError, TooLarge
from oose.log import part, request_id
from oose.purchases import Session
from oose.web.answers import Answer, error_answer, json_answer, reason
from oose.web.channel import IntakeChannel
from oose.web.routing import Access, Body, Match, Result, Routes, origin_form
from oose.web.tracing import trace

_log = part("http")
_PROCESS = secrets.token_hex(3)
_ids: Iterator[str] = (f"{_PROCESS}-{n:x}" for n in itertools.count(1))


class Room(Protocol):
    """What answers requests: a prism or a store."""

    @property
    def routes(self) -> Routes:
        """What it answers."""
        ...

    @property
    def app(self) -> Any:
        """The `Klein` that its handlers are declared on."""
        ...

    @property
    def server_name(self) -> bytes:
        """For the `Server` header."""
        ...

    async def authorise(self, request: "IntakeRequest", access: Access) -> None:
        """Return when `request` may use a route of `access`, else raise `NotAuthenticated`."""
        ...

    def count(self, endpoint: str, status: int) -> None:
        """Take note of an answered request."""
        ...


class IntakeRequest(Request):
    """A request to a `Room`; see the module."""

    channel: IntakeChannel
    transport: Any
    room: Room
    clientproto = b"HTTP/1.1"  # for an answer before the body has ended
    body: Body | None = None
    session: Session | None = None  # of the user who asks; None for peers and anybody
    _serving: Deferred[None] | None = None
    _ended: Deferred[None]
    is_whole = False  # the body has arrived to its end
    _admitted = False
    _refused = False
    _lacks_host = False
    _over = False  # answered or given up: what it holds is being given back

    def __init__(self, channel: IntakeChannel, *args: Any, **kwargs: Any) -> None:
        super().__init__(channel, *args, **kwargs)
        self.room = channel.site.room
        self.id = next(_ids)
        self._context = copy_context()  # what is logged in it bears the request's id
        self._context.run(request_id.set, self.id)
        self._early: list[bytes] = []
        self._clock = channel.site.reactor
        self._began = self._clock.seconds()
        self._received = 0

    # What Twisted's channel calls.

    def gotLength(self, length: int | None) -> None:
        """The headers are in, the body (of `length` bytes, None when chunked) is not."""
        self.content = BytesIO()  # Twisted's Request closes it at the end
        self.method, target, version = self.channel.head()
        self.uri = origin_form(target)
        hosts = self.requestHeaders.getRawHeaders(b"host", ())
        self._lacks_host = len(hosts) != 1 and (len(hosts) > 1 or version == b"HTTP/1.1")
        if length == 0:
            return
        self._ended = Deferred()
        expectation = self.requestHeaders.getRawHeaders(b"expect", [b""])[0].lower()
        self.requestHeaders.removeHeader(b"expect")  # or Twisted would answer it at once
        self._start(length, expects=expectation == b"100-continue")
        if not self._admitted and not self._refused:  # somebody has to be asked first
            self.channel.pause_intake()

    def handleContentChunk(self, data: bytes) -> None:
        """More of the body."""
        if self._refused:
            return
        self._received += len(data)
        if not self._admitted:
            self._early.append(data)
            return
        self._feed(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body has ended, or there was none."""
        self.clientproto = version
        self.is_whole = True
        if self._serving is None:
            self._start(0, expects=False)
        else:
            if self.channel.is_paused:
                self.channel.resume_intake()  # or nobody would notice that the client leaves
            self._ended.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        """The client has left: stop receiving. What arrived whole is finished all the same."""
        super().connectionLost(reason)
        self._give_up()

    # What handlers use.

    def header(self, name: bytes) -> str | None:
        """A header as text, its lines joined (RFC 9110 section 5.3); None without it."""
        values = self.requestHeaders.getRawHeaders(name)
        return b", ".join(values).decode("utf-8", "replace") if values else None

    @property
    def query(self) -> bytes:
        """What stands behind the first `?` of the request target."""
        return bytes(self.uri.partition(b"?")[2])

    @property
    def is_gone(self) -> bool:
        """Whether the client has left."""
        return bool(self._disconnected)

    def fail(self, error: OoseError) -> None:
        """Answer `error` now and give up what is under way."""
        self.reply(error_answer(error))
        self._give_up()

    def reply(self, answer: Answer) -> None:
        """Send a whole answer; when the body has not ended, refuse the rest of it.

        When another answer has begun and cannot be completed, the connection is cut: the client
        must not take what it has for the whole.
        """
        if self._disconnected or self.finished or self._refused:
            return
        if self.startedWriting:
            self.transport.abortConnection()
            return
        self.begin(answer.status, answer.headers)
        if answer.status != 304:  # it would be that of a 200
            self.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(answer.body)])
        if self.is_whole:
            self.write(answer.body)
            self.finish()
        else:
            self._refused = True
            self.responseHeaders.setRawHeaders(b"connection", [b"close"])
            self.write(answer.body)
            self.channel.linger()

    def begin(self, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        """Set what the answer's head says; the first `write` sends it."""
        self.setResponseCode(status, reason(status))
        set_raw = self.responseHeaders.setRawHeaders
        set_raw(b"server", [self.room.server_name])
        set_raw(b"date", [datetimeToString()])
        set_raw(b"x-request-id", [self.id.encode("ascii")])
        for name, value in headers:
            set_raw(name, [value])
        if not self.channel.persistent:
            set_raw(b"connection", [b"close"])

    # The request's life.

    def _start(self, length: int | None, *, expects: bool) -> None:
        work = self._serve(length, expects=expects)
        self._serving = self._context.run(Deferred.fromCoroutine, work)

    async def _serve(self, length: int | None, *, expects: bool) -> None:
        endpoint = "none"
        try:
            match = self._match()
            endpoint = match.route.endpoint
            result = await self._run(match, length, expects=expects)
            if result is not None:
                self.reply(result if isinstance(result, Answer) else json_answer(result))
        except CancelledError:
            pass  # nobody waits for an answer
        except OoseError as error:
            self.reply(error_answer(error))
        except Exception:  # the last resort: a client never sees a traceback
            _log.failure("{endpoint} failed", Failure(), endpoint=endpoint)
            message = f"Something went wrong here; the log has it under request {self.id}"
            self.reply(error_answer(OoseError(message)))
        finally:
            self._over = True
            await self._abandon()
            self.room.count(endpoint, self.code)
            if _log.debugs:
                trace(_log, self, self._received, self._clock.seconds() - self._began)

    def _match(self) -> Match:
        if self._lacks_host:  # RFC 9112 section 3.2
            raise BadInput("The request must have one Host header")
        return self.room.routes.match(self.method, self.uri)

    def _give_up(self) -> None:
        """Cancel what is under way, but never what gives back what it holds."""
        if self._serving is not None and not self._over:
            self._over = True
            self._serving.cancel()

    async def _abandon(self) -> None:
        if self.body is None:
            return
        try:
            await self.body.abandon()
        except Exception:
            _log.failure("What was received could not be withdrawn", Failure())

    async def _run(self, match: Match, length: int | None, *, expects: bool) -> Result:
        route = match.route
        await self.room.authorise(self, route.access)
        if route.open_body is None:
            if length != 0:
                await self._admit(NoBody(), expects=expects)
            arguments: tuple[Any, ...] = (self,)
        else:
            self.body = await route.open_body(self.room, self, length, match.parameters)
            if length != 0:
                await self._admit(self.body, expects=expects)
            await self.body.finish()
            arguments = (self, self.body)
        result: Result = await self.room.app.execute_endpoint(
            route.endpoint, *arguments, **match.parameters
        )
        return result

    async def _admit(self, body: Body, *, expects: bool) -> None:
        """Read the body into `body` to its end."""
        self.body = body
        if self._early or self.is_whole:
            expects = False  # it did not wait
        self._admitted = True
        early, self._early = self._early, []
        for data in early:
            body.feed(data)
        if not self.is_whole:
            if expects:
                self.channel.send_continue()
            self.channel.widen()
            if self.channel.is_paused:
                self.channel.resume_intake()
            await self._ended

    def _feed(self, data: bytes) -> None:
        assert self.body is not None
        try:
            self._context.copy().run(self.body.feed, data)
        except OoseError as error:
            self.fail(error)


class NoBody:
    """Takes the body of a request that needs none: a little is ignored, much is refused."""

    limit = 64 * 1024

    def __init__(self) -> None:
        self._taken = 0

    def feed(self, data: bytes) -> None:
        """See `Body.feed`."""
        self._taken += len(data)
        if self._taken > self.limit:
            raise TooLarge("This request takes no body")

    async def finish(self) -> None:
        """See `Body.finish`."""

    async def abandon(self) -> None:
        """See `Body.abandon`."""
