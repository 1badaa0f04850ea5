"""Ctrl-C that ends a command at a safe point."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(reactor: Any, stop: Callable[[], None]) -> Iterator[None]:
    """Within, the first interrupt has the reactor call `stop`; the next is as it was before."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def as_before() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def heard(number: int, frame: FrameType | None) -> None:
        as_before()
        reactor.callFromThread(stop)

    for number in SIGNALS:
        signal.signal(number, heard)
    try:
        yield
    finally:
        as_before()
