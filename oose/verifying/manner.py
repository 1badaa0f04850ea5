"""How files are read: at which pace, how much at a time, and until when."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from oose.pace import Pace
from oose.together import together
from oose.verifying.reading import Reading, read_some
from oose.volume import Volume

PIECE = 16 * 1024 * 1024  # bytes that are read before others have their turn
LEAST = 64 * 1024  # of them, however slow it is
A_SECOND = 4  # pieces at a limited rate, so that no viewer waits for many of them
FILE = 64 * 1024  # bytes that could be read while a disk finds the next file, at a limited rate
AT_ONCE = 100  # files that are gone through in one piece
LANES = 2  # pieces that are read at once where nothing limits it


def always() -> bool:
    """Go on."""
    return True


def silent(count: int) -> None:
    """Tell nobody."""


@frozen
class Manner:
    """Reads at a `pace` of bytes, if any, a `piece` at a time, as long as it is `going`.

    Each file counts as `FILE` bytes more than it has. `tell` is told how many were read.
    """

    pace: Pace | None = None
    piece: int = PIECE
    going: Callable[[], bool] = always
    tell: Callable[[int], None] = silent

    async def read(self, volume: Volume, readings: Iterable[Reading]) -> None:
        """Read files to their ends, unless it is stopped before."""
        left = deque(readings)
        lanes = LANES if self.pace is None else 1
        await together(self._read(volume, left) for _ in range(lanes))

    async def _read(self, volume: Volume, left: deque[Reading]) -> None:
        debt = 0
        while left:
            some = next_of(left, self.piece)
            size = min(self.piece, sum(each.left for each in some))
            await self._take(size + FILE * sum(not each.size for each in some) + debt)
            if not self.going():
                return
            count = await volume.pool.run(read_some, volume.disk, some, self.piece)
            self.tell(count)
            debt = max(0, count - size)  # a file may be larger than its record says
            left.extendleft(each for each in reversed(some) if not each.over)
        await self._take(debt)
        await self._take(0)  # until all of it is paid for

    async def _take(self, count: int) -> None:
        if self.pace is not None:
            await self.pace.take(count)


def next_of(left: deque[Reading], most: int) -> Sequence[Reading]:
    """Take the first files that have so many bytes to read, as far as is known."""
    some: list[Reading] = []
    size = 0
    while left and len(some) < AT_ONCE and size < most:
        some.append(left.popleft())
        size += some[-1].left
    return some


def piece_at(rate: int | None) -> int:
    """How many bytes to read at a time where so many may be read a second."""
    return PIECE if rate is None else max(LEAST, min(PIECE, rate // A_SECOND))
