"""What a shared database said last, for when it need not or cannot be asked."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

from attrs import frozen

from oose.errors import Unavailable
from oose.purchases import Endings
from oose.remembered import Remembered

T = TypeVar("T")


@frozen
class _Seen(Generic[T]):
    value: T
    when: int
    era: int


class Recall(Generic[T]):
    """Values by key, as they were read or made within `life` (ms).

    Under connected `endings` they are believed without asking for `fresh` (ms); while the
    database is away they go on for as long as they are remembered.
    """

    def __init__(self, endings: Endings, life: int, fresh: int) -> None:
        self._endings = endings
        self._fresh = fresh
        self._seen: Remembered[_Seen[T]] = Remembered(max(life, fresh))

    async def get(self, key: str, now: int, read: Callable[[], Awaitable[T | None]]) -> T | None:
        """The value; `read`, where it is needed, is what asks the database for it."""
        try:
            return await self.current(key, now, read)
        except Unavailable:
            last = self.last(key, now)  # it may have ended meanwhile
            if last is None:
                raise
            return last

    async def current(
        self, key: str, now: int, read: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """The value; `Unavailable` where only the last one is known."""
        seen = self._seen.get(key, now)
        if seen is not None and self._believes(seen, now):
            return seen.value
        read_at, era = self._seen.changes, self._endings.era
        value = await read()
        if value is not None:
            self._seen.keep(key, _Seen(value, now, era), now, read_at=read_at)
        elif seen is not None:
            self.forget(key)
        return value

    def last(self, key: str, now: int) -> T | None:
        """The value that was current last."""
        seen = self._seen.get(key, now)
        return None if seen is None else seen.value

    async def make(self, key: str, value: T, now: int, add: Callable[[], Awaitable[None]]) -> None:
        """Recall a new value like one that was read, once `add` has put it into the database.

        Nobody knows its key before, so it cannot have ended while it was added.
        """
        era = self._endings.era
        await add()
        self._seen.keep(key, _Seen(value, now, era), now, read_at=self._seen.changes)

    def forget(self, key: str) -> None:
        """Recall it no longer: it has ended."""
        self._seen.forget(key)

    def flush(self) -> int:
        """Forget all; how many there were."""
        return self._seen.flush()

    def values(self) -> Iterator[T]:
        """What is remembered."""
        return (seen.value for seen in self._seen.values())

    def _believes(self, seen: _Seen[T], now: int) -> bool:
        is_fresh = now < seen.when + self._fresh
        return is_fresh and seen.era == self._endings.era and self._endings.is_connected
