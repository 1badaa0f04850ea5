"""The program goes; content, configuration and databases stay."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from attrs import frozen

from oose.installing import layout
from oose.installing.machine import Machine
from oose.installing.machine_files import configurations, service_of
from oose.installing.plan import Change, Step
from oose.installing.system import Reloaded, shown

STAYS = (
    f"{layout.ETC} (configuration), {layout.STATE} (databases), the disks of stores and the user"
    f" {layout.USER} are as they were"
)


@frozen
class Stopped:
    """A unit that does not run, and is not started with the machine."""

    unit: str

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        state = shown(machine, self.unit)
        if state["ActiveState"] not in {"", "inactive"} or state["UnitFileState"] == "enabled":
            yield Change(
                f"stop {self.unit}, for good",
                lambda: machine.run("systemctl", "disable", "--now", self.unit),
            )


@frozen
class Gone:
    """A file, link or folder that is not there."""

    path: PurePosixPath

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        path = machine.at(self.path)
        if path.is_symlink() or path.exists():
            yield Change(f"remove {self.path}", lambda: remove(path), touches=self.path)


def remove(path: Path) -> None:
    """Whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def uninstall_steps(machine: Machine) -> Sequence[Step]:
    """Everything of the program, its own folder last: this is run from there."""
    steps: list[Step] = []
    for file in configurations(machine):
        name = service_of(file)
        steps += [Stopped(f"{name}.socket"), Stopped(f"{name}.service")]
    units = sorted(machine.at(layout.UNITS).glob("oose-*"))
    steps += [Gone(layout.UNITS / path.name) for path in units]
    return [*steps, Reloaded(), Gone(layout.COMMAND), Gone(layout.OPT)]
