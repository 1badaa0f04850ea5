"""The embedded database of a process, around a new version that may change its layout.

A version that does so keeps a copy beside it first (`oose.embedded.schema`), and an older one
refuses what it leaves. So the copy takes its place again where the newer one did not come up: it
has answered nobody, so nothing that anybody was promised is lost.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from attrs import frozen

from oose.installing.machine import Machine
from oose.installing.plan import Change

NAME = "oose.sqlite"  # below a configuration's `root`: oose.embedded.database
BESIDE = ("", "-wal", "-shm")  # what SQLite keeps of it
GIVEN_UP = "given-up"
Copies = Mapping[str, int]  # the time of each, by its name


def copies(machine: Machine, root: PurePosixPath) -> Copies:
    """The copies of the database that there are."""
    found = machine.at(root).glob(f"{NAME}.before-*")
    return {path.name: path.stat().st_mtime_ns for path in found}


@frozen
class DatabaseAsBefore:
    """The database of `unit` as it was when there were only the copies `known`."""

    unit: str
    root: PurePosixPath
    known: Copies

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        there = copies(machine, self.root)
        new = [name for name, time in there.items() if self.known.get(name) != time]
        if new:
            database = machine.at(self.root / NAME)
            said = f"put {self.root / NAME} back as it was; the new one is kept as .{GIVEN_UP}"
            copy = database.with_name(new[0])
            yield Change(said, partial(self._put_back, machine, database, copy))

    def _put_back(self, machine: Machine, database: Path, copy: Path) -> None:
        machine.run("systemctl", "stop", self.unit)
        for suffix in BESIDE:
            path = database.with_name(database.name + suffix)
            if path.exists():
                path.replace(database.with_name(f"{NAME}.{GIVEN_UP}{suffix}"))
        copy.replace(database)
