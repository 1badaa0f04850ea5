"""The stores that uploads go to, wherever they are."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from oose.metadata.records import InventoryRecord
from oose.placement import Candidate
from oose.sink import Reception

Status = Literal["ok", "corrupt", "missing"]


class Keeper(Protocol):
    """A store as a prism sees it."""

    def candidate(self) -> Candidate | None:
        """What placement has to know of it now; None when it takes nothing."""
        ...

    async def holds(self, record: InventoryRecord) -> bool:
        """Whether the file that the record tells of is really there."""
        ...

    async def verify(self, content_hash: str) -> Status:
        """Have its clone read and hashed again; a corrupt one is none any more."""
        ...

    async def remove(
        self, content_hash: str, *, before: int | None = None, until: int | None = None
    ) -> None:
        """Delete its clone: the record, then the file; `NotFound`.

        With `before` (ms) only one that is older: `Conflict` where it has come since. With `until`
        (ms) not from then on: `Conflict` where that is over by the store's clock.
        """
        ...


class LocalKeeper(Keeper, Protocol):
    """A store of this process."""

    def receive(self) -> Reception:
        """Begin to receive a copy."""
        ...


class Keepers(Protocol):
    """All that there are, by `<prism>:<store>`."""

    def all(self) -> Sequence[Keeper]:
        """Those that may take copies now, and perhaps others: ask their `candidate`."""
        ...

    def get(self, place: str) -> Keeper | None:
        """The one at `place`; None when it cannot be asked now."""
        ...

    def receive(self, place: str, hash_type: str) -> Reception:
        """Begin to send it a copy of what will be called by its `hash_type`."""
        ...


class LocalKeepers:
    """Stores of this process."""

    def __init__(self, keepers: Mapping[str, LocalKeeper]) -> None:
        self._keepers = keepers

    def all(self) -> Sequence[Keeper]:
        """See `Keepers.all`."""
        return list(self._keepers.values())

    def get(self, place: str) -> Keeper | None:
        """See `Keepers.get`."""
        return self._keepers.get(place)

    def receive(self, place: str, hash_type: str) -> Reception:
        """See `Keepers.receive`."""
        return self._keepers[place].receive()
