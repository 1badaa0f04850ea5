import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure

from oose.log import as_json, as_text, configure, debug_filter, observer, part, request_id

log = part("disk")


@frozen
class Settings:
    format: str = "text"
    level: str = "info"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The process's one log is as before after each test."""
    yield
    configure(Settings(), "")


def broken(message: str = "no luck") -> Failure:
    with pytest.raises(ZeroDivisionError) as raised:
        raise ZeroDivisionError(message)
    return Failure(raised.value, raised.type, raised.tb)


def event(**fields: Any) -> dict[str, Any]:
    level = {"log_level": LogLevel.info, "log_time": 1.5, "log_format": "said"}
    return {**level, "part": "oose:disk", **fields}


# DEBUG.


@pytest.mark.parametrize(
    ("debug", "shown", "hidden"),
    [
        ("", [], ["oose:disk", ""]),
        ("*", ["oose:disk", "anything"], []),
        ("oose:*", ["oose:disk", "oose:"], ["oose", "other"]),
        ("oose:disk", ["oose:disk"], ["oose:disk2", "oose:http"]),
        ("oose:*,-oose:heartbeat", ["oose:disk"], ["oose:heartbeat"]),
        ("-oose:h* oose:*", ["oose:disk"], ["oose:http", "oose:heartbeat"]),
        ("oose:disk,, other\n", ["oose:disk", "other"], ["oose:http"]),
        ("oose:*:in", ["oose:disk:in"], ["oose:disk:out"]),
        ("oose.disk", [], ["oose:disk"]),
    ],
)
def test_debug_names_parts_as_the_node_package_reads_it(
    debug: str, shown: list[str], hidden: list[str]
) -> None:
    shows = debug_filter(debug)
    assert all(shows(name) for name in shown)
    assert not any(shows(name) for name in hidden)


@given(st.text(), st.text())
def test_any_debug_variable_is_read(debug: str, name: str) -> None:
    assert debug_filter(debug)(name) in {True, False}


def emitted(level: str, debug: str) -> list[str]:
    configure(Settings(level=level), debug)
    with capturedLogs() as events:
        log.debug("to {whom}", whom="you")
    return [f"{each['log_level'].name} {each['part']} {each['whom']}" for each in events]


def test_debug_output_is_made_only_where_it_is_asked_for() -> None:
    assert emitted("info", "") == []
    assert emitted("info", "oose:http") == []
    assert emitted("info", "oose:disk") == ["debug oose:disk you"]
    assert emitted("debug", "") == ["debug oose:disk you"]


# Events.


def test_an_event_says_its_part_its_request_and_its_level() -> None:
    set_before = request_id.set("abc-1")
    try:
        with capturedLogs() as events:
            log.info("one {n}", n=1)
            log.warn("two")
            log.error("three")
            log.failure("four", broken())
    finally:
        request_id.reset(set_before)
    assert [each["log_level"].name for each in events] == ["info", "warn", "error", "critical"]
    assert {(each["part"], each["request"]) for each in events} == {("oose:disk", "abc-1")}
    assert events[0]["n"] == 1
    assert events[3]["log_failure"].type is ZeroDivisionError
    assert {each["log_namespace"] for each in events} == {"oose.disk"}


def written(level: str, *events: dict[str, Any]) -> list[str]:
    stream = io.StringIO()
    observe = observer(Settings(level=level), stream)
    for each in events:
        observe(each)
    return stream.getvalue().splitlines()


def test_what_is_below_the_level_is_not_written() -> None:
    events = [event(log_level=level) for level in LogLevel.iterconstants()]
    assert len(written("debug", *events)) == 5
    assert [line.split()[1] for line in written("error", *events)] == ["debug", "error", "critical"]


def test_of_twisted_itself_only_warnings_are_written_unless_debugging() -> None:
    theirs = {"log_format": "Starting factory", "log_time": 0}
    warning = {**theirs, "log_level": LogLevel.warn}
    assert written("info", theirs, warning) == [
        "1970-01-01T00:00:00.000Z warn twisted Starting factory"
    ]
    assert len(written("debug", theirs, warning)) == 2


def test_the_format_is_the_configuration_s() -> None:
    stream = io.StringIO()
    observer(Settings(format="json"), stream)(event(n=1))
    assert json.loads(stream.getvalue())["n"] == 1


# Text.


def test_a_line_has_time_level_part_request_and_message() -> None:
    said = event(log_format="{n} of {m}", n=1, m=2)
    assert as_text(said) == "1970-01-01T00:00:01.500Z info oose:disk 1 of 2"
    assert as_text({**said, "request": "abc-1"}).endswith("info oose:disk [abc-1] 1 of 2")


def test_a_failure_is_named_and_its_traceback_follows_indented() -> None:
    first, *rest = as_text(event(log_failure=broken(), log_format="went wrong")).splitlines()
    assert first.endswith("went wrong: ZeroDivisionError: no luck")
    assert "    Traceback (most recent call last):" in rest
    assert all(line.startswith("    ") for line in rest)


@given(st.text())
def test_nobody_can_forge_a_line(text: str) -> None:
    line = as_text(event(log_format="{what}", what=text))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    line.encode("utf-8")


def test_a_failure_s_words_cannot_forge_a_line_either() -> None:
    lines = as_text(event(log_failure=broken("a\nb\x1b[2J"), log_format="x")).splitlines()
    assert lines[0].endswith("x: ZeroDivisionError: a\\nb\\x1b[2J")
    assert all(line.startswith("    ") for line in lines[1:])


# JSON.


def test_a_json_line_has_nothing_that_is_for_observers_of_old() -> None:
    old = {"system": "-", "format": "%(log_legacy)s", "isError": 0, "message": (), "time": 1.5}
    line = json.loads(as_json(event(**old)))
    assert sorted(line) == ["level", "message", "part", "time"]


def test_a_json_line_has_the_fields_of_the_event() -> None:
    line = json.loads(as_json(event(log_format="to {whom}", whom="you", n=1, odd=object())))
    assert line == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "info",
        "part": "oose:disk",
        "message": "to you",
        "whom": "you",
        "n": 1,
    }


def test_a_json_line_has_the_request_and_the_traceback() -> None:
    line = json.loads(as_json(event(request="abc-1", log_failure=broken())))
    assert line["request"] == "abc-1"
    assert line["message"] == "said: ZeroDivisionError: no luck"
    assert line["traceback"].startswith("Traceback (most recent call last):")


def test_a_field_never_takes_the_place_of_what_every_line_has() -> None:
    line = json.loads(as_json(event(level="x", time="y", message="z")))
    assert (line["level"], line["message"]) == ("info", "said")
    assert line["time"].startswith("1970")


@pytest.mark.parametrize("name", ["password", "Token", "client_secret", "Authorization", "cookies"])
def test_what_is_called_like_a_secret_is_masked(name: str) -> None:
    assert json.loads(as_json(event(**{name: "hunter2"})))[name] == "********"


@given(st.text(), st.text())
def test_a_json_line_is_one_line(name: str, text: str) -> None:
    line = as_json(event(**{"x" + name: text}))
    assert len(line.splitlines()) == 1
    assert line.isascii()
