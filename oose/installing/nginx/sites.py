"""Sites of nginx as Debian has them: a file in `sites-available`, and a link to it."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import PurePosixPath

from attrs import field, frozen

from oose.installing.files import File, Gone, Link
from oose.installing.machine import Machine
from oose.installing.plan import Change
from oose.installing.runner import Refused

AVAILABLE = PurePosixPath("/etc/nginx/sites-available")
ENABLED = PurePosixPath("/etc/nginx/sites-enabled")
OURS = "oose-*.conf"
NGINX = "nginx.service"
PROOF = ("nginx", "-t", "-q")


def available(name: str) -> PurePosixPath:
    """The file of the site of a peer."""
    return AVAILABLE / f"oose-{name}.conf"


@frozen
class Sites:
    """That nginx has the sites `texts` (by peers' names) and no others of ours.

    Where nginx refuses them (`nginx -t`) all are as they were before: nginx goes on with what it
    has, and comes up with it after a restart of the machine.
    """

    texts: Mapping[str, str] = field(repr=False)

    @property
    def files(self) -> tuple[PurePosixPath, ...]:
        """Those with a text."""
        return tuple(map(available, self.texts))

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        before = found(machine)
        is_changed = False
        for step in self._steps(machine):
            for change in step.changes(machine):
                is_changed = True
                yield change
        if is_changed:
            yield Change("have nginx check its files", partial(prove, machine, before))

    def _steps(self, machine: Machine) -> Iterator[File | Link | Gone]:
        for path, text in zip(self.files, self.texts.values(), strict=True):
            yield File(path, text, keeps_old=True)
            yield Link(ENABLED / path.name, path)
        for folder in (ENABLED, AVAILABLE):
            names = sorted(path.name for path in machine.at(folder).glob(OURS))
            yield from (Gone(folder / e) for e in names if AVAILABLE / e not in self.files)


def found(machine: Machine) -> Mapping[PurePosixPath, str | PurePosixPath]:
    """Our files, with what is in them, and links, with where they lead."""
    there: dict[PurePosixPath, str | PurePosixPath] = {}
    for folder in (AVAILABLE, ENABLED):
        for path in machine.at(folder).glob(OURS):
            is_link = path.is_symlink()
            what = PurePosixPath(path.readlink()) if is_link else path.read_text("utf-8")
            there[folder / path.name] = what
    return there


def prove(machine: Machine, before: Mapping[PurePosixPath, str | PurePosixPath]) -> None:
    """Have nginx check; `Refused` where it does not take its files, with ours as they were."""
    try:
        machine.run(*PROOF)
    except Refused as error:
        for path in set(found(machine)) - set(before):
            machine.at(path).unlink()
        for path, what in before.items():
            step = Link(path, what) if isinstance(what, PurePosixPath) else File(path, what)
            for change in step.changes(machine):
                change.do()
        raise Refused(f"nginx does not take this; its files are as they were\n{error}") from None
