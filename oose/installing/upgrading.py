"""A new version beside the old one, and back where it does not come up."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from attrs import evolve, frozen

from oose.installing import layout
from oose.installing.configuring import checked, names_in
from oose.installing.database import DatabaseAsBefore, copies
from oose.installing.dropins import in_service
from oose.installing.files import Link
from oose.installing.host.values import is_host
from oose.installing.machine import Machine
from oose.installing.machine_files import configurations, service_of
from oose.installing.nginx.values import is_web
from oose.installing.plan import Change, Step, carry_out
from oose.installing.releases import FewReleases, check_with, current, made_of
from oose.installing.runner import Refused

# What it was switched from is not known any more, nor what was written to databases since.
STAYS = (
    "{} was in use before this command, so it stays. To go back to another"
    f" of `ls -t {layout.RELEASES}`: oose upgrade {layout.RELEASES}/NAME"
)
Tell = Callable[[Change], None]


class RolledBack(Exception):
    """The new version did not come up, and the old one runs again; the message says why."""


@frozen
class Upgraded:
    """From which release to which; the same where there was nothing to do."""

    before: PurePosixPath
    now: PurePosixPath


def upgrade(machine: Machine, source: Path, tell: Tell) -> Upgraded:
    """Go over to the version in the tree `source`.

    Raises `Refused` where nothing was switched, or where the old one does not come up either;
    `RolledBack`.
    """
    before = current(machine)
    tell(Change(f"make a release of {source}, which takes a while", lambda: None))
    release = made_of(machine, source)
    files = tuple(configurations(machine))
    if release == before:  # perhaps by an attempt that was interrupted: services may be behind
        try:
            carry_out(switched(machine, release, files), at(machine, release), tell)
        except Refused as error:
            raise type(error)(f"{error}\n{STAYS.format(release)}") from None
        return Upgraded(before, release)
    for file in files:
        check_with(machine, release, file)
    kept = tuple(as_now(machine, file) for file in files)
    try:
        carry_out(switched(machine, release, files), at(machine, release), tell)
    except (Refused, OSError) as error:
        try:
            back = [*kept, *switched(machine, before, files)]
            carry_out(back, at(machine, before), tell)
        except (Refused, OSError) as again:
            raise Refused(
                f"{error}\nThe old version, {before}, is in its place again, and does not come up"
                f" either:\n{again}"
            ) from None
        raise RolledBack(f"{error}\nThe old version, {before}, runs again") from None
    carry_out([FewReleases(before)], machine, tell)
    return Upgraded(before, release)


def as_now(machine: Machine, file: PurePosixPath) -> Step:
    """The step that brings the embedded database of a process back to what it is now."""
    root = PurePosixPath(checked(names_in(machine, file), file).root)
    return DatabaseAsBefore(f"{service_of(file)}.service", root, copies(machine, root))


def at(machine: Machine, release: PurePosixPath) -> Machine:
    """The machine with the units of a release, on which nothing was changed yet."""
    return evolve(machine, tree=machine.at(release), touched=set())


def switched(
    machine: Machine, release: PurePosixPath, files: Sequence[PurePosixPath]
) -> Sequence[Step]:
    """The steps to all services of the machine running with a release."""
    steps: list[Step] = [Link(layout.CURRENT, release)]
    for file in files:
        settings = checked(names_in(machine, file), file)
        steps += in_service(machine.at(release), file, settings)
    return [*steps, *around(machine, release)]


def around(machine: Machine, release: PurePosixPath) -> Sequence[Step]:
    """nginx and firewall as a release has them, which makes their files itself: with its own
    templates, and the code that knows them.
    """
    installed = {"web": is_web(machine), "host": is_host(machine)}
    return [MadeAnew(what, release) for what, there in installed.items() if there]


@frozen
class MadeAnew:
    """That `oose install WHAT` of a release was run."""

    what: str
    release: PurePosixPath

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        command = str(self.release / layout.VENV / "bin" / "oose")
        yield Change(
            f"have {self.release.name} look after `oose install {self.what}`",
            lambda: machine.run(command, "install", self.what),
        )
