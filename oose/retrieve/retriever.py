"""Fetches a file from a web server into a receiver, in constant memory.

Twisted's own agent is used without treq: treq would ask for compressed answers, and unpack them.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol, TypeVar
from urllib.parse import urljoin

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
)
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HostnameCachingHTTPSPolicy,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
    IAgent,
    IPolicyForHTTPS,
    IResponse,
)

from oose import __version__
from oose.errors import BadInput, NotAllowed, SourceFailed, SourceTooSlow, TooLarge
from oose.line import Line, LineEndpoint, Resolve, resolve_by
from oose.line_failure import FAILURES, in_words
from oose.log import part
from oose.retrieve.body import deliver
from oose.retrieve.public_address import is_public
from oose.retrieve.source import Source, Url, parse_url

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie"})
_log = part("retrieve")


class Receiver(Protocol):
    """What takes the bytes; see `oose.sink.Sink`."""

    def on_pressure(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """What to call to stop the source, and to let it go on."""
        ...

    def feed(self, chunk: bytes) -> None:
        """Take more of the file. What it raises ends the import."""
        ...


R = TypeVar("R", bound=Receiver)
Begin = Callable[["Head"], Awaitable[R]]


@frozen
class Head:
    """What is known before the first byte: the final URL, the type, the size in bytes if told."""

    url: str
    content_type: str | None
    length: int | None


@frozen
class Limits:
    """What an import may cost and reach. `timeout` is for all of it, in seconds."""

    allow_private: bool
    timeout: float
    max_size: int | None
    max_redirects: int


class Retriever:
    """Imports from web servers, within `limits`.

    `resolve` is the reactor's name resolver where not given; `policy` judges certificates, by the
    system's authorities where not given.
    """

    def __init__(
        self,
        reactor: IReactorTCP,
        clock: IReactorTime,
        limits: Limits,
        *,
        resolve: Resolve | None = None,
        policy: IPolicyForHTTPS | None = None,
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._limits = limits
        self._resolve = resolve or resolve_by(IReactorPluggableNameResolver(reactor).nameResolver)
        if policy is None:
            policy = BrowserLikePolicyForHTTPS()
        self._policy = HostnameCachingHTTPSPolicy(policy)

    async def fetch(self, source: Source, begin: Begin[R]) -> R:
        """Feed all of a source's body to what `begin` returns, and return that.

        `begin` is called once the source has answered that it has the file. Raises `NotAllowed`
        (not a public address), `SourceFailed`, `SourceTooSlow`, `TooLarge`, and what `begin` and
        the receiver raise. Whenever this raises, or is cancelled, the connection is closed and
        nothing more is fed; the receiver may have taken a part and is the caller's to discard.
        """
        work = Deferred.fromCoroutine(self._follow(source, begin))
        return await work.addTimeout(self._limits.timeout, self._clock, self._too_slow)

    def _too_slow(self, result: object, timeout: float) -> NoReturn:
        raise SourceTooSlow(f"The source took longer than {timeout:g} seconds")

    async def _follow(self, source: Source, begin: Begin[R]) -> R:
        for _ in range(self._limits.max_redirects + 1):
            line = Line()
            try:
                response = await self._ask(source, line)
                _log.debug("{host}: {code}", host=source.url.host, code=response.code)
                if response.code not in REDIRECTS:
                    return await self._take(source, response, line, begin)
                source = _redirected(source, response)
            finally:
                line.abort()
        raise SourceFailed(
            f"The source redirects more than {self._limits.max_redirects} times, "
            f"at last to {source.url.host}"
        )

    async def _ask(self, source: Source, line: Line) -> IResponse:
        endpoints = LineEndpoint(self._reactor, line, self._judged, self._policy)
        agent: IAgent = Agent.usingEndpointFactory(self._reactor, endpoints)
        headers = Headers({"User-Agent": [f"OOSE/{__version__}"]})
        for name, text in source.headers:
            headers.setRawHeaders(name, [text])
        headers.setRawHeaders("Accept-Encoding", ["identity"])
        try:
            return await agent.request(b"GET", source.url.text.encode("ascii"), headers)
        except FAILURES as error:
            raise SourceFailed(in_words(error, source.url.host)) from error

    async def _judged(self, host: str) -> Sequence[str]:
        """A host's addresses, once all of them are known to be public.

        What is connected to is one of these, so that another answer of the name server a moment
        later ("DNS rebinding") changes nothing.
        """
        addresses = await self._resolve(host)
        if not self._limits.allow_private and not all(map(is_public, addresses)):
            raise NotAllowed(
                f"{host} is not a host on the public internet: importing from it "
                "must be allowed by retrieve.allow_private in the configuration"
            )
        return addresses

    async def _take(self, source: Source, response: IResponse, line: Line, begin: Begin[R]) -> R:
        _check_usable(response)
        length = None if response.length is UNKNOWN_LENGTH else int(response.length)
        self._check_size(length or 0)
        receiver = await begin(Head(source.url.text, _header(response, "Content-Type"), length))
        fed = 0

        def feed(chunk: bytes) -> None:
            nonlocal fed
            fed += len(chunk)
            self._check_size(fed)
            receiver.feed(chunk)

        line.take_body()
        try:
            await deliver(response, feed, receiver.on_pressure, line)
        except FAILURES as error:
            raise SourceFailed(in_words(error, source.url.host, begun=True)) from error
        return receiver

    def _check_size(self, size: int) -> None:
        limit = self._limits.max_size
        if limit is not None and size > limit:
            raise TooLarge(f"The source's file is larger than {limit} bytes, the most allowed")


def _check_usable(response: IResponse) -> None:
    if response.code != 200:
        phrase = response.phrase.decode("ascii", "replace")[:64]
        raise SourceFailed(f"The source answered {response.code} {phrase}".rstrip())
    encoding = (_header(response, "Content-Encoding") or "identity").lower()
    if encoding != "identity":
        raise SourceFailed(
            f"The source sends the file encoded as {encoding[:32]}, though asked for it as it is"
        )


def _redirected(source: Source, response: IResponse) -> Source:
    """Where to ask next. Credentials stay with the server that they were meant for."""
    location = _header(response, "Location")
    if location is None:
        raise SourceFailed(f"The source answered {response.code} without saying where to go")
    try:
        url, _ = parse_url(urljoin(source.url.text, location))
    except (BadInput, ValueError) as error:
        raise SourceFailed("The source redirects to what is no http or https URL") from error
    return Source(url, source.headers if _same(url, source.url) else _anonymous(source))


def _same(url: Url, other: Url) -> bool:
    return url.origin == other.origin


def _anonymous(source: Source) -> tuple[tuple[str, str], ...]:
    return tuple(item for item in source.headers if item[0].lower() not in _CREDENTIALS)


def _header(response: IResponse, name: str) -> str | None:
    values = response.headers.getRawHeaders(name.encode("ascii"), [])
    return values[0].decode("utf-8", "replace") if values else None
