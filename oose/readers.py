"""Which clone serves: the least loaded first, as this process sees the load."""

from collections.abc import Callable, Mapping, Sequence

from oose.metadata.records import InventoryRecord


class Readers:
    """Orders clones by how much their stores are sending now; `loads` asks those that are here."""

    def __init__(self, loads: Mapping[str, Callable[[], int]], chance: Callable[[], float]) -> None:
        self._loads = loads
        self._chance = chance

    def in_order(self, records: Sequence[InventoryRecord]) -> Sequence[InventoryRecord]:
        """The same clones, the one to ask first in front; chance decides between equals."""
        return sorted(records, key=lambda record: (self._load(record), self._chance()))

    def _load(self, record: InventoryRecord) -> int:
        load = self._loads.get(record.place)
        return load() if load is not None else 0
