"""The first clones of content, recorded without asking before whether it is known."""

from collections.abc import Sequence
from typing import Protocol

from oose.metadata.records import InventoryRecord

MOST = 64  # at once


class FirstClones(Protocol):
    """Where their records are written to, in a database of this process."""

    def write(self, records: Sequence[InventoryRecord]) -> Sequence[bool]:
        """Write those of at most `MOST` records whose content nothing is known of.

        Neither a clone nor a note, that is; of several of the same hash the first. Of each whether
        it was written, and is durable; an error where none was. Blocks: for a thread of a pool.
        """
        ...

    def written(self, record: InventoryRecord) -> None:
        """One was written: called by the reactor's thread."""
        ...
