"""What comes to a disk and what goes from it: nothing is taken away that is just coming."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oose.turns import Turns


class Passage:
    """Of one disk, by hash. Content comes from before its file is visible until it is recorded.

    While some of it goes, what comes of the same waits.
    """

    def __init__(self) -> None:
        self._coming: Counter[str] = Counter()
        self._going = Turns(1)

    def is_coming(self, content_hash: str) -> bool:
        """Whether a file of it is becoming visible, or is and may not be recorded yet."""
        return content_hash in self._coming

    def is_going(self, content_hash: str) -> bool:
        """Whether somebody is about to take it away."""
        return content_hash in self._going

    async def come(self, content_hash: str) -> None:
        """One more comes; `came` ends it."""
        if len(self._going):  # which is rare
            async with self._going.of(content_hash):
                self._coming[content_hash] += 1
        else:
            self._coming[content_hash] += 1

    def came(self, content_hash: str) -> None:
        """It is recorded, or is not there any more."""
        self._coming[content_hash] -= 1
        if not self._coming[content_hash]:
            del self._coming[content_hash]

    @asynccontextmanager
    async def going(self, content_hash: str) -> AsyncIterator[None]:
        """Within, nothing of it begins to come, and nobody else takes it away."""
        async with self._going.of(content_hash):
            yield
