"""A bounded cache whose entries end by themselves."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Up to `most` values, each for `life` (ms); the least recently used go first.

    Whoever reads a value elsewhere to `keep` it notes `changes` before: when something was
    forgotten meanwhile, what was read may be old, and is not kept.
    """

    def __init__(self, life: int, most: int = 10_000) -> None:
        self._life = life
        self._most = most
        self.changes = 0
        self._entries: OrderedDict[str, tuple[int, T]] = OrderedDict()

    def get(self, key: str, now: int) -> T | None:
        """The value, None where there is none any more."""
        entry = self._entries.get(key)
        if entry is None or entry[0] <= now:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def keep(self, key: str, value: T, now: int, *, read_at: int) -> None:
        """Remember a value from `now` on, unless something was forgotten since `read_at`."""
        if read_at != self.changes:
            return
        self._entries[key] = (now + self._life, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def forget(self, key: str) -> None:
        """Remember it no longer."""
        self.changes += 1
        self._entries.pop(key, None)

    def flush(self) -> int:
        """Forget all; how many there were."""
        self.changes += 1
        count = len(self._entries)
        self._entries.clear()
        return count

    def __len__(self) -> int:
        return len(self._entries)

    def values(self) -> Iterator[T]:
        """What is remembered, the least recently used first."""
        return (value for _, value in self._entries.values())
