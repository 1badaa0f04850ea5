"""A machine in a folder, with a runner that records commands and does what some of them would."""

import os
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from attrs import define, field

from oose.installing import layout
from oose.installing.machine import Machine
from oose.installing.plan import Change, Step, carry_out
from oose.installing.runner import NotYet, Ran, Refused

TEMPLATES = Path(__file__).parents[2] / "install/nginx"
NGINX = ("etc/nginx/sites-available", "etc/nginx/sites-enabled", "etc/logrotate.d", "var/log/nginx")
NOW = datetime(2026, 11, 25, 14, 8, 22, tzinfo=UTC)


@define
class Unit:
    """What systemd knows of one."""

    enabled: bool = False
    active: str = "inactive"
    since: float = 0.0
    changed: float = 0.0
    needs_reload: bool = False
    status: str = ""


@define
class Recorder:
    """Records every command; `says` has what some print, by how they begin.

    `fails` has what others end with, `hangs` those that do not end, `does` what happens besides.
    """

    root: Path
    ran: list[str] = field(factory=list)
    says: dict[str, str] = field(factory=dict)
    fails: dict[str, str] = field(factory=dict)
    hangs: set[str] = field(factory=set)
    does: dict[str, Callable[[], None]] = field(factory=dict)
    units: dict[str, Unit] = field(factory=dict)
    packages: set[str] = field(factory=set)

    def run(
        self,
        command: Sequence[str],
        *,
        accept: Collection[int] = (0,),
        patience: float | None = None,
    ) -> Ran:
        line = shlex.join(command)
        if command[:2] not in (["systemctl", "show"], ("systemctl", "show")):
            self.ran.append(line)
        for start, do in self.does.items():
            if line.startswith(start):
                do()
        for start, why in self.fails.items():
            if line.startswith(start):
                raise Refused(f"`{line}` ended with 1\n  {why}")
        if patience is not None and line in self.hangs:
            raise NotYet(f"`{line}` has not ended after {patience:g} s")
        done = getattr(self, f"_{command[0].replace('-', '_')}", None)
        said = done(*command[1:]) if done is not None else None
        out = next((text for start, text in self.says.items() if line.startswith(start)), "")
        return Ran(0, said or out)

    @property
    def changing(self) -> list[str]:
        """Without what only looks."""
        return [line for line in self.ran if not line.startswith(("dpkg-query", "lsblk", "wipefs"))]

    def unit(self, name: str) -> Unit:
        return self.units.setdefault(name, Unit())

    def _useradd(self, *arguments: str) -> None:
        add_user(self.root, arguments[-1])

    def _dpkg_query(self, *arguments: str) -> str:
        return "install ok installed" if arguments[-1] in self.packages else ""

    def _apt_get(self, verb: str, *arguments: str) -> None:
        if verb == "install":
            self.packages |= {each for each in arguments if not each.startswith("-")}
            for folder in NGINX:
                (self.root / folder).mkdir(parents=True, exist_ok=True)

    def _systemctl(self, verb: str, *arguments: str) -> str | None:
        unit = self.unit(arguments[-1]) if arguments else Unit()
        if verb == "enable":
            unit.enabled = True
        elif verb in {"start", "restart"}:
            unit.active = "active"
            unit.since = unit.changed = time.monotonic()
        elif verb == "reload":
            unit.changed = time.monotonic()
        elif verb in {"stop", "disable"}:
            unit.active = "inactive"
            unit.enabled = unit.enabled and verb == "stop"
        elif verb == "daemon-reload":
            for each in self.units.values():
                each.needs_reload = False
        elif verb == "show":
            return (
                f"UnitFileState={'enabled' if unit.enabled else 'disabled'}\n"
                f"ActiveState={unit.active}\n"
                f"NeedDaemonReload={'yes' if unit.needs_reload else 'no'}\n"
                f"InactiveExitTimestampMonotonic={round(unit.since * 1e6)}\n"
                f"StatusText={unit.status}\n"
                f"StateChangeTimestampMonotonic={round(unit.changed * 1e6)}\n"
            )
        return None


def add_user(root: Path, name: str) -> None:
    """Our own numbers, as nobody else may give files to others; with a group of that name."""
    for table, number in (("passwd", os.getuid()), ("group", os.getgid())):
        path = root / "etc" / table
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(f"{name}:x:{number}:\n")


def machine_in(folder: Path, mounts: Collection[str] = ()) -> tuple[Machine, Recorder]:
    """A machine after install.sh, with a release in use; disks are mounted at `mounts`."""
    root = folder / "root"
    tree = make_release(root, "3.0.0-one")
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "opt/oose/current").symlink_to("/opt/oose/releases/3.0.0-one")
    for name in ("root", "www-data", "adm"):
        add_user(root, name)
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text("MemTotal:       16384000 kB\n")
    (root / "etc/fstab").write_text("UUID=1 / ext4 defaults 0 1\n")
    for place in mounts:
        (root / place.lstrip("/")).mkdir(parents=True)
    recorder = Recorder(root)
    places = {root / place.lstrip("/") for place in mounts}
    machine = Machine(
        recorder, tree, root, now=lambda: datetime.now(UTC), is_mount=places.__contains__
    )
    return machine, recorder


def make_release(root: Path, name: str, *, socket: bool = True) -> Path:
    """The tree of a release, as far as the installer looks at it."""
    tree = root / "opt/oose/releases" / name
    units = tree / "install/systemd"
    units.mkdir(parents=True)
    (tree / "install/nginx").symlink_to(TEMPLATES)
    for template in ("oose-prism", "oose-store@"):
        (units / f"{template}.service").write_text(f"[Service]\n# {name}\n")
        if socket:
            (units / f"{template}.socket").write_text("[Socket]\n")
    return tree


def made(machine: Machine, steps: Iterable[Step], *, pretend: bool = False) -> list[str]:
    """Carry steps out: what they said."""
    said: list[Change] = []
    machine.touched.clear()
    carry_out(list(steps), machine, said.append, pretend=pretend)
    return [change.said for change in said]


def tree_of(folder: Path) -> Mapping[str, tuple[int, str]]:
    """Everything below a folder: its mode, and what it holds or leads to."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            held = str(path.readlink())
        else:
            held = path.read_text() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, held)
    return found


def write_configuration(machine: Machine, text: str, path: PurePosixPath = layout.PRISM) -> Path:
    """A configuration that is there already."""
    file = machine.at(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file
