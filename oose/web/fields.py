"""JSON bodies: a bounded object, its fields taken out with the type that is due."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from oose.address import parse_hash, shown
from oose.errors import BadInput, TooLarge, WrongType

JSON_LIMIT = 2 * 1024 * 1024
DEPTH_LIMIT = 32


class Fields:
    """The JSON object of a request, taken while it arrives. An empty body is an empty object."""

    def __init__(self, limit: int = JSON_LIMIT) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self._values: dict[str, Any] = {}

    # As a `Body`.

    def feed(self, data: bytes) -> None:
        """See `Body.feed`."""
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge(f"The JSON is over the limit of {self._limit} bytes")
        self._chunks.append(data)

    async def finish(self) -> None:
        """See `Body.finish`."""
        text = b"".join(self._chunks)
        self._chunks.clear()
        if not text.strip():
            return
        self._values = parse_object(text)

    async def abandon(self) -> None:
        """See `Body.abandon`."""
        self._chunks.clear()

    # For handlers.

    def get(self, name: str) -> Any:
        """The field as it came, None where there is none."""
        return self._values.get(name)

    def text(self, name: str, *, limit: int = 1024) -> str:
        """A field that must be there and be text, of at most `limit` characters."""
        value = self._values.get(name)
        if value is None:
            raise BadInput(f"The field {name!r} is missing")
        if not isinstance(value, str):
            raise BadInput(f"The field {name!r} must be text, not {shown(value)}")
        if len(value) > limit:
            raise BadInput(f"The field {name!r} is longer than {limit} characters")
        return value

    def number(self, name: str, *, least: int, most: int) -> int | None:
        """A whole number within bounds, also as text of digits; None where there is none."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadInput(
                f"The field {name!r} must be a whole number from {least} to {most},"
                f" not {shown(value)}"
            )
        return value

    def truth(self, name: str, *, default: bool) -> bool:
        """A field that says yes or no; `default` where it is not there, and null is neither."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise BadInput(f"The field {name!r} must be true or false, not {shown(value)}")
        return value

    def flag(self, name: str) -> bool:
        """A field that is true or false; false where there is none."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise BadInput(f"The field {name!r} must be true or false, not {shown(value)}")
        return bool(value)

    def hash(self) -> str:
        """The one hash asked for, as `hash` or, by older clients, `sha1`."""
        return parse_hash(self._asked())

    def hashes(self) -> str | Sequence[str]:
        """The hash asked for, or in bulk the list of them, each once in the order given."""
        asked = self._asked()
        if isinstance(asked, list):
            return list(dict.fromkeys(map(parse_hash, asked)))
        return parse_hash(asked)

    def _asked(self) -> Any:
        asked = self._values.get("hash", self._values.get("sha1"))
        if asked is None:
            raise BadInput("The field 'hash' is missing")
        return asked


def parse_object(text: bytes) -> dict[str, Any]:
    """A JSON object (RFC 8259) of moderate depth; `BadInput` says what else it is."""
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise BadInput("The JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"The body is not JSON: {error}") from None
    except UnicodeDecodeError:
        raise BadInput("The body is not JSON: it is not UTF-8") from None
    except ValueError:  # Python's limit on digits
        raise BadInput("A number in the JSON is too long") from None
    if not isinstance(value, dict):
        raise BadInput(f"The body must be a JSON object, not {shown(value)}")
    if not _shallow(value, DEPTH_LIMIT):
        raise BadInput(f"The JSON is nested deeper than {DEPTH_LIMIT} levels")
    return value


def _no_constant(name: str) -> Any:
    raise BadInput(f"The body is not JSON: {name} is no number there")


def _shallow(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    if levels == 0:
        return False
    inner = value.values() if isinstance(value, dict) else value
    return all(_shallow(each, levels - 1) for each in inner)


async def json_body(
    room: object, request: Any, length: int | None, parameters: Mapping[str, str]
) -> Fields:
    """Open the body of a route that takes JSON (an `OpenBody`)."""
    fields = Fields()
    if length is not None and length > JSON_LIMIT:
        raise TooLarge(f"The JSON is over the limit of {JSON_LIMIT} bytes")
    declared = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if length != 0 and declared not in {"", "application/json", "text/json"}:
        raise WrongType(f"Send JSON, with Content-Type: application/json, not {shown(declared)}")
    return fields
