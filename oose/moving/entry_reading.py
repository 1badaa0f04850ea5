"""Reading the lines of an export: `oose.moving.entries` says what they are."""

import json
from typing import Any

from oose.errors import OoseError
from oose.moving.entries import FORMAT, KINDS, BadLine, Body, End, Entry, Header, is_whole, need
from oose.moving.entry_checks import CHECKS, KIND_WORDS


def read(text: bytes) -> Header | Entry | End:
    """What a line says; `BadLine`."""
    try:
        value = json.loads(text, parse_constant=no_number)
        if not isinstance(value, dict):
            raise BadLine("this is not a line of an export")
        check_letters(value, text)
        if "oose" in value:
            return mark(value)
        return entry(value)
    except (ValueError, RecursionError):
        raise BadLine("this is not JSON on one line") from None


def no_number(text: str) -> None:
    """What Python takes for a number, and JSON does not know."""
    raise ValueError(text)


def check_letters(value: Any, text: bytes) -> None:
    """`BadLine` for letters that no database takes: halves of one."""
    if b"\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise BadLine("there is half a letter in it") from None


def mark(value: Body) -> Header | End:
    """The first line or the last."""
    counts = value.get("counts")
    if not isinstance(counts, dict) or not all(is_whole(each) for each in counts.values()):
        raise BadLine("its counts are none")
    if value["oose"] == "end":
        return End(counts)
    if value["oose"] != "export" or value.get("format") != FORMAT:
        raise BadLine(f"this oose reads exports of format {FORMAT}, and this is none")
    return Header(str(value.get("version")), need(value, "at", is_whole), counts)


def entry(value: Body) -> Entry:
    """An entry of which use can be made."""
    kind, name, body = value.get("in"), value.get("id"), value.get("body")
    if kind not in KINDS:
        raise BadLine(f"it does not say in which of {', '.join(KINDS)} it is")
    if not isinstance(name, str) or not name or name.startswith("_"):
        raise BadLine("it has no id")
    if not isinstance(body, dict) or any(each.startswith("_") for each in body):
        raise BadLine("it has no body that a document could have")
    found = Entry(kind, name, body)
    try:
        CHECKS[kind](found)
    except OoseError as error:
        raise BadLine(error.message) from None
    except (LookupError, TypeError, ValueError, AttributeError):
        raise BadLine(f"{name} lacks something that {KIND_WORDS[kind]} has") from None
    return found
