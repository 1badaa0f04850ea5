"""One mapping of a configuration being read: every value checked, every problem collected."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeGuard, TypeVar

from oose import address
from oose.settings.kinds import Kind

T = TypeVar("T")


class Section:
    """Reads `values`, called `name` in messages ("" for the file itself).

    Takes every name once; `close` then says which names nobody knows.
    """

    def __init__(self, name: str, values: Mapping[str, Any], problems: list[str]) -> None:
        self._name = name
        self._values = values
        self._problems = problems
        self._known: set[str] = set()

    def take(self, key: str, kind: Kind[T], default: T) -> T:
        """The value of `key` as `kind` makes it; a bad one is noted and `default` returned."""
        self._known.add(key)
        if key not in self._values:
            return default
        try:
            return kind(self._values[key])
        except ValueError as error:
            self.wrong(key, f"expected {error}; this is {shown(key, self._values[key])}")
            return default

    def has(self, key: str) -> bool:
        """Whether there is anything at `key`."""
        return bool(self._values.get(key))

    def wrong(self, key: str, what: str) -> None:
        """Note what is wrong with `key`."""
        self._problems.append(f"{self.dotted(key)}: {what}")

    def dotted(self, key: str) -> str:
        """`key` as a reader of the file finds it."""
        return f"{self._name}.{key}" if self._name else key

    def section(self, key: str) -> "Section":
        """The mapping below `key`, an empty one where there is none."""
        self._known.add(key)
        given = self._values.get(key)
        if given is None:
            given = {}
        if not is_mapping(given):
            self.wrong(key, f"expected a mapping; this is {shown(key, given)}")
            given = {}
        return Section(self.dotted(key), given, self._problems)

    def close(self) -> None:
        """Note the names that were given and not taken."""
        for key in self._values:
            if key not in self._known:
                near = get_close_matches(key, self._known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {self._listing()}"
                self.wrong(key, f"there is no such name; {hint}")

    def _listing(self) -> str:
        return ", ".join(sorted(self._known))


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether `value` can be a section."""
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def shown(key: str, value: object) -> str:
    """`value` for a message; never what may be a secret."""
    if "password" in key:
        return f"a secret of type {type(value).__name__}"
    return address.shown(value, repr)
