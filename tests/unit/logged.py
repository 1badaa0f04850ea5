"""What the program writes to its log in a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from zope.interface import implementer

from oose.log import configure
from oose.settings.model import LogSettings


@contextmanager
def logged(level: str) -> Iterator[list[str]]:
    """The messages of `level` that are logged within."""
    seen: list[str] = []

    @implementer(ILogObserver)
    def observe(event: dict[str, Any]) -> None:
        if event["log_level"].name == level:
            seen.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    try:
        yield seen
    finally:
        globalLogPublisher.removeObserver(observe)


@contextmanager
def debugged(debug: str) -> Iterator[list[str]]:
    """The debug output within, as far as `debug` asks for it in the environment's words."""
    configure(LogSettings(), debug)
    try:
        with logged("debug") as seen:
            yield seen
    finally:
        configure(LogSettings(), "")
