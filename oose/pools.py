"""All threads of a process: one pool for each kind of work, and one for each disk."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from oose.pool import Threads
from oose.settings import Settings

DISK_THREADS = 4  # one slow read must not hold up the others; more only crowd the reactor out


@frozen
class Pools:
    """All threads of the process. Every disk has its own beside these."""

    hashing: Threads
    writer: Threads
    readers: Threads
    passwords: Threads
    disks: Mapping[str, Threads]

    @classmethod
    def make(cls, settings: Settings, reactor: Any) -> "Pools":
        """Not started yet."""
        names = [store.name for store in settings.stores]
        return cls(
            hashing=Threads("hash", 2, reactor),
            writer=Threads("database-writer", 1, reactor),
            readers=Threads("database-reader", 2, reactor),
            passwords=Threads("password", 2, reactor),
            disks={name: Threads(f"disk-{name}", DISK_THREADS, reactor) for name in names},
        )

    def all(self) -> Sequence[Threads]:
        """Every pool."""
        return (self.hashing, self.writer, self.readers, self.passwords, *self.disks.values())
