"""Rows of a database in hash order, read by the page and handed out by the slice."""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
PAGE = 1000  # rows
LONGEST = 128  # hex digits of a hash


class Ahead(Generic[T]):
    """Reads `ask(after)`, pages of rows in the order of their hashes, which `hash_of` tells.

    What is handed out may have been read some time before: a page holds many slices of a small
    store. `behind` is the slice that is asked for first.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[Sequence[T]]],
        hash_of: Callable[[T], str],
        behind: str,
    ) -> None:
        self._ask = ask
        self._hash_of = hash_of
        self._rows: Sequence[T] = ()
        self._after = last_before(behind)
        self._is_last = False

    async def of(self, part: str) -> list[T]:
        """The rows whose hashes begin with the slice `part`; slices are asked for in order."""
        found: list[T] = []
        while True:
            end = bisect_left(self._rows, part + "g", key=self._hash_of)
            found += self._rows[:end]
            self._rows = self._rows[end:]
            if self._rows or self._is_last:
                return found
            self._rows = await self._ask(self._after)
            self._is_last = len(self._rows) < PAGE
            if self._rows:
                self._after = self._hash_of(self._rows[-1])


def last_before(part: str) -> str:
    """The last hash that there may be before a slice; empty for the first."""
    number = int(part, 16)
    return f"{number - 1:02x}".ljust(LONGEST, "f") if number else ""
