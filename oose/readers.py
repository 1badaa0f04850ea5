"""Which clone serves: the least loaded first, as this process sees the load."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Protocol

from oose.metadata.records import InventoryRecord

HALF_LIFE = 5.0  # seconds: how long a viewer who was sent to a store weighs on it, more or less
PLACES = 10_000


class Watcher(Protocol):
    """Who wants to know how it goes with the stores that are used here."""

    def avoids(self, place: str) -> bool:
        """Whether a store is better not asked now."""
        ...

    def used(self, place: str) -> None:
        """A viewer was sent to a store, or it is being read from."""
        ...

    def failed(self, place: str, why: Exception | str | None = None) -> None:
        """A store did not answer, broke off, or has something else than it should."""
        ...


class Nobody:
    """A `Watcher` that knows of nothing."""

    def avoids(self, place: str) -> bool:
        """See `Watcher.avoids`."""
        return False

    def used(self, place: str) -> None:
        """See `Watcher.used`."""

    def failed(self, place: str, why: Exception | str | None = None) -> None:
        """See `Watcher.failed`."""


class Readers:
    """Orders clones by how much their stores are sending now, those to avoid last.

    `loads` asks the stores that are here. Of the others this knows who reads from them through it,
    and, for some `seconds`, how many viewers it has sent there.
    """

    def __init__(
        self,
        loads: Mapping[str, Callable[[], int]],
        chance: Callable[[], float],
        *,
        watcher: Watcher | None = None,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._loads = loads
        self._chance = chance
        self._watcher = watcher if watcher is not None else Nobody()
        self._seconds = seconds
        self._reading: Counter[str] = Counter()
        self._sent: OrderedDict[str, tuple[float, float]] = OrderedDict()  # viewers, as of when

    def in_order(
        self, records: Sequence[InventoryRecord], *, near_first: bool = False
    ) -> Sequence[InventoryRecord]:
        """The same clones, the one to ask first in front; chance decides between equals.

        With `near_first`, of equals those that are here, which cost no way over the network.
        """

        def rank(record: InventoryRecord) -> tuple[bool, float, bool, float]:
            place = record.place
            is_far = near_first and place not in self._loads
            return self._watcher.avoids(place), self._load(place), is_far, self._chance()

        return sorted(records, key=rank)

    def sent_to(self, place: str) -> None:
        """A viewer is on the way to a store."""
        self._sent[place] = (self._viewers(place) + 1, self._seconds())
        self._sent.move_to_end(place)
        if len(self._sent) > PLACES:
            self._sent.popitem(last=False)
        self._watcher.used(place)

    def reading(self, place: str) -> None:
        """Something is read from a store for a client of this process, until it is `left`."""
        self._reading[place] += 1
        self._watcher.used(place)

    def left(self, place: str) -> None:
        """It is not read from any more."""
        self._reading[place] -= 1
        if not self._reading[place]:
            del self._reading[place]

    def failed(self, place: str, why: Exception | str | None = None) -> None:
        """A store could not be read from."""
        self._watcher.failed(place, why)

    def _load(self, place: str) -> float:
        here = self._loads.get(place)
        viewers = round(self._viewers(place), 1)  # so that what is long ago decides nothing
        return self._reading[place] + max(here() if here is not None else 0, viewers)

    def _viewers(self, place: str) -> float:
        viewers, when = self._sent.get(place, (0.0, 0.0))
        return float(viewers * 0.5 ** ((self._seconds() - when) / HALF_LIFE))
