"""Commands that need a reactor, in a process whose reactor runs already."""

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from oose.cli import reacting
from tests.cli.asking import Asking, Said
from tests.real import reactor


def react_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `react` do as it does, but with the reactor of the tests, for who is in a thread."""

    def react(main: Callable[[Any], Any]) -> NoReturn:
        blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(main(reactor)))
        raise SystemExit(0)

    monkeypatch.setattr(reacting, "react", react)


@frozen
class AskingBeside:
    """Runs commands in a thread, beside the reactor that they need."""

    asking: Asking

    @classmethod
    def make(cls, asking: Asking, monkeypatch: pytest.MonkeyPatch) -> "AskingBeside":
        """See `react_here`."""
        react_here(monkeypatch)
        return cls(asking)

    async def __call__(self, *arguments: str, stdin: bytes | str | None = None) -> Said:
        return await deferToThread(self.asking, *arguments, stdin=stdin)
