"""How processes ask one another: their real routes, over connections that end with either.

Takes the place of `oose.peers.PeerClient` and of HTTP; what is sent is small and comes whole.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from oose.errors import OoseError, Unavailable
from oose.peers.answers import _REFUSALS, Unreachable
from oose.peers.links import Links
from oose.volume import OpenFile
from oose.web.answers import Answer
from tests.stateful.hops import Crashed, Hop, Life, LifeClock, tell

LOST = 80  # requests of which one, or its answer, is lost on the way


@define(eq=False)
class Listener:
    """A room that can be reached, in the process that lives `life`."""

    life: Life
    room: Any


@define(eq=False)
class Channel:
    """One connection, as both ends see it. For the server it is a request's `channel`."""

    caller: Life
    listener: Listener
    held: Any = None
    is_lost: bool = False
    serving: Deferred[Any] | None = None
    is_ending: bool = False  # what is served gives back what it holds
    answer: Deferred[Any] | None = None

    # For the server's handlers.

    def hold(self, held: Any) -> None:
        self.held = held

    def release(self) -> None:
        self.held = None

    def pause_intake(self) -> None:
        """All has come already."""

    def resume_intake(self) -> None:
        """All has come already."""

    # The end of it.

    def close(self) -> None:
        """By the caller, or because it is dead: the server learns of it some time later."""
        if not self.is_lost:
            self.is_lost = True
            server = self.listener.life
            if not server.is_over:
                server.hops.put(Hop(server, self._dropped))

    def broken(self) -> None:
        """The server is dead."""
        self.is_lost = True
        if self.answer is not None:
            tell(self.answer, Failure(Unreachable("The connection was lost")))

    def _dropped(self) -> None:
        if self.serving is not None and not self.is_ending:
            self.serving.cancel()
        held, self.held = self.held, None
        if held is not None:
            held.lost()


@define(eq=False)
class Network:
    """Who listens where."""

    listeners: dict[str, Listener] = field(factory=dict)

    def connect(self, life: Life, url: str) -> Channel:
        """A connection, or `Unreachable`."""
        listener = self.listeners.get(url)
        if listener is None or listener.life.is_over:
            raise Unreachable(f"{url} refuses connections")
        channel = Channel(life, listener)
        life.ends.append(channel.close)
        listener.life.ends.append(channel.broken)
        return channel

    async def ask(self, channel: Channel, method: str, path: str, data: bytes) -> Mapping[str, Any]:
        """One request over a connection, and its answer."""
        life = channel.caller
        await life.later(lambda: None)  # on the way there
        if life.hops.mischance(LOST):
            channel.close()
            raise Unreachable("The request was lost")
        if channel.is_lost:
            raise Unreachable("The connection was lost")
        channel.answer = answer = life.expect()
        channel.serving = Deferred.fromCoroutine(serve(channel, method, path, data))
        _ = channel.serving.addBoth(lambda result: tell(answer, result))
        try:
            found: Answer = await answer
        except CancelledError:
            channel.close()
            raise
        finally:
            channel.answer = None
        if life.hops.mischance(LOST):
            channel.close()
            raise Unreachable("The answer was lost")
        await life.later(lambda: None)  # on the way back
        return understood(found)


async def serve(channel: Channel, method: str, path: str, data: bytes) -> Answer:
    """As `IntakeRequest` does it, for who is let in."""
    room, body = channel.listener.room, None
    path, _, query = path.partition("?")
    request = Request(channel, query.encode())
    channel.is_ending = False
    try:
        match = room.routes.match(method.encode(), path.encode())
        arguments: tuple[Any, ...] = (request,)
        if match.route.open_body is not None:
            body = await match.route.open_body(room, request, len(data), match.parameters)
            body.feed(data)
            await body.finish()
            arguments = (request, body)
        result = await room.app.execute_endpoint(
            match.route.endpoint, *arguments, **match.parameters
        )
    except OoseError as error:
        return Answer(error.status, json.dumps({"error": error.message}).encode())
    except CancelledError:
        return Answer(500, b"")
    except Crashed:
        raise
    except Exception:
        channel.caller.hops.bugs.append(Failure().getTraceback())
        raise
    finally:
        channel.is_ending = True
        if body is not None:
            await body.abandon()
    return result if isinstance(result, Answer) else Answer(200, json.dumps(result).encode())


def understood(answer: Answer) -> Mapping[str, Any]:
    value: Mapping[str, Any] = json.loads(answer.body or b"{}")
    if answer.status < 300:
        return value
    raise _REFUSALS.get(answer.status, Unavailable)(value.get("error", "?"))


@define(eq=False)
class Request:
    """What handlers look at of a request."""

    channel: Channel
    query: bytes

    def header(self, name: bytes) -> str:
        return "application/json"


@define(eq=False)
class Link:
    """Takes the place of `oose.peers.links.Link`."""

    network: Network
    life: Life
    url: str
    uses: int = 0
    channel: Channel | None = None
    is_closed: bool = False

    @property
    def peer(self) -> str:
        return self.url

    @property
    def is_lost(self) -> bool:
        return self.is_closed or (self.channel is not None and self.channel.is_lost)

    def attended(self, moved: object) -> Any:
        return nullcontext()

    async def ask_within_patience(
        self, method: str, path: str, chunks: Sequence[bytes] = ()
    ) -> Mapping[str, Any]:
        if self.channel is None:
            self.channel = self.network.connect(self.life, self.url)
        return await self.network.ask(self.channel, method, path, b"".join(chunks))

    def close(self, why: OoseError | None = None) -> None:
        self.is_closed = True
        if self.channel is not None:
            self.channel.close()


@define(eq=False)
class Client:
    """Takes the place of `PeerClient`, for one process."""

    network: Network
    life: Life

    async def ask(
        self, url: str, path: str, fields: Mapping[str, Any], *, patience: float | None = None
    ) -> Mapping[str, Any]:
        return await self._once("POST", url, path, json.dumps(fields).encode())

    async def put_content(
        self, url: str, content_hash: str, ext: str, file: OpenFile, created: int
    ) -> Mapping[str, Any]:
        try:
            assert file.whole is not None
            path = f"/content/put/{content_hash}.{ext}?created={created}"
            return await self._once("PUT", url, path, file.whole)
        finally:
            file.close()

    async def ping(self, url: str) -> bool:
        try:
            await self.greet(url)
        except OoseError:
            return False
        return True

    async def greet(self, url: str) -> None:
        await self._once("GET", url, "/ping", b"")

    def links(self, url: str) -> Links:
        def make() -> Any:
            return Link(self.network, self.life, url)

        return Links(make, LifeClock(self.life))

    async def _once(self, method: str, url: str, path: str, data: bytes) -> Mapping[str, Any]:
        await self.life.later(lambda: None)
        channel = self.network.connect(self.life, url)
        try:
            return await self.network.ask(channel, method, path, data)
        finally:
            channel.close()
