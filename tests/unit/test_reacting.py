"""Commands that run the reactor: what becomes of their work, and of an interrupt."""

from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock

from oose.cli import reacting
from oose.cli.exits import UNAVAILABLE, CommandFailed
from oose.errors import Unavailable
from oose.peers.answers import Unreachable


@define
class Turning:
    """A reactor that is turned by hand; `turn` is what happens while a command's work waits."""

    reactor: Any = field(factory=MemoryReactorClock)
    turn: Callable[[], None] = lambda: None

    def react(self, main: Callable[[Any], Coroutine[Any, Any, None]]) -> NoReturn:
        done: list[object] = []
        _ = Deferred.fromCoroutine(main(self.reactor)).addBoth(done.append)
        self.turn()
        assert done == [None]
        raise SystemExit(0)

    def shut_down(self) -> None:
        """As the reactor does when it is interrupted."""
        for call, arguments, named in self.reactor.triggers["before"]["shutdown"]:
            waited_for = call(*arguments, **named)
            assert waited_for is not None
            self.reactor.pump([1, 1, 1])
            assert waited_for.called


@pytest.fixture
def turning(monkeypatch: pytest.MonkeyPatch) -> Turning:
    turning = Turning()
    monkeypatch.setattr(reacting, "react", turning.react)
    return turning


def test_its_result_comes_back(turning: Turning) -> None:
    async def work(reactor: Any) -> int:
        await deferLater(reactor, 1)
        return 7

    turning.turn = lambda: turning.reactor.advance(1)
    assert reacting.run_reacting(work) == 7
    turning.shut_down()  # later, which is nothing to it


def test_what_it_refuses_is_told(turning: Turning) -> None:
    async def work(reactor: Any) -> None:
        raise Unavailable("away")

    with pytest.raises(CommandFailed, match="away") as caught:
        reacting.run_reacting(work)
    assert caught.value.code == UNAVAILABLE


def test_what_is_a_special_case_of_a_refusal_has_its_exit_code(turning: Turning) -> None:
    async def work(reactor: Any) -> None:
        raise Unreachable("nobody listens")

    with pytest.raises(CommandFailed) as caught:
        reacting.run_reacting(work)
    assert caught.value.code == UNAVAILABLE


def test_an_interrupt_lets_it_close_what_it_has_opened(turning: Turning) -> None:
    closed = []

    async def work(reactor: Any) -> None:
        try:
            await deferLater(reactor, 3600)
        finally:
            await deferLater(reactor, 2)
            closed.append(True)

    turning.turn = turning.shut_down
    with pytest.raises(KeyboardInterrupt):
        reacting.run_reacting(work)
    assert closed
