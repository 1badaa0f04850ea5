"""Which handler answers which path, and what has to hold before a byte of a body is read.

Routes are declared on a `klein.Klein`, the handler's place in its class; beside it stands a `Route`
that says who may call it and what takes the body. Fixed paths are found in a dictionary: Klein's
own matching would cost more than a small request itself (docs/decisions/0003).
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from attrs import define, field, frozen
from klein import Klein
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchPath
from werkzeug.routing import MapAdapter

from oose.errors import BadInput, NotFound, WrongMethod
from oose.web.answers import Answer

_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
Handler = TypeVar("Handler", bound=Callable[..., Any])
Result = Mapping[str, Any] | Answer | None
"""What a handler gives back: JSON for a 200, a whole answer, or None when it answered itself."""


class Access(Enum):
    """Who may call a route."""

    OPEN = auto()  # anybody
    SESSION = auto()  # a user's session, or the prism's own credentials
    PEER = auto()  # the prism's or store's own credentials only


class Body(Protocol):
    """What takes a request's body as it arrives."""

    def feed(self, data: bytes) -> None:
        """Take more of it; raises an `OoseError` when it is no use to read on."""
        ...

    async def finish(self) -> None:
        """The body has ended: raises an `OoseError` when it is not whole and right."""
        ...

    async def abandon(self) -> None:
        """Leave nothing behind. Called once in every case, also after `finish` and the handler."""
        ...


OpenBody = Callable[[Any, Any, int | None, Mapping[str, str]], Awaitable[Body]]
"""(room, request, Content-Length or None when chunked, path parameters) to what takes the body."""


@frozen
class Route:
    """One handler: its name in Klein, who may call it, and what takes its body."""

    endpoint: str
    access: Access
    open_body: OpenBody | None


@frozen
class Match:
    """A route and what its pattern found in the path."""

    route: Route
    parameters: Mapping[str, str]


@define
class Routes:
    """The routes of one room, declared with `at` while its class is being made."""

    app: Klein = field(factory=Klein)
    _by_endpoint: dict[str, Route] = field(factory=dict)
    _fixed: dict[bytes, dict[bytes, Match]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.app.url_map.strict_slashes = False
        self.app.url_map.merge_slashes = False

    def at(
        self,
        path: str,
        *methods: str,
        access: Access = Access.OPEN,
        body: OpenBody | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare a handler for `methods` of `path` (a werkzeug rule). HEAD comes with GET."""
        offered = (*methods, "HEAD") if "GET" in methods else methods

        def declare(handler: Handler) -> Handler:
            endpoint = handler.__name__
            route = Route(endpoint, access, body)
            self._by_endpoint[endpoint] = route
            self.app.route(path, methods=offered, endpoint=endpoint)(handler)
            if "<" not in path:
                known = self._fixed.setdefault(path.encode("ascii"), {})
                known.update({method.encode("ascii"): Match(route, {}) for method in offered})
            return handler

        return declare

    def match(self, method: bytes, target: bytes) -> Match:
        """The route for a request line; `NotFound`, `WrongMethod`, or `BadInput` for its bytes."""
        path = target.partition(b"?")[0]
        fixed = self._fixed.get(path)
        if fixed is not None:
            match = fixed.get(method)
            if match is None:
                raise wrong_method(path.decode("ascii"), [name.decode() for name in fixed])
            return match
        return self._match_pattern(method, path)

    def _match_pattern(self, method: bytes, path: bytes) -> Match:
        try:
            text = unquote_to_bytes(path).decode("utf-8")
        except UnicodeDecodeError:
            raise BadInput("The path is not UTF-8") from None
        adapter: MapAdapter = self.app.url_map.bind("")
        try:
            endpoint, parameters = adapter.match(text, method.decode("ascii"))
        except MethodNotAllowed as error:
            raise wrong_method(text, error.valid_methods or ()) from None
        except NoSuchPath:
            raise NotFound("There is nothing at this path") from None
        return Match(self._by_endpoint[str(endpoint)], parameters)


def origin_form(target: bytes) -> bytes:
    """A request target without scheme and host, which it may have (RFC 9112 section 3.2.2)."""
    if target.startswith(b"/"):
        return target
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return target
    rest = target[absolute.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def wrong_method(path: str, allowed: Any) -> WrongMethod:
    """The error for a path that answers other methods."""
    names = tuple(sorted(set(allowed)))
    return WrongMethod(f"{path} answers only {', '.join(names)}", names)
