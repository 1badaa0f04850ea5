"""Steps on what Debian has: packages, users, systemd's units."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from attrs import frozen

from oose.installing import layout
from oose.installing.files import File
from oose.installing.machine import Machine
from oose.installing.plan import Change
from oose.installing.runner import NotYet, Refused

SINCE = {"restart": "InactiveExitTimestampMonotonic", "reload": "StateChangeTimestampMonotonic"}
SHOWN = ("UnitFileState", "ActiveState", "NeedDaemonReload", "StatusText", *SINCE.values())
SAID = {"restart": "start {} again", "reload": "have {} read its files again"}
PATIENCE = 120.0  # seconds, as units have it (`TimeoutStartSec=`)
ENABLED = frozenset({"enabled", "enabled-runtime", "static", "indirect", "alias"})


@frozen
class Packages:
    """Packages of Debian, without those that they only recommend."""

    names: tuple[str, ...]

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        missing = [name for name in self.names if not is_installed(machine, name)]
        if missing:
            yield Change(
                f"install from Debian: {' '.join(missing)}", partial(install, machine, missing)
            )


def is_installed(machine: Machine, name: str) -> bool:
    """Whether a package is."""
    ran = machine.run("dpkg-query", "--show", "--showformat=${Status}", name, accept=(0, 1))
    return ran.out.strip() == "install ok installed"


def install(machine: Machine, names: list[str]) -> None:
    """Install packages that are missing."""
    machine.run("apt-get", "update", "--quiet")
    machine.run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *names)


@frozen
class User:
    """A user of the system, with a group of the same name, who cannot log in."""

    name: str = layout.USER
    home: PurePosixPath = layout.STATE

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        if not machine.has_user(self.name):
            yield Change(
                f"make the user and the group {self.name}",
                lambda: machine.run(
                    "useradd",
                    "--system",
                    "--user-group",
                    "--no-create-home",
                    f"--home-dir={self.home}",
                    "--shell=/usr/sbin/nologin",
                    self.name,
                ),
            )


@frozen
class Units:
    """The unit files of a release's tree, and that systemd knows them."""

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        for path in units_of(machine.tree):
            yield from File(layout.UNITS / path.name, path.read_text("utf-8")).changes(machine)
        yield from Reloaded().changes(machine)


@frozen
class Reloaded:
    """That systemd knows the units in `files`, where none are named all, as they are now."""

    files: tuple[PurePosixPath, ...] = ()

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        touched = map(PurePosixPath, machine.touched)
        if any(e in self.files if self.files else layout.UNITS in e.parents for e in touched):
            yield reload(machine)


def reload(machine: Machine) -> Change:
    """What it takes."""
    return Change(
        "have systemd read its units again", lambda: machine.run("systemctl", "daemon-reload")
    )


def units_of(tree: Path) -> list[Path]:
    """The unit files that a tree brings."""
    return sorted((tree / "install" / "systemd").glob("oose-*.*"))


@frozen
class Service:
    """A unit that is enabled, and runs with what the files it `watches` hold now.

    `unit` is named with its suffix. It is started again, or where `renewed` says so only reloaded,
    when one of those files was changed after that had been done last, by whoever.
    """

    unit: str
    watches: tuple[PurePosixPath, ...] = ()
    renewed: str = "restart"

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`; `Refused` where it does not come up."""
        state = shown(machine, self.unit)
        if state["NeedDaemonReload"] == "yes":
            yield reload(machine)
        if state["UnitFileState"] not in ENABLED:
            yield Change(
                f"have {self.unit} started with the machine",
                lambda: machine.run("systemctl", "enable", self.unit),
            )
        if state["ActiveState"] != "active":
            yield Change(f"start {self.unit}", partial(bring_up, machine, "start", self.unit))
        elif self._is_behind(machine, state):
            said = SAID[self.renewed].format(self.unit)
            yield Change(said, partial(bring_up, machine, self.renewed, self.unit))

    def _is_behind(self, machine: Machine, state: Mapping[str, str]) -> bool:
        """Whether what it watches is newer than it is."""
        micros = int(state[SINCE[self.renewed]] or 0)
        since = machine.now().timestamp() - (machine.uptime() - micros / 1e6)
        for watched in self.watches:
            path = machine.at(watched)
            if str(watched) in machine.touched:
                return True
            if os.path.lexists(path) and path.lstat().st_mtime > since:
                return True
        return False


def shown(machine: Machine, unit: str) -> Mapping[str, str]:
    """What systemd says of a unit."""
    ran = machine.run("systemctl", "show", f"--property={','.join(SHOWN)}", unit)
    said = dict(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)
    return {name: said.get(name, "") for name in SHOWN}


def bring_up(machine: Machine, verb: str, unit: str) -> None:
    """`start`, `restart` or `reload` it, and wait until it is ready (`Type=notify`); `Refused`.

    A service of a cluster waits for its databases, for as long as it takes. So we do not.
    """
    name, _, kind = unit.rpartition(".")
    try:
        if kind == "socket":  # systemd does not open one whose service is running
            machine.run("systemctl", "stop", f"{name}.service")
        machine.run("systemctl", "reset-failed", unit, accept=range(256))  # earlier attempts
        machine.run("systemctl", verb, unit, patience=PATIENCE)
        machine.run("systemctl", "is-active", "--quiet", unit)
    except NotYet:
        said = shown(machine, unit)["StatusText"] or "nothing"
        raise NotYet(
            f"{unit} was started and is not ready after {PATIENCE:g} s. It says: {said}\n"
            f"It goes on trying; see journalctl -u {unit}"
        ) from None
    except Refused as error:
        raise Refused(f"{unit} does not become ready; see journalctl -u {unit}\n{error}") from None


def template_of(unit: str) -> str:
    """The file of a unit: that of `a@b.service` is `a@.service`."""
    name, _, kind = unit.rpartition(".")
    stem, at, _ = name.partition("@")
    return f"{stem}{at}.{kind}"


def has_socket(tree: Path, name: str) -> bool:
    """Whether a release has systemd listen for a service."""
    return template_of(f"{name}.socket") in {path.name for path in units_of(tree)}
