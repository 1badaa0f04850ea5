"""Steps on files: folders, files with what is in them, links, what is not to be there."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

from attrs import field, frozen

from oose.durable import draft_prefix, sync_folder
from oose.installing.machine import Machine, Owner
from oose.installing.plan import Change
from oose.installing.runner import Refused

DATED = "%Y%m%d-%H%M%S"  # the end of a backup's name, in UTC


@frozen
class Ownership:
    """Who a file or folder belongs to, and what others may do with it."""

    path: PurePosixPath
    user: str = "root"
    group: str = "root"
    mode: int = 0o755

    def __str__(self) -> str:
        return f"{self.user}:{self.group} {self.mode:04o}"

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        path = machine.at(self.path)
        if not path.exists() or not self.is_so(machine, path):
            said = f"give {self.path} to {self}"
            yield Change(said, partial(self.settle, machine, path), touches=self.path)

    def is_so(self, machine: Machine, path: Path) -> bool:
        """Whether `path` is as it should be."""
        found = path.stat()
        owner = Owner(found.st_uid, found.st_gid)
        return owner == machine.owner(self.user, self.group) and mode_of(found) == self.mode

    def settle(self, machine: Machine, path: Path) -> None:
        """Make it so."""
        owner = machine.owner(self.user, self.group)
        if owner is None:
            raise Refused(f"There is no user {self.user} or no group {self.group}")
        os.chown(path, owner.user, owner.group)
        path.chmod(self.mode)  # after the owner: chown(2) may clear bits


def mode_of(found: os.stat_result) -> int:
    """Permissions alone."""
    return stat.S_IMODE(found.st_mode)


@frozen
class Directory:
    """A folder, with those above it."""

    path: PurePosixPath
    user: str = "root"
    group: str = "root"
    mode: int = 0o755

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        path = machine.at(self.path)
        kept = Ownership(self.path, self.user, self.group, self.mode)
        if path.is_dir():
            yield from kept.changes(machine)
            return
        yield Change(f"make the folder {self.path} ({kept})", partial(self._make, machine, kept))

    def _make(self, machine: Machine, kept: Ownership) -> None:
        path = machine.at(self.path)
        path.mkdir(parents=True)
        kept.settle(machine, path)


@frozen
class File:
    """A file with `text` in it.

    `keeps_old`: what is replaced stays beside it, with the date. `masks` says what to show in the
    place of secrets.
    """

    path: PurePosixPath
    text: str = field(repr=False)
    user: str = "root"
    group: str = "root"
    mode: int = 0o644
    keeps_old: bool = False
    masks: Mapping[str, str] = field(factory=dict, repr=False)

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        path = machine.at(self.path)
        kept = Ownership(self.path, self.user, self.group, self.mode)
        try:
            before = path.read_text("utf-8")
        except FileNotFoundError:
            said = f"write {self.path} ({kept})"
            yield Change(said, partial(self._write, machine, kept), touches=self.path)
            return
        if before == self.text:
            yield from kept.changes(machine)
            return
        said, write = f"replace {self.path}", partial(self._write, machine, kept)
        if self.keeps_old:
            backup = backup_of(machine, self.path)
            said += f"; the old one is kept as {backup}"
            write = partial(self._replace, machine, kept, machine.at(backup))
        yield Change(said, write, self.difference(before), touches=self.path)

    def difference(self, before: str) -> str:
        """From what was there to what will be, as `diff -u` has it; no secrets."""
        old, new = (self._masked(text).splitlines(keepends=True) for text in (before, self.text))
        name = str(self.path)
        return "".join(line.rstrip("\n") + "\n" for line in unified_diff(old, new, name, name))

    def _masked(self, text: str) -> str:
        for secret, mask in self.masks.items():
            text = text.replace(secret, mask)
        return text

    def _write(self, machine: Machine, kept: Ownership) -> None:
        """Whole or not at all, and never readable by others than it should be."""
        path = machine.at(self.path)
        draft = path.with_name(f"{draft_prefix(path)}new")
        draft.unlink(missing_ok=True)
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self.text)
                kept.settle(machine, draft)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)

    def _replace(self, machine: Machine, kept: Ownership, backup: Path) -> None:
        backup.hardlink_to(machine.at(self.path))  # there is a whole file at every moment
        self._write(machine, kept)


def backup_of(machine: Machine, path: PurePosixPath) -> PurePosixPath:
    """A name beside `path` that is free, with the date."""
    dated = path.with_name(f"{path.name}.{machine.now().strftime(DATED)}")
    names = (dated if not n else dated.with_name(f"{dated.name}-{n}") for n in count())
    return next(name for name in names if not machine.at(name).exists())


@frozen
class Link:
    """A symbolic link, switched by a rename: there is one at every moment."""

    path: PurePosixPath
    target: PurePosixPath

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`; `Refused` where there is something else than a link."""
        path = machine.at(self.path)
        if path.is_symlink():
            if path.readlink() == Path(self.target):
                return
        elif path.exists():
            raise Refused(f"{self.path} is there already, and no link: move it away")
        said = f"link {self.path} to {self.target}"
        yield Change(said, partial(switch, path, Path(self.target)), touches=self.path)


def switch(path: Path, target: Path) -> None:
    """Let `path` be a link to `target`."""
    draft = path.with_name(f"{draft_prefix(path)}new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(path)
    sync_folder(path.parent)


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
