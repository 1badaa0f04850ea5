"""The host of prisms and stores: its firewall, and the settings of its kernel and disks."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from attrs import frozen

from oose.installing import layout
from oose.installing.configuring import Names, checked, configuration
from oose.installing.files import Directory, File
from oose.installing.host import firewall, firewall_unit, kernel
from oose.installing.host.firewall import Doors, doors, rules, sources
from oose.installing.host.values import database_ports, host_of
from oose.installing.machine import Machine
from oose.installing.nginx.values import Web
from oose.installing.plan import Change, Step
from oose.installing.runner import Refused
from oose.installing.system import Packages, Reloaded, Service
from oose.settings import Settings

HEAD = "# Written by `oose install host`; docs/operations/host.md says what can stand here.\n"
RULES = PurePosixPath(firewall.RULES)
UNIT = PurePosixPath(firewall_unit.UNIT)
OWN_RULES = PurePosixPath(firewall.OWN_RULES)
SYSCTL = PurePosixPath(kernel.SYSCTL)
UDEV = PurePosixPath(kernel.UDEV)
UDEVD = "/run/udev/control"  # there while systemd-udevd runs
GRAIN = 256 * kernel.MIB  # what a kernel keeps for itself differs from start to start


def host_steps(
    machine: Machine,
    names: Names,
    files: Mapping[PurePosixPath, Names],
    peers: Mapping[str, Sequence[str]],
    web: Web | None,
) -> Sequence[Step]:
    """The steps to a firewall for what `files` configure, and to a kernel that suits it.

    `names` are those of the host's own file, `peers` the addresses of all peers by their hosts,
    `web` the values of nginx, where it is installed.
    """
    return [
        Packages(("nftables",)),
        configuration(machine, layout.HOST, names, HEAD),
        *walled(ruled(names, files, peers, web)),
        *(Directory(path.parent) for path in (SYSCTL, UDEV)),  # a small Debian has neither
        File(SYSCTL, kernel.sysctl(memory_of(machine))),
        Service("systemd-sysctl.service", (SYSCTL,)),
        File(UDEV, kernel.udev()),
        Disks(),
    ]


def walled(text: str) -> Sequence[Step]:
    """The firewall with the rules `text`, now and before there is a network at each start."""
    return [
        Directory(OWN_RULES),
        File(RULES, text, mode=0o640, keeps_old=True),
        File(UNIT, firewall_unit.unit()),
        Reloaded((UNIT,)),
        Service(UNIT.name, (RULES, UNIT), renewed="reload"),
    ]


def ruled(
    names: Names,
    files: Mapping[PurePosixPath, Names],
    peers: Mapping[str, Sequence[str]],
    web: Web | None,
) -> str:
    """The rules; `Refused` for what is no address."""
    host = host_of(names)
    settings = [checked(each, path) for path, each in files.items()]
    found = [address for each in peers.values() for address in each]
    try:
        let_in = sources([*found, *host.peers])
        return rules(opened(settings, host.ssh, web), let_in)
    except ValueError as error:
        raise Refused(f"{layout.HOST}: {error}") from None


def opened(all_settings: Sequence[Settings], ssh: Sequence[int], web: Web | None) -> Doors:
    """The ports of all processes of the machine together."""
    ports = web.ports if web is not None else ()
    for_peers = database_ports(all_settings)
    found = [doors(each, ssh=ssh, web=ports, for_peers=for_peers) for each in all_settings]
    public = {*ports, *(port for each in found for port in each.public)} - set(ssh)
    return Doors(
        ssh=tuple(sorted(ssh)),
        public=tuple(sorted(public)),
        peers=tuple(sorted({port for each in found for port in each.peers} - public)),
    )


def memory_of(machine: Machine) -> int:
    """Bytes of memory, in large steps: proc(5), /proc/meminfo."""
    line = machine.at("/proc/meminfo").read_text("utf-8").splitlines()[0]
    return round(int(line.split()[1]) * 1024 / GRAIN) * GRAIN or GRAIN


@frozen
class Disks:
    """That udev has told the kernel how to treat disks, where there is a udev."""

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        if str(UDEV) in machine.touched and machine.at(UDEVD).exists():
            yield Change("have udev look at all disks again", lambda: self._look(machine))

    def _look(self, machine: Machine) -> None:
        machine.run("udevadm", "control", "--reload")
        machine.run("udevadm", "trigger", "--subsystem-match=block")
