"""Looking after an exchange with a peer: how long to wait when nothing moves.

A peer whose disk is slow says so by answering a ping, and is waited for; one that is dead or
stopped answers none, and is given up within a few seconds.
"""

from collections.abc import Awaitable, Callable
from typing import Self

from attrs import define, field, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from oose.background import in_background

LOOK = 1.0  # seconds between two looks at what does not move
PATIENCE = 60.0  # seconds for which somebody who is there is waited for


@frozen
class Attending:
    """How exchanges with one peer are looked after; `is_alive` asks it."""

    peer: str
    is_alive: Callable[[], Awaitable[bool]]
    clock: IReactorTime
    patience: float = PATIENCE

    def to(self, give_up: Callable[[str], None], moved: Callable[[], int]) -> "Attendance":
        """Look after what `moved` counts; `give_up` takes the reason, once at most."""
        return Attendance(self, give_up, moved)


@define(eq=False)
class Attendance:
    """Attends from its `with` on to the end of it."""

    _attending: Attending
    _give_up: Callable[[str], None]
    _moved: Callable[[], int]
    _quiet: float = field(default=0.0, init=False)
    _seen: int = field(default=0, init=False)
    _next: IDelayedCall | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        self._seen = self._moved()
        self._wait()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._over = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _wait(self) -> None:
        self._next = self._attending.clock.callLater(LOOK, self._look)

    def _look(self) -> None:
        self._next = None
        moved = self._moved()
        if moved != self._seen:
            self._seen, self._quiet = moved, 0.0
            self._wait()
            return
        self._quiet += LOOK
        if self._quiet >= self._attending.patience:
            seconds = self._attending.patience
            self._give_up(f"{self._attending.peer} did not go on for {seconds:g} seconds")
            return
        in_background(self._ask())

    async def _ask(self) -> None:
        is_alive = await self._attending.is_alive()
        if self._over:
            return
        if is_alive:
            self._wait()
        else:
            self._give_up(f"{self._attending.peer} does not answer any more")
