"""Which Redis server to talk to, and how a connection to it begins."""

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import ClientFactory
from twisted.web.iweb import IPolicyForHTTPS

from oose.errors import Unavailable
from oose.line_failure import FAILURES, in_words
from oose.redis.line import Command, Lost, RedisLine, Reply, Server, refusals
from oose.settings.model import RedisSettings
from oose.together import together

PORT = 6379
PATIENCE = 0.5  # seconds that the sentinels have: one that hangs must not hold up the rest
NEXT_ADDRESS = 0.1  # seconds after which another address of the same host is tried as well
CREDENTIALS = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


@frozen
class Target:
    """What a URL says: the server, the number of the database, and whether to speak TLS."""

    server: Server
    database: int = 0
    is_secure: bool = False


def parse_url(url: str) -> Target:
    """A target from `redis://host:port/database` or `rediss://...`."""
    parts = urlsplit(url)
    database = parts.path.strip("/")
    return Target(
        Server(parts.hostname or "localhost", parts.port or PORT),
        int(database) if database.isdecimal() else 0,
        parts.scheme == "rediss",
    )


class Servers:
    """Finds and calls the server of `settings`. `policy` judges its certificate."""

    def __init__(
        self, reactor: Any, settings: RedisSettings, policy: IPolicyForHTTPS, clock: IReactorTime
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self.name = settings.url or f"the sentinels' {settings.service}"

    @property
    def is_replicated(self) -> bool:
        """Whether there are replicas that may take over."""
        return bool(self._settings.sentinels)

    async def dial(self, count: int) -> list[RedisLine]:
        """Connections to the server, ready for commands; `Unavailable` says what is wrong."""
        target = await self.find()
        lines: list[RedisLine] = []
        try:
            await together(self._call_for(lines, target) for _ in range(count))
        except BaseException:
            for line in lines:
                line.abort()
            raise
        return lines

    async def find(self) -> Target:
        """The server as configured, or the one that most sentinels name."""
        if self._settings.url is not None:
            return parse_url(self._settings.url)
        named = await together(self._named_by(Server(*each)) for each in self._settings.sentinels)
        most = Counter(each for each in named if each is not None).most_common(1)
        if not most:
            raise Unavailable(f"no sentinel says which server is {self._settings.service}")
        return Target(most[0][0])

    async def _named_by(self, sentinel: Server) -> Server | None:
        asking = Deferred.fromCoroutine(self._ask_sentinel(sentinel))
        try:
            return await asking.addTimeout(PATIENCE, self._clock)
        except (Unavailable, TookTooLong):
            return None

    async def _ask_sentinel(self, sentinel: Server) -> Server | None:
        question = (b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._settings.service.encode())
        line = await self._call(Target(sentinel))
        try:
            [reply] = await line.ask([question])
            if refusals([reply]) == ["NOAUTH"]:
                *_, reply = await line.ask([*self._credentials(), question])
        except Lost:
            return None
        finally:
            line.abort()
        return _address(reply)

    async def _call(self, target: Target) -> RedisLine:
        server = target.server
        endpoint: IStreamClientEndpoint
        try:
            host = server.host.encode("ascii")
            endpoint = HostnameEndpoint(self._reactor, host, server.port, attemptDelay=NEXT_ADDRESS)
            if target.is_secure:
                creator = self._policy.creatorForNetloc(host, server.port)
                endpoint = wrapClientTLS(creator, endpoint)
            line = await endpoint.connect(_Lines(server))
        except FAILURES as error:
            raise Unavailable(in_words(error, str(server))) from error
        except ValueError as error:
            raise Unavailable(f"{server.host!r} is not a host's name") from error
        assert isinstance(line, RedisLine)
        return line

    async def _call_for(self, lines: list[RedisLine], target: Target) -> None:
        line = await self._call(target)
        lines.append(line)
        await self._greet(line, target)

    async def _greet(self, line: RedisLine, target: Target) -> None:
        commands = self._credentials()
        if target.database:
            commands.append((b"SELECT", b"%d" % target.database))
        try:
            *replies, pong, role = await line.ask([*commands, (b"PING",), (b"ROLE",)])
        except Lost as error:
            raise Unavailable(_parting(line)) from error
        codes = refusals([*replies, pong])
        has_refused_us = self._settings.password is not None and bool(refusals(replies[:1]))
        if has_refused_us or CREDENTIALS.intersection(codes):
            raise Unavailable(f"{line.server} refuses our username or password ({codes[0]})")
        if codes:
            raise Unavailable(f"{line.server} answers {codes[0]}")
        if pong != "PONG":
            raise Unavailable(f"{line.server} does not answer as Redis does")
        if refusals([role]):
            return  # an account that may not ask this; a write will show it
        if not isinstance(role, list) or role[:1] != [b"master"]:
            raise Unavailable(f"{line.server} is not a master, so it takes no purchases")

    def _credentials(self) -> list[Command]:
        if self._settings.password is None:
            return []
        name = [self._settings.username.encode()] if self._settings.username else []
        return [(b"AUTH", *name, self._settings.password.encode())]


class _Lines(ClientFactory):
    noisy = False

    def __init__(self, server: Server) -> None:
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> RedisLine:
        """A line to the server."""
        return RedisLine(self._server)


def _address(reply: Reply) -> Server | None:
    """What a sentinel answers: host and port, or nothing where it does not know the service."""
    if not isinstance(reply, list) or len(reply) != 2:
        return None
    host, port = reply
    if not isinstance(host, bytes) or not isinstance(port, bytes) or not port.isdigit():
        return None
    return Server(host.decode("ascii", "replace"), int(port))


def _parting(line: RedisLine) -> str:
    """Why a connection ended that had hardly begun."""
    error = line.why.value if line.why is not None else None
    if isinstance(error, FAILURES) and not isinstance(error, ConnectionClosed):
        return in_words(error, str(line.server))
    return f"{line.server} broke off"
