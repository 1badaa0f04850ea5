"""At most so many at once for each key; the others wait for their turn."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field
from twisted.internet.defer import Deferred


@define
class _Turn:
    """Those of one key. Thousands that end as soon as they begin do so in a loop, not nested."""

    free: int
    waiting: deque[Deferred[None]] = field(factory=deque)
    _moving: bool = False

    def begin(self) -> Deferred[None]:
        """Fires when it is the caller's turn; one that is cancelled was never there."""
        turn: Deferred[None] = Deferred(self.waiting.remove)
        self.waiting.append(turn)
        self._move()
        return turn

    def end(self) -> None:
        """The turn of one is over."""
        self.free += 1
        self._move()

    def _move(self) -> None:
        if self._moving:
            return
        self._moving = True
        while self.free and self.waiting:
            self.free -= 1
            self.waiting.popleft().callback(None)
        self._moving = False


class Turns:
    """`at_once` for each key; keys that nobody uses are forgotten."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turns: dict[str, _Turn] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def __contains__(self, key: str) -> bool:
        return key in self._turns

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Within, it is one's turn."""
        turn = self._turns.setdefault(key, _Turn(self._at_once))
        await turn.begin()
        try:
            yield
        finally:
            turn.end()
            is_unused = turn.free == self._at_once and not turn.waiting
            if is_unused and self._turns.get(key) is turn:  # the one moved up may have been faster
                del self._turns[key]
