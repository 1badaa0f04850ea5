"""Redis as the rest of oose asks it: an answer soon, or `Unavailable`."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from oose.errors import Unavailable
from oose.log import part
from oose.loop import Loop
from oose.redis.line import Command, Lost, RedisLine, Reply, Server, refusals
from oose.redis.replication import Replication
from oose.redis.servers import Servers
from oose.settings.model import RedisSettings

LINES = 3  # the first is never held up by writes that wait for replicas
PROBE = 1.0  # seconds between two attempts to reach a server that is away
CHECK = 5.0  # seconds between two questions to the sentinels whether the master is still the one
RETRY_AFTER = 2
OUTDATED = frozenset({"READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "CLUSTERDOWN"})
_log = part("redis")


class RedisConnection:
    """A few connections to the Redis of `settings`, found and made anew when they are lost.

    Each question is answered within the settings' timeout. From the moment Redis is known to be
    away, questions fail at once, and one attempt a second is made to reach it.
    """

    def __init__(
        self, reactor: Any, settings: RedisSettings, policy: IPolicyForHTTPS, clock: IReactorTime
    ) -> None:
        self.servers = Servers(reactor, settings, policy, clock)
        self.timeout = settings.timeout
        self.generation = 0
        self.asked = 0  # questions so far, each of one or several commands
        self._clock = clock
        self._replication = Replication(clock)
        self._lines: list[RedisLine] = []
        self._is_open = False
        self._is_away = False
        self._tried = 0.0
        self._attempt: Deferred[None] | None = None
        self._probe: IDelayedCall | None = None
        self._waiters: list[Deferred[None]] = []
        self._complained: set[str] = set()
        self._checks = Loop("Asking who is the master of Redis", self._check, CHECK, clock)

    @property
    def server(self) -> Server | None:
        """The server that answers now; None while it is away."""
        return self._lines[0].server if self._lines else None

    async def open(self) -> None:
        """Connect; raises `Unavailable`, and may be called again, also when it is open."""
        if self._is_open:
            if not self._lines:
                raise _away()
            return
        self._tried = self._clock.seconds()
        try:
            lines = await self._dial()
        except Unavailable as error:
            raise Unavailable(f"Redis: {error.message}", retry_after=RETRY_AFTER) from None
        self._is_open = True
        self._use(lines)
        if self.servers.is_replicated:
            self._checks.start()

    async def close(self) -> None:
        """Let go of it, whatever is under way."""
        self._is_open = False
        await self._checks.stop()
        if self._probe is not None and self._probe.active():
            self._probe.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
        lines, self._lines = self._lines, []
        for line in lines:
            line.abort()
        for line in lines:
            await line.gone

    async def ask(
        self, *commands: Command, again: bool = False, waits: bool = False
    ) -> list[Reply]:
        """The replies to commands sent together; `Unavailable`.

        With `again` they may be sent a second time when the connection breaks: repeating them
        changes nothing. `waits` is for those that hold up what is sent after them.
        """
        self.asked += 1
        deadline = self._clock.seconds() + self.timeout
        line = await self._line(deadline, waits)
        try:
            try:
                replies = await self._answer(line, commands, deadline)
            except Lost:
                if not again:
                    raise
                line = await self._line(deadline, waits)
                replies = await self._answer(line, commands, deadline)
        except Lost:
            raise _away() from None
        for code in refusals(replies):
            raise self._refused(line, code)
        return replies

    async def write(self, *commands: Command, again: bool = False) -> list[Reply]:
        """As `ask`; where there are replicas, one has it before this returns, if it can."""
        if not self.servers.is_replicated:
            return await self.ask(*commands, again=again)
        wait = self._replication.wait()
        *replies, confirmed = await self.ask(*commands, wait, again=again, waits=True)
        self._replication.confirmed(confirmed)
        return replies

    def distrust(self, why: str) -> Unavailable:
        """Break with a server whose replies make no sense; the error to raise."""
        if self._lines:
            self._drop(why)
        return _away()

    # A question.

    async def _line(self, deadline: float, waits: bool) -> RedisLine:
        if not self._lines and self._is_open and not self._is_away:
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            try:
                await waiter.addTimeout(self._left(deadline), self._clock)
            except TookTooLong:
                raise _away() from None
        if not self._lines:
            raise _away()
        return min(self._lines[1:] if waits else self._lines, key=lambda line: line.waiting)

    async def _answer(
        self, line: RedisLine, commands: Sequence[Command], deadline: float
    ) -> list[Reply]:
        asking = Deferred.fromCoroutine(line.ask(commands))
        try:
            return await asking.addTimeout(self._left(deadline), self._clock)
        except TookTooLong:
            if line in self._lines:
                self._drop(f"{line.server} does not answer")
            raise _away() from None

    def _left(self, deadline: float) -> float:
        return max(0.0, deadline - self._clock.seconds())

    def _refused(self, line: RedisLine, code: str) -> Unavailable:
        if code in OUTDATED:
            if line in self._lines:
                self._drop(f"{line.server} answers {code}")
        elif code not in self._complained:
            self._complained.add(code)
            _log.error("Redis at {server} refuses: {code}", server=str(line.server), code=code)
        return _away()

    # The connections.

    async def _dial(self) -> list[RedisLine]:
        try:
            dialling = Deferred.fromCoroutine(self.servers.dial(LINES))
            return await dialling.addTimeout(self.timeout, self._clock)
        except TookTooLong:
            raise Unavailable("it does not answer", retry_after=RETRY_AFTER) from None

    def _use(self, lines: list[RedisLine]) -> None:
        self.generation += 1
        self._lines = lines
        self._complained.clear()
        for line in lines:
            line.on_lost = self._lost
        if self._is_away:
            self._is_away = False
            _log.info("Redis is back, at {server}", server=str(self.server))
        for line in lines:
            if not line.is_up:
                self._lost(line)

    def _lost(self, line: RedisLine) -> None:
        """Begin anew; those who ask meanwhile wait for the first attempt."""
        if line not in self._lines:
            return
        self._abandon()
        if self._clock.seconds() >= self._tried + PROBE:
            self._begin()
        else:
            self._set_away(f"{line.server} breaks off")
            self._begin_later()

    def _drop(self, why: str) -> None:
        self._abandon()
        self._set_away(why)
        self._begin_later()

    async def _check(self) -> None:
        """Leave a master that lives on although another has taken over."""
        server = self.server
        try:
            found = await self.servers.find()
        except Unavailable:
            return
        if server is not None and server == self.server != found.server:
            self._drop(f"{server} is no longer the master")

    def _abandon(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            line.abort()

    def _set_away(self, why: str) -> None:
        if not self._is_away:
            self._is_away = True
            _log.warn("Redis is away: {why}", why=why)

    def _begin_later(self) -> None:
        wait = max(0.0, self._tried + PROBE - self._clock.seconds())
        self._probe = self._clock.callLater(wait, self._begin)

    def _begin(self) -> None:
        self._tried = self._clock.seconds()
        self._attempt = Deferred.fromCoroutine(self._try()).addErrback(_stopped)

    async def _try(self) -> None:
        try:
            lines = await self._dial()
        except Unavailable as error:
            self._set_away(error.message)
            self._begin_later()
        else:
            self._use(lines)
        finally:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.called:
                    waiter.callback(None)


def _away() -> Unavailable:
    return Unavailable(
        "Purchases and sessions cannot be reached for now; try again in a moment",
        retry_after=RETRY_AFTER,
    )


def _stopped(failure: Failure) -> None:
    failure.trap(CancelledError)
