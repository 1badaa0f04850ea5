"""What the fields of a document of version 2.x say, whichever way they say it.

Its programs wrote numbers as numbers and as text, times as milliseconds and as dates, flags as
flags and as text. Each function returns None for what says nothing.
"""

from datetime import UTC, datetime
from math import isfinite

from oose.settings.kinds import label

MOST = 2**53  # beyond it JSON's numbers are not exact
LAST_MOMENT = 8_640_000_000_000_000  # ms since 1970: the last that JavaScript knows
FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def text(value: object) -> str | None:
    """Text of one line."""
    if isinstance(value, str) and value and value.isprintable():
        return value
    return None


def name(value: object) -> str | None:
    """A prism's or a store's name, if it is one that a configuration takes today."""
    try:
        return label(value)
    except ValueError:
        return None


def number(value: object) -> int | None:
    """A whole number, zero or more."""
    if isinstance(value, str):
        stripped = value.strip()
        if not (stripped.isascii() and stripped.isdecimal() and len(stripped) <= 16):
            return None
        value = int(stripped)
    if isinstance(value, float):
        value = int(value) if isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        return None
    return value


def moment(value: object) -> int | None:
    """A time in ms since 1970, given so or as a date such as `2016-02-01T12:00:00.000Z`."""
    found = number(value)
    if found is None and isinstance(value, str):
        try:
            date = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        found = number(int(aware.timestamp() * 1000))
    return found if found is not None and found <= LAST_MOMENT else None


def flag(value: object, otherwise: bool) -> bool:
    """Yes or no; `otherwise` where that is not said."""
    if isinstance(value, str):
        return FLAGS.get(value.strip().lower(), otherwise)
    return bool(value) if isinstance(value, int) else otherwise
