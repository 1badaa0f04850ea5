"""How files are read: at which pace, how much at a time, and until when."""

from collections.abc import Callable, Sequence

from attrs import frozen

from oose.pace import Pace
from oose.verifying.reading import Reading, read_some
from oose.volume import Volume

PIECE = 16 * 1024 * 1024  # bytes that are read before others have their turn
LEAST = 64 * 1024  # of them, however slow it is
A_SECOND = 4  # pieces at a limited rate, so that no viewer waits for many of them
FILE = 64 * 1024  # bytes that could be read while a disk finds the next file, at a limited rate
AT_ONCE = 100  # files that are gone through in one piece


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

    async def read(self, volume: Volume, readings: Sequence[Reading]) -> None:
        """Read files to their ends, unless it is stopped before."""
        left, debt = list(readings), 0
        while left:
            some, left = left[:AT_ONCE], left[AT_ONCE:]
            size, files = planned(some, self.piece)
            await self._take(size + FILE * files + debt)
            if not self.going():
                return
            count = await volume.pool.run(read_some, volume.disk, some, self.piece)
            self.tell(count)
            debt = max(0, count - size)  # a file may be larger than its record says
            left = [each for each in some if not each.over] + left
        await self._take(debt)
        await self._take(0)  # until all of it is paid for

    async def _take(self, count: int) -> None:
        if self.pace is not None:
            await self.pace.take(count)


def planned(readings: Sequence[Reading], most: int) -> tuple[int, int]:
    """How many bytes come next, up to so many, and how many files are begun for them."""
    size = files = 0
    for each in readings:
        if size >= most:
            break
        size += each.left
        files += not each.size
    return min(size, most), files


def piece_at(rate: int | None) -> int:
    """How many bytes to read at a time where so many may be read a second."""
    return PIECE if rate is None else max(LEAST, min(PIECE, rate // A_SECOND))
