"""A pool whose calls a test makes one by one."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred

P = ParamSpec("P")
T = TypeVar("T")


class ByHand:
    """A pool that makes its calls when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        turn: Deferred[None] = Deferred(lambda _: None)  # a call that has begun is not cancelled
        self.waiting.append(turn)
        await turn
        return call(*args, **kwargs)

    def do_all(self) -> None:
        while self.waiting:
            self.waiting.pop(0).callback(None)
