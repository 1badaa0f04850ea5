"""A server that answers as a test says: for what a real Redis does not do when it is asked to."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock

from oose.errors import Unavailable
from oose.redis import RedisConnection
from oose.settings.model import RedisSettings
from tests.real import reactor
from tests.redis_server import ANY_POLICY, until

Answer = bytes | Callable[["Conversation"], bytes | None] | None
"""What a command is answered; None leaves it unanswered."""

MASTER = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"


@define(eq=False)
class Scripted(Factory):
    """Answers by a command's first word; by nothing where it is not in `answers`."""

    answers: dict[bytes, Answer] = field(
        factory=lambda: {b"PING": b"+PONG\r\n", b"ROLE": MASTER, b"SELECT": b"+OK\r\n"}
    )
    commands: list[list[bytes]] = field(factory=list)
    conversations: list["Conversation"] = field(factory=list)
    port: Any = None
    number: int = 0

    noisy = False

    def listen(self, port: int = 0) -> "Scripted":
        self.port = reactor.listenTCP(port, self, interface="127.0.0.1")
        self.number = self.port.getHost().port
        return self

    def buildProtocol(self, addr: IAddress | None) -> "Conversation":
        return Conversation(self)

    def heard(self, word: bytes) -> int:
        """How often a command came."""
        return sum(command[0] == word for command in self.commands)

    def hang_up(self) -> None:
        """Close all connections."""
        for each in list(self.conversations):
            each.hang_up()

    async def close(self) -> None:
        await maybeDeferred(self.port.stopListening)
        self.hang_up()
        await until(lambda: not self.conversations)


class Conversation(Protocol):
    def __init__(self, script: Scripted) -> None:
        self._script = script
        self._data = b""

    def connectionMade(self) -> None:
        self._script.conversations.append(self)

    def connectionLost(self, reason: Any = None) -> None:
        self._script.conversations.remove(self)

    def hang_up(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        while (command := self._next()) is not None:
            self._script.commands.append(command)
            answer = self._script.answers.get(command[0])
            said = answer(self) if callable(answer) else answer
            if said is not None:
                self.say(said)

    def _next(self) -> list[bytes] | None:
        """One whole command; they come whole here."""
        if not self._data:
            return None
        head, rest = self._data.split(b"\r\n", 1)
        words = []
        for _ in range(int(head[1:])):
            length, rest = rest.split(b"\r\n", 1)
            size = int(length[1:])
            words.append(rest[:size])
            rest = rest[size + 2 :]
        self._data = rest
        return words


def text(*items: bytes) -> bytes:
    """A list of texts as Redis answers it."""
    return b"*%d\r\n" % len(items) + b"".join(b"$%d\r\n%s\r\n" % (len(i), i) for i in items)


@define
class Talk:
    """A scripted server and a connection to it, under a clock."""

    script: Scripted
    clock: Clock
    connection: RedisConnection

    async def open(self) -> RedisConnection:
        await self.connection.open()
        return self.connection

    async def back(self) -> None:
        """Let the time of the next attempt come, until one succeeds."""
        await until(self._is_back)

    def is_probe_due(self) -> bool:
        """Whether the next attempt has been arranged."""
        probe = self.connection._probe
        return probe is not None and bool(probe.active())

    def until_probe(self) -> float:
        """How long it is until then."""
        assert self.connection._probe is not None
        return self.connection._probe.getTime() - self.clock.seconds()

    def _is_back(self) -> bool:
        if self.is_probe_due():
            self.clock.advance(self.until_probe())
        return self.connection.server is not None

    def ask(self, *command: bytes, again: bool = False) -> "Asked":
        return Asked(Deferred.fromCoroutine(self.connection.ask(command, again=again)))


class Asked:
    """A question under way."""

    def __init__(self, deferred: Deferred[Any]) -> None:
        self.deferred = deferred
        self.outcome: Any = None
        _ = deferred.addBoth(self._keep)

    def _keep(self, outcome: Any) -> None:
        self.outcome = getattr(outcome, "value", outcome)

    @property
    def is_refused(self) -> bool:
        return isinstance(self.outcome, Unavailable)

    async def ended(self) -> Any:
        """What became of it: replies or an error."""
        await until(lambda: self.outcome is not None)
        return self.outcome


@asynccontextmanager
async def talk(**more: Any) -> AsyncIterator[Talk]:
    """A connection to a scripted server, not open yet. `more` are settings."""
    script = Scripted().listen()
    clock = Clock()
    clock.advance(1000)
    settings = RedisSettings(**({"url": f"redis://127.0.0.1:{script.number}"} | more))
    connection = RedisConnection(reactor, settings, ANY_POLICY, clock)
    try:
        yield Talk(script, clock, connection)
    finally:
        await connection.close()
        await script.close()
