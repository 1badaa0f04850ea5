"""The channel on which every process hears what has ended, so that it forgets it at once."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from oose.errors import Unavailable
from oose.log import part
from oose.redis.connection import RedisConnection
from oose.redis.line import Command, Lost, RedisLine, refusals

PING = 1.0  # seconds between two
SILENCE = 2.0  # seconds since the last ping that was answered, after which nothing is believed
PURCHASE = b"purchase"
SESSION = b"session"
_log = part("redis")


def channel(prefix: str) -> bytes:
    """The channel's name."""
    return f"{prefix}:ended".encode()


def purchase_ended(prefix: str, token: str) -> Command:
    """The command that tells everybody of a removed purchase."""
    return _ended(prefix, PURCHASE, token)


def session_ended(prefix: str, digest: str) -> Command:
    """The command that tells everybody of a logout."""
    return _ended(prefix, SESSION, digest)


def _ended(prefix: str, kind: bytes, name: str) -> Command:
    return (b"PUBLISH", channel(prefix), kind + b":" + name.encode("utf-8", "surrogatepass"))


class EndedChannel:
    """The `Endings` of a cluster: listens where `connection` is connected, over its own line."""

    def __init__(self, connection: RedisConnection, prefix: str, clock: IReactorTime) -> None:
        self._connection = connection
        self._channel = channel(prefix)
        self._clock = clock
        self._listeners: dict[bytes, list[Callable[[str], None]]] = {PURCHASE: [], SESSION: []}
        self._line: RedisLine | None = None
        self._subscriptions = 0
        self._heard = 0.0
        self._following: Deferred[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether all that ends on the server that is asked is heard of."""
        line = self._line
        if line is None or not line.is_up or line.server != self._connection.server:
            return False
        return self._clock.seconds() < self._heard + SILENCE

    @property
    def era(self) -> int:
        """Counts subscriptions, and the connections on which questions are asked."""
        return self._subscriptions + self._connection.generation

    def on_purchase(self, ended: Callable[[str], None]) -> None:
        """See `Endings.on_purchase`."""
        self._listeners[PURCHASE].append(ended)

    def on_session(self, ended: Callable[[str], None]) -> None:
        """See `Endings.on_session`."""
        self._listeners[SESSION].append(ended)

    async def open(self) -> None:
        """Listen, from now on and again after each break; `Unavailable` where it cannot begin."""
        if self._following is not None:
            return
        await self._subscribe()
        self._following = Deferred.fromCoroutine(self._follow()).addErrback(_stopped)

    async def close(self) -> None:
        """Listen no longer."""
        if self._following is not None:
            self._following.cancel()
            self._following = None
        line, self._line = self._line, None
        if line is not None:
            line.abort()
            await line.gone

    async def _follow(self) -> None:
        while True:
            await deferLater(self._clock, PING)
            try:
                if self._line is None or not await self._is_alive(self._line):
                    await self._subscribe()
            except Unavailable as error:
                _log.debug("Endings are not heard of: {why}", why=error.message)

    async def _is_alive(self, line: RedisLine) -> bool:
        """Whether a ping comes back from the server that is asked."""
        asked = self._clock.seconds()
        if self._connection.server in (None, line.server):
            ping = Deferred.fromCoroutine(line.ask([(b"PING",)]))
            try:
                await ping.addTimeout(max(0.0, self._heard + SILENCE - asked), self._clock)
            except (Lost, TookTooLong):
                pass
            else:
                self._heard = asked
                return True
        self._line = None
        line.abort()
        return False

    async def _subscribe(self) -> None:
        asked = self._clock.seconds()
        subscribing = Deferred.fromCoroutine(self._subscribed_line())
        try:
            line = await subscribing.addTimeout(self._connection.timeout, self._clock)
        except TookTooLong:
            raise Unavailable("Redis does not answer") from None
        self._subscriptions += 1
        self._heard = asked
        self._line = line

    async def _subscribed_line(self) -> RedisLine:
        [line] = await self._connection.servers.dial(1)
        line.on_message = self._received
        try:
            replies = await line.ask([(b"SUBSCRIBE", self._channel)])
        except Lost:
            raise Unavailable(f"{line.server} broke off") from None
        except CancelledError:
            line.abort()
            raise
        for code in refusals(replies):
            line.abort()
            raise Unavailable(f"{line.server} answers {code} to SUBSCRIBE")
        return line

    def _received(self, message: bytes) -> None:
        kind, _, name = message.partition(b":")
        for ended in self._listeners.get(kind, ()):
            ended(name.decode("utf-8", "surrogatepass"))


def _stopped(failure: Failure) -> None:
    failure.trap(CancelledError)
