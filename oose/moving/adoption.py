"""A disk of version 2.x becomes a store's: looked at, signed, and nothing on it copied.

Blocking calls, for a command. Not certain of what it sees it refuses: whatever has the identity of
a store is swept, and emptied of what was being received.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from oose.disk import IDENTITY, LOCK, Disk, NotOurs
from oose.durable import FOLDER_MODE, sync_folder
from oose.locks import InUse
from oose.moving.sampling import Sample

TOP = re.compile(r"[0-9a-f]{2}")
OURS = ("incoming", "quarantine")  # folders whose files a store deletes in time


class NotAdopted(Exception):
    """The folder does not become this store's disk; the message says why, and what to do."""


@frozen
class Shape:
    """How a folder lies there. `loose` are folders of content that lie in it itself, as some
    programs of 2.x left them; they have to be in `content`. `is_signed`: it is this store's
    already.
    """

    root: Path
    loose: Sequence[str]
    has_content: bool
    is_signed: bool

    @property
    def base(self) -> Path:
        """What the paths of the content begin below now."""
        return self.root if self.loose else self.root / "content"

    @property
    def folders(self) -> Sequence[Path]:
        """Where the content is now."""
        return [self.root / name for name in self.loose] or [self.base]


def shape_of(root: Path, store: str) -> Shape:
    """Look at a folder that is to be the disk of `store`; `NotAdopted`."""
    if not root.is_dir():
        raise NotAdopted(f"{root} is no folder")
    is_signed = signed(root, store)
    content = root / "content"
    loose = sorted(
        each.name for each in root.iterdir() if TOP.fullmatch(each.name) and is_folder(each)
    )
    if root.name == "content" and loose:
        raise NotAdopted(f"{root} is what is in a disk: name the folder above, {root.parent}")
    has_content = content.is_dir()
    if not (has_content or loose):
        raise NotAdopted(
            f"{root} does not look like a disk of version 2.x: expected {content} with folders"
            " such as a0/3f, and files in them that are named by their hash"
        )
    if has_content and content.stat().st_dev != root.stat().st_dev:
        raise NotAdopted(f"{content} is on another file system than {root}: it has to be the same")
    if not is_signed:
        for name in OURS:
            refuse_if_full(root / name)
    return Shape(root, loose, has_content, is_signed)


def signed(root: Path, store: str) -> bool:
    """Whether it is the disk of that store already; `NotAdopted` where it is another's."""
    try:
        return Disk(root, store, 0).is_signed()
    except NotOurs as error:
        raise NotAdopted(str(error)) from None


def is_folder(path: Path) -> bool:
    """Whether it is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def refuse_if_full(folder: Path) -> None:
    """`NotAdopted` where there is something in a folder that a store empties."""
    with suppress(FileNotFoundError):
        if any(folder.iterdir()):
            raise NotAdopted(
                f"There are files in {folder}, which a store empties: move them elsewhere"
            )


def judge(shape: Shape, sample: Sample) -> None:
    """`NotAdopted` where what was looked at is not the content of a disk."""
    where = shape.root
    if not sample.files:
        raise NotAdopted(
            f"No content was found in {where}. An empty disk needs no adoption: name it in the"
            " configuration, and it becomes a store when the service starts"
        )
    if len(sample.strangers) > len(sample.files):
        raise NotAdopted(
            f"Most of what is in {where} is no content, such as {sample.strangers[0]}:"
            " is this the folder meant?"
        )
    if sample.hashed and sample.wrong == sample.hashed:
        raise NotAdopted(
            f"The files in {where} do not hash to their names, such as {next(iter(sample.files))}:"
            " this is no content, or all of it is damaged"
        )


def arrange(shape: Shape) -> None:
    """Rename what lies loose to where it belongs; may be cut short, and done again."""
    content = shape.root / "content"
    there = [name for name in shape.loose if (content / name).exists()]
    if there:
        raise NotAdopted(
            f"{shape.root / there[0]} cannot be moved to {content}: there is one of that name"
        )
    content.mkdir(exist_ok=True, mode=FOLDER_MODE)
    for name in shape.loose:
        (shape.root / name).rename(content / name)
    sync_folder(content)
    sync_folder(shape.root)


def adopt(shape: Shape, store: str, *, rearrange: bool) -> str:
    """Make it the disk of the store, arranged before where that is wanted; its identity.

    `NotAdopted` while a process uses it. May be done again. What is new there belongs to whom the
    content belongs to.
    """
    disk = Disk(shape.root, store, 0)
    try:
        disk.hold()
    except InUse as error:
        raise NotAdopted(str(error)) from None
    try:
        if rearrange:
            arrange(shape)
        disk.sign()
        identity = disk.enroll(None, may_create=False)
    finally:
        disk.release()
    owner = disk.content.stat()
    for path in (shape.root / IDENTITY, shape.root / LOCK, disk.incoming, disk.quarantine):
        with suppress(PermissionError):
            os.chown(path, owner.st_uid, owner.st_gid)
    return identity
