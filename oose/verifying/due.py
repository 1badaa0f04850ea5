"""Which of a store's clones were not verified for longest: a list in bounded memory.

A pass over the store's records finds them. What was never verified comes first: a pass that has
found a list full of it goes no further, and the next one goes on from there, so that a store
of which nothing was verified yet is passed over once, and not once a list.
"""

import heapq
from collections.abc import Callable, Sequence

from attrs import frozen

from oose.metadata.documents import Held, Inventory
from oose.pace import Pace
from oose.verifying.manner import always

MOST = 10_000  # in the list
PAGE = 1000  # records asked for at once
NEVER = 0  # when what was never verified was


@frozen
class Entry:
    """The clone of `hash`, of `size` bytes, last verified at `when` (ms)."""

    when: int
    hash: str
    size: int


class Due:
    """The clones of the store at `place`, those verified before `since` (ms) as if they never were.

    A pass asks for pages at the `pace` of so many a second. `seen_all` says that the list that the
    last one made had all that there was.
    """

    def __init__(
        self, place: str, inventory: Inventory, pace: Pace, *, since: int = NEVER, most: int = MOST
    ) -> None:
        self._place = place
        self._inventory = inventory
        self._pace = pace
        self._since = since
        self._most = most
        self._list: list[Entry] = []  # the first at the end
        self._after = ""  # the hash up to which a pass has come that is not over
        self.has_looked = False
        self.seen_all = False

    def __len__(self) -> int:
        return len(self._list)

    @property
    def is_passing(self) -> bool:
        """Whether the last pass has left records behind that it did not look at."""
        return bool(self._after)

    @property
    def oldest(self) -> int | None:
        """When the first of the list was last verified (ms), `NEVER` for never; None without."""
        return self._list[-1].when if self._list else None

    async def look(self, going: Callable[[], bool] = always) -> bool:
        """Make the list anew, from the records that the pass has still to come to.

        False where it was not `going` on, or failed: then it is as if there had been no look.
        """
        begun = self._after
        newest: list[tuple[int, str, int]] = []  # a heap: by minus when, the newest first
        is_done = False
        try:
            is_done = await self._pass(newest, only_never=bool(begun), going=going)
        finally:
            if not is_done:
                self._after = begun
        if is_done:
            self.has_looked = True
            self.seen_all = not (begun or self._after or len(newest) == self._most)
            newest.sort(key=lambda each: (-each[0], each[1]), reverse=True)
            self._list = [Entry(-when, content_hash, size) for when, content_hash, size in newest]
        return is_done

    async def _pass(
        self, newest: list[tuple[int, str, int]], *, only_never: bool, going: Callable[[], bool]
    ) -> bool:
        while going():
            await self._pace.take(1)
            page = await self._inventory.held(self._place, after=self._after, limit=PAGE)
            for each in page:
                when = self._when(each)
                if when == NEVER or not only_never:
                    if len(newest) < self._most:
                        heapq.heappush(newest, (-when, each.hash, each.size))
                    elif newest[0][0] == -NEVER:
                        return True  # nothing comes before these
                    else:
                        heapq.heappushpop(newest, (-when, each.hash, each.size))
                self._after = each.hash
            if len(page) < PAGE:
                self._after = ""
                return True
        return False

    def _when(self, held: Held) -> int:
        if held.verified is None or held.verified < self._since:
            return NEVER
        return held.verified

    def take(self, before: int, files: int, size: int) -> Sequence[Entry]:
        """The first that were last verified before then (ms), and are not in the list any more.

        At most so many files, and not more than so many bytes unless it is one.
        """
        taken: list[Entry] = []
        while self._list and len(taken) < files:
            entry = self._list[-1]
            size -= entry.size
            if entry.when >= before or (taken and size < 0):
                break
            taken.append(self._list.pop())
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """These were taken in vain."""
        self._list += reversed(entries)
