"""Asking peers whether they are there."""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.interfaces import IReactorTime

from oose.peer import Peer
from oose.together import together

Ping = Callable[[Peer], Coroutine[Deferred[Any], Any, None]]  # raises where there is no answer
Answers = Mapping[str, str | None]


class Pings:
    """Pings many at once, but no more than `concurrency`, and none longer than `timeout`."""

    def __init__(self, ping: Ping, clock: IReactorTime, timeout: float, concurrency: int) -> None:
        self._ping = ping
        self._clock = clock
        self._timeout = timeout
        self._concurrency = concurrency

    async def ask(self, peers: Sequence[Peer]) -> Answers:
        """Ping each once; by id why there was no answer, None where there was one."""
        answers: dict[str, str | None] = {}
        left = iter(peers)
        await together(
            self._ask_in_turn(left, answers) for _ in range(min(self._concurrency, len(peers)))
        )
        return answers

    async def _ask_in_turn(self, left: Iterator[Peer], answers: dict[str, str | None]) -> None:
        for peer in left:
            answers[peer.id] = await self._ask(peer)

    async def _ask(self, peer: Peer) -> str | None:
        exchange = Deferred.fromCoroutine(self._ping(peer))
        if not exchange.called:
            exchange = exchange.addTimeout(self._timeout, self._clock)
        try:
            await exchange
        except TooLate:
            return f"No answer within {self._timeout:g} seconds"
        except Exception as error:
            return str(error) or type(error).__name__
        return None
