"""The program goes; content, configuration and databases stay."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from attrs import frozen

from oose.installing import layout
from oose.installing.files import Gone
from oose.installing.host.steps import RULES, SYSCTL, UDEV, UNIT
from oose.installing.machine import Machine
from oose.installing.machine_files import configurations, service_of
from oose.installing.nginx import rotation
from oose.installing.nginx.sites import ENABLED, NGINX, Sites
from oose.installing.nginx.values import is_web
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


def uninstall_steps(machine: Machine) -> Sequence[Step]:
    """Everything of the program, its own folder last: this is run from there."""
    steps: list[Step] = []
    for file in configurations(machine):
        name = service_of(file)
        steps += [Stopped(f"{name}.socket"), Stopped(f"{name}.service")]
    if machine.at(UNIT).exists():
        steps.append(Stopped(UNIT.name))
    units = sorted(machine.at(layout.UNITS).glob("oose-*"))
    steps += [Gone(layout.UNITS / path.name) for path in units]
    steps += [*without_web(machine), *(Gone(path) for path in (RULES, SYSCTL, UDEV))]
    return [*steps, Reloaded(), Gone(layout.COMMAND), Gone(layout.OPT)]


def without_web(machine: Machine) -> Sequence[Step]:
    """nginx goes on without our sites, and logs are rotated as before."""
    if not is_web(machine):
        return ()
    timer = PurePosixPath(rotation.TIMER)
    return [Sites({}), NginxWithoutUs(), Gone(PurePosixPath(rotation.ROTATION)), Gone(timer)]


@frozen
class NginxWithoutUs:
    """That nginx, where it runs, knows that our sites are gone."""

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        is_gone = any(ENABLED in PurePosixPath(path).parents for path in machine.touched)
        if is_gone and shown(machine, NGINX)["ActiveState"] == "active":
            yield Change(
                f"have {NGINX} read its files again",
                lambda: machine.run("systemctl", "reload", NGINX),
            )
