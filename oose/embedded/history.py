"""What was written lately to one database of documents, for those who wait to hear of it.

Nobody else writes to an embedded database, so this is kept in memory, and begins when it is opened.
"""

import secrets
from collections import deque
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from oose.metadata.documents import Changes

MOST = 10_000  # writes that are remembered


class History:
    """The last writes; `clock` is None where nobody is to wait."""

    def __init__(self, clock: IReactorTime | None) -> None:
        self._clock = clock
        self._life = secrets.token_hex(8)
        self._count = 0
        self._ids: deque[str] = deque(maxlen=MOST)
        self._waiting: list[Deferred[None]] = []

    def note(self, ids: Sequence[str]) -> None:
        """These were written, durably."""
        self._ids += ids
        self._count += len(ids)
        if ids:
            self.wake()

    def wake(self) -> None:
        """Nobody waits any longer."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    async def after(self, since: str | None, patience: float) -> Changes:
        """See `Documents.changes`."""
        if since is None:
            return self._changes(0)
        missed = self._missed(since)
        if missed == 0 and self._clock is not None:
            await self._written(patience, self._clock)
            missed = self._missed(since)
        if missed is None or missed > len(self._ids):
            return Changes(self._now, (), is_whole=False)
        return self._changes(missed)

    async def _written(self, patience: float, clock: IReactorTime) -> None:
        written: Deferred[None] = Deferred()
        self._waiting.append(written)
        timer = clock.callLater(patience, self._leave, written)
        try:
            await written
        finally:
            if timer.active():
                timer.cancel()
            if written in self._waiting:
                self._waiting.remove(written)

    def _leave(self, written: Deferred[None]) -> None:
        self._waiting.remove(written)
        written.callback(None)

    @property
    def _now(self) -> str:
        return f"{self._life}-{self._count}"

    def _missed(self, since: str) -> int | None:
        """How many writes came after `since`; None for what is none of ours."""
        life, _, number = since.partition("-")
        if life != self._life or not number.isdecimal() or int(number) > self._count:
            return None
        return self._count - int(number)

    def _changes(self, missed: int) -> Changes:
        ids = list(self._ids)[len(self._ids) - missed :]
        return Changes(self._now, list(dict.fromkeys(ids)))
