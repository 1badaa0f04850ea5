"""The versions of the program on a machine, one beside the other."""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from attrs import frozen

from oose.installing import layout
from oose.installing.machine import Machine
from oose.installing.plan import Change
from oose.installing.runner import Refused

KEPT = 3  # beside the one in use


def current(machine: Machine) -> PurePosixPath:
    """The release in use; `Refused` where the program does not run from one."""
    path = machine.at(layout.CURRENT)
    if not path.is_symlink():
        raise Refused(f"There is no {layout.CURRENT}: install/install.sh of the program makes it")
    return PurePosixPath(path.readlink())


def script_of(source: Path) -> Path:
    """What makes a release of a tree of the program; `Refused`."""
    script = source / "install" / "install.sh"
    if not script.is_file():
        raise Refused(f"{source} is no tree of the program: it has no install/install.sh")
    return script


def made_of(machine: Machine, source: Path) -> PurePosixPath:
    """The release of a tree of the program, made by that tree's own script; `Refused`."""
    script = script_of(source)
    said = machine.run("bash", str(script), "--release").out.split()
    if not said or layout.RELEASES not in PurePosixPath(said[-1]).parents:
        raise Refused(f"{script} did not say which release it has made")
    return PurePosixPath(said[-1])


def check_with(machine: Machine, release: PurePosixPath, file: PurePosixPath) -> None:
    """`Refused` unless a release takes a configuration."""
    command = release / layout.VENV / "bin" / "oose"
    try:
        machine.run(str(command), "config", "check", str(file))
    except Refused as error:
        raise Refused(
            f"The new version does not take {file}; the old one runs on\n{error}"
        ) from None


@frozen
class FewReleases:
    """That no more releases lie about than somebody may want to go back to."""

    before: PurePosixPath

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        for path in surplus(machine, {self.before.name, current(machine).name}):
            yield Change(
                f"remove the old version {layout.RELEASES / path.name}",
                partial(shutil.rmtree, path),
            )


def surplus(machine: Machine, used: set[str]) -> Sequence[Path]:
    """Releases that are neither in use nor among the latest."""
    folder = machine.at(layout.RELEASES)
    others = [path for path in folder.iterdir() if path.is_dir() and path.name not in used]
    return sorted(others, key=lambda path: path.stat().st_mtime)[: -KEPT or None]
