"""Kinds of arguments: what the engine's own parsers take, with click's words when they refuse."""

from collections.abc import Callable
from typing import Any

import click

from oose.address import parse_extension, parse_hash
from oose.errors import OoseError
from oose.settings.units import parse_duration


class Parsed(click.ParamType[Any]):
    """An argument that `parse` understands."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        try:
            return self._parse(value)
        except OoseError as error:
            self.fail(error.message, param, ctx)
        except ValueError as error:
            self.fail(f"{value!r} is no {self.name}: expected {error}", param, ctx)


def parse_life(value: str) -> int:
    """Milliseconds from text such as `2h`."""
    number = float(value) if value.replace(".", "", 1).isdigit() else value
    return int(parse_duration(number) * 1000)


HASH = Parsed("hash", parse_hash)
EXTENSION = Parsed("extension", parse_extension)
DURATION = Parsed("duration", parse_life)
