"""Durations and sizes as people write them: `"2h"`, `"64MB"`, or plain numbers."""

import math
import re
from collections.abc import Mapping

MOST_SECONDS = 100 * 365 * 24 * 3600.0
MOST_BYTES = 2**63 - 1
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)
_SECONDS: Mapping[str, float] = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
    "": 1,
}
_BYTES: dict[str, float] = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _BYTES[_letter + "b"] = 1000**_power
    _BYTES[_letter + "ib"] = 1024**_power


def parse_duration(value: object) -> float:
    """Seconds from a number of them or from text; `ValueError` says what was expected."""
    seconds = _parse(value, _SECONDS, 'seconds, or text like "90s", "15m", "2h", "30d"')
    if not 0 <= seconds <= MOST_SECONDS:
        raise ValueError("a duration from 0 to 100 years")
    return float(seconds)


def parse_size(value: object) -> int:
    """Bytes from a number of them or from text; `ValueError` says what was expected."""
    size = _parse(value, _BYTES, 'bytes, or text like "64MB", "1.5GiB"')
    if not 0 <= size <= MOST_BYTES or size != int(size):
        raise ValueError('a whole number of bytes, or text like "64MB", "1.5GiB"')
    return int(size)


def _parse(value: object, units: Mapping[str, float], expected: str) -> float:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = units.get(match[2].lower()) if match else None
    if match is None or unit is None or len(match[1]) > 30:
        raise ValueError(expected)
    number = float(match[1]) if "." in match[1] else int(match[1])
    return round(number * unit) if units is _BYTES else number * unit
