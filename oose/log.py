"""The log: every event says which part of oose it comes from and, within a request, which one.

`DEBUG` in the environment shows debug output by part, with the wildcards and exclusions of the
Node.js `debug` package: `DEBUG=oose:*,-oose:heartbeat`.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from twisted.logger import ILogObserver, Logger, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
Shows = Callable[[str], bool]
LEVELS = {"debug": 0, "info": 1, "warn": 2, "error": 3, "critical": 4}
_SECRET = re.compile("password|token|secret|authorization|cookie", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OWN = frozenset({"part", "request"})
_OLD = frozenset({"system", "format", "isError"})  # what Twisted adds for its observers of old


class LogSettings(Protocol):
    """What is looked at of the configuration's `log`."""

    @property
    def format(self) -> str:
        """`text` or `json`."""
        ...

    @property
    def level(self) -> str:
        """The least level that is written."""
        ...


class _Debugging:
    """Which parts write debug output; a process has one log."""

    shows: Shows = staticmethod(lambda name: False)


def debug_filter(text: str) -> Shows:
    """Which names a `DEBUG` variable enables, as the Node.js package reads it."""
    wanted: list[re.Pattern[str]] = []
    unwanted: list[re.Pattern[str]] = []
    for name in re.split(r"[\s,]+", text):
        if name:
            pattern = re.compile(".*?".join(map(re.escape, name.lstrip("-").split("*"))))
            (unwanted if name.startswith("-") else wanted).append(pattern)

    def shows(name: str) -> bool:
        if any(pattern.fullmatch(name) for pattern in unwanted):
            return False
        return any(pattern.fullmatch(name) for pattern in wanted)

    return shows


def configure(settings: LogSettings, debug: str) -> None:
    """Decide what is written, by the configuration and the environment's `DEBUG`."""
    shows = debug_filter(debug)
    everything = settings.level == "debug"
    _Debugging.shows = staticmethod(lambda name: everything or shows(name))


class Part:
    """The log of one part of the program. Messages are Twisted's formats, with named fields."""

    def __init__(self, name: str) -> None:
        self.name = f"oose:{name}"
        self._logger = Logger(namespace=f"oose.{name}")

    @property
    def debugs(self) -> bool:
        """Whether debug output is asked for: where telling it costs more than it should."""
        return _Debugging.shows(self.name)

    def debug(self, message: str, **fields: Any) -> None:
        """For whoever looks closely; costs next to nothing unless asked for."""
        if _Debugging.shows(self.name):
            self._emit(LogLevel.debug, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """For whoever reads the log."""
        self._emit(LogLevel.info, message, fields)

    def warn(self, message: str, **fields: Any) -> None:
        """Something to look at in time."""
        self._emit(LogLevel.warn, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Something to look at now."""
        self._emit(LogLevel.error, message, fields)

    def failure(self, message: str, failure: Failure, **fields: Any) -> None:
        """An error nobody expected, with its traceback."""
        self._logger.failure(
            message, failure, LogLevel.critical, part=self.name, request=request_id.get(), **fields
        )

    def _emit(self, level: Any, message: str, fields: Mapping[str, Any]) -> None:
        self._logger.emit(level, message, part=self.name, request=request_id.get(), **fields)


def part(name: str) -> Part:
    """The log of the part `oose:<name>`."""
    return Part(name)


def observer(settings: LogSettings, stream: TextIO) -> ILogObserver:
    """What writes events to `stream`, as text or as JSON lines."""
    write = as_json if settings.format == "json" else as_text
    least = LEVELS[settings.level]

    @implementer(ILogObserver)
    def observe(event: Mapping[str, Any]) -> None:
        level = LEVELS[event.get("log_level", LogLevel.info).name]
        if "part" not in event and level < LEVELS["warn"]:
            level = LEVELS["debug"]  # Twisted's own: factories that start and stop
        is_wanted_debug = "part" in event and level == LEVELS["debug"]  # or it had not been emitted
        if level < least and not is_wanted_debug:
            return
        stream.write(write(event) + "\n")
        stream.flush()

    written: ILogObserver = observe
    return written


def as_text(event: Mapping[str, Any]) -> str:
    """One line; a traceback follows it, indented."""
    request = event.get("request")
    words = [
        _time(event),
        _level(event),
        _part(event),
        f"[{request}]" if request else "",
        _message(event),
    ]
    lines = [" ".join(word for word in words if word)]
    lines += [f"    {_escape(line)}" for line in _traceback(event).splitlines()]
    return "\n".join(lines)


def as_json(event: Mapping[str, Any]) -> str:
    """One JSON object; what looks like a secret by its name is masked."""
    line: dict[str, Any] = {
        "time": _time(event),
        "level": _level(event),
        "part": _part(event),
        "message": _message(event),
    }
    if event.get("request"):
        line["request"] = event["request"]
    if trace := _traceback(event):
        line["traceback"] = trace
    for name, value in event.items():
        if name.startswith("log_") or name in _OWN or name in _OLD or name in line:
            continue
        if isinstance(value, str | int | float | bool):
            line[name] = "********" if _SECRET.search(name) else value
    return json.dumps(line, default=str)


def _time(event: Mapping[str, Any]) -> str:
    when = datetime.fromtimestamp(event.get("log_time", 0), UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(event: Mapping[str, Any]) -> str:
    return str(getattr(event.get("log_level"), "name", "info"))


def _part(event: Mapping[str, Any]) -> str:
    return str(event.get("part", "twisted"))


def _message(event: Mapping[str, Any]) -> str:
    text = formatEvent(dict(event))
    failure = event.get("log_failure")
    if failure is not None:
        text = f"{text}: {failure.type.__name__}: {failure.getErrorMessage()}"
    return _escape(text)


def _traceback(event: Mapping[str, Any]) -> str:
    failure = event.get("log_failure")
    return str(failure.getTraceback()) if failure is not None else ""


def _escape(text: str) -> str:
    """Without line breaks and control characters, so that nobody can forge a line.

    Without lone surrogates too, which no file can hold: they are in names of files that are not
    UTF-8.
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
