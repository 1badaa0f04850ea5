"""Whether content may still be on a disk that was removed while the disk could not be reached."""

from collections.abc import Collection

from oose.volume import Volume

MOST = 10_000  # hashes that are remembered one by one


class Clearance:
    """Of one disk: `is_given` once all was looked through that is on it since it came.

    `left` is what could not be removed of it since then, by hash, and is to be looked at again.
    """

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._doubts = 0
        self._given = self.stamp
        self.left: set[str] = set()

    @property
    def stamp(self) -> tuple[int, int]:
        """Another one when all is to be looked through again."""
        return self._doubts, self._volume.visits

    @property
    def is_given(self) -> bool:
        """Whether what is on the disk may be sent without asking the inventory."""
        return self._given == self.stamp

    def give(self, stamp: tuple[int, int]) -> None:
        """All was looked through from when it had this `stamp`."""
        self._given = stamp

    def take_back(self) -> None:
        """Anything may be left."""
        self._doubts += 1
        self.left.clear()

    def leave(self, hashes: Collection[str]) -> None:
        """These could not be removed, or are still to be looked at."""
        self.left.update(hashes)
        if len(self.left) > MOST:
            self.take_back()
