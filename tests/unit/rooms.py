"""A room for tests of the HTTP layer: it does what each test tells it to."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from klein import Klein
from twisted.internet.defer import Deferred

from oose.errors import NotAuthenticated, OoseError
from oose.web.answers import Answer
from oose.web.fields import Fields, json_body
from oose.web.intake import IntakeRequest
from oose.web.routing import Access, Routes

routes = Routes()


class Taker:
    """A body that remembers what it was fed."""

    def __init__(self) -> None:
        self.data = b""
        self.abandoned = 0
        self.raises: OoseError | None = None
        self.finished: Deferred[None] | None = None
        self.abandoning: Deferred[None] | None = None

    def feed(self, data: bytes) -> None:
        if self.raises is not None:
            raise self.raises
        self.data += data

    async def finish(self) -> None:
        if self.finished is not None:
            await self.finished

    async def abandon(self) -> None:
        if self.abandoning is not None:
            await self.abandoning
        self.abandoned += 1


async def take(
    room: "PlayRoom", request: IntakeRequest, length: int | None, parameters: Mapping[str, str]
) -> Taker:
    room.opened.append((length, dict(parameters)))
    if room.open_error is not None:
        raise room.open_error
    return room.taker


class PlayRoom:
    routes: ClassVar[Routes] = routes
    app: ClassVar[Klein] = routes.app
    server_name = b"oose"

    def __init__(self) -> None:
        self.taker = Taker()
        self.opened: list[tuple[int | None, dict[str, str]]] = []
        self.open_error: OoseError | None = None
        self.door: Deferred[None] | None = None
        self.counts: Counter[tuple[str, int]] = Counter()
        self.does: Callable[[IntakeRequest], Any] | None = None
        self.waits: Deferred[Any] | None = None
        self.cancelled = False

    async def authorise(self, request: IntakeRequest, access: Access) -> None:
        if self.door is not None:
            await self.door
        if access is not Access.OPEN and request.header(b"x-oose-token") != "good":
            raise NotAuthenticated("Not logged in")

    def count(self, endpoint: str, status: int) -> None:
        self.counts[endpoint, status] += 1

    @routes.at("/ping", "GET", "POST")
    async def ping(self, request: IntakeRequest) -> Mapping[str, Any]:
        return {"pong": "pong"}

    @routes.at("/echo", "POST", body=json_body)
    async def echo(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        return {"value": fields.get("value")}

    @routes.at("/put/<name>", "PUT", access=Access.SESSION, body=take)
    async def put(self, request: IntakeRequest, body: Taker, name: str) -> Mapping[str, Any]:
        return {"name": name, "size": len(body.data)}

    @routes.at("/do/<path:what>", "GET", "POST")
    async def do(self, request: IntakeRequest, what: str) -> Answer | None:
        if self.waits is not None:
            await self.waits
        assert self.does is not None
        result: Answer | None = self.does(request)
        return result
