"""One connection to a Redis server: commands and replies in step, or not at all.

txredisapi's protocol takes any line it does not know for nothing and keeps a reply that nobody
asked for as the answer to the next command; here both end the connection. It also waits for a
turn of the global reactor after each text in a reply, which this does not.
"""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from txredisapi import BaseRedisProtocol, RedisError, ResponseError

Command = Sequence[bytes]
Reply = str | bytes | int | list[Any] | Exception | None
"""Status replies are `str`, texts `bytes`; what the server refuses is a `ResponseError`."""

MOST = 1 << 20  # bytes of a text, or items of a list: far more than anything of ours has


class Lost(Exception):
    """The connection ended before the replies were there."""


class _Garbage(ValueError):
    """This is not what Redis says."""


@frozen
class Server:
    """Where a Redis server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class RedisLine(BaseRedisProtocol):  # type: ignore[misc] # txredisapi has no types
    """A connection to `server`; made by an endpoint.

    `on_lost` is called when it has ended, before those who wait for replies hear of it, and
    `on_message` with each message of the channels that were subscribed to.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.server = server
        self.on_lost: Callable[[RedisLine], None] = _ignore
        self.on_message: Callable[[bytes], None] = _ignore
        self.why: Failure | None = None
        self.gone: Deferred[None] = Deferred()
        self._rest = b""

    @property
    def is_up(self) -> bool:
        """Whether it is connected, as far as is known."""
        return bool(self.connected)

    @property
    def waiting(self) -> int:
        """How many replies are still to come."""
        return len(self.replyQueue.waiting)

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Send all of them at once; their replies, errors among them. Raises `Lost`."""
        if not self.is_up:
            raise Lost
        sent = [self.execute_command(*each).addErrback(_as_reply) for each in commands]
        replies = [await each for each in sent]
        if any(isinstance(each, RedisError) for each in replies if not is_refusal(each)):
            raise Lost
        return replies

    def abort(self) -> None:
        """End it, whatever is under way."""
        if self.is_up:
            self.connected = 0
            self.transport.abortConnection()

    # What txredisapi's protocol does, made stricter.

    def connectionMade(self) -> None:
        """Send small commands without delay, and notice when the other machine is gone."""
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        super().connectionMade()

    def connectionLost(self, reason: Failure) -> None:
        """Tell everybody who waits."""
        self.connected = 0
        self.why = reason
        self.on_lost(self)
        super().connectionLost(reason)
        self.gone.callback(None)

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Take all of it now."""
        try:
            while data:
                self._rest = b""
                super().dataReceived(data)
                data = self._rest
        except ValueError:  # `_Garbage`, or a line that is not UTF-8
            self.abort()

    def setLineMode(self, extra: bytes = b"") -> None:  # noqa: N802
        """The next line begins in `extra`."""
        self.line_mode = 1
        self._rest = extra

    def lineReceived(self, line: str) -> None:  # noqa: N802
        """The first line of a reply or of an item in it."""
        kind, rest = line[:1], line[1:]
        if kind not in ("+", "-", ":", "$", "*"):
            raise _Garbage(kind)
        if kind in ("+", "-", ":"):
            if kind == ":":
                int(rest)
        elif not -1 <= int(rest) <= MOST:
            raise _Garbage(line)
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """No line of Redis is that long."""
        raise _Garbage("a line")

    def replyReceived(self, reply: Any) -> None:  # noqa: N802
        """A reply is for whoever has waited longest; a message for the subscriber."""
        if isinstance(reply, list) and len(reply) == 3 and reply[0] == b"message":
            self.on_message(reply[2])
        elif not self.replyQueue.waiting:
            raise _Garbage("a reply to nothing")
        else:
            super().replyReceived(reply)


def is_refusal(reply: object) -> bool:
    """Whether it is an error that the server answered."""
    return isinstance(reply, ResponseError)


def refusals(replies: Sequence[Any]) -> list[str]:
    """The codes (first words) of the errors among replies and what they hold.

    The rest of an error is not for the log: it may repeat a password.
    """
    found = []
    for each in replies:
        if isinstance(each, list):
            found += refusals(each)
        elif is_refusal(each):
            found.append(str(each).split(" ", 1)[0] or "ERR")
    return found


def _as_reply(failure: Failure) -> Any:
    failure.trap(RedisError)
    return failure.value


def _ignore(_: Any) -> None:
    """Nobody is interested."""
