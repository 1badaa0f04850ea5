"""What machines do to files and to the inventory, and what of each content is left good."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oose.address import old_relative_path, relative_path
from tests.stateful.expected import Expected, Happening
from tests.stateful.shelves import Shelf

if TYPE_CHECKING:
    from tests.stateful.world import World

LONG_AGO = 1_500_000_000  # seconds: before all else


def good(world: "World", content: Expected) -> set[str]:
    """The places with a good copy, also those whose disk is away.

    One that is being received, and is not recorded, is none yet.
    """
    return {
        place
        for place, shelf in world.shelves.items()
        if any(is_good(world, place, path, content) for path in shelf.copies(content.hash))
    }


def is_good(world: "World", place: str, path: Path, content: Expected) -> bool:
    is_recorded = f"{content.hash}:{place}" in world.place.shared.inventory.now()
    is_kept = is_recorded or path.stat().st_nlink == 1
    return is_kept and content.is_good(path.read_bytes())


def files(world: "World") -> Sequence[tuple[Expected, str, Path]]:
    """Each file of each content, and where it is."""
    return [
        (content, place, path)
        for content in world.contents
        for place, shelf in world.shelves.items()
        for path in shelf.copies(content.hash)
    ]


def put_aside(world: "World") -> Sequence[tuple[str, Expected]]:
    """What is in quarantine, and where."""
    return [
        (place, content)
        for place, shelf in world.shelves.items()
        for content in world.contents
        if shelf.presence == "there" and any((shelf.root / "quarantine").glob(f"{content.hash}*"))
    ]


@contextmanager
def harming(world: "World", contents: Sequence[Expected]) -> Iterator[None]:
    """What is lost within was destroyed by a machine."""
    before = [good(world, each) for each in contents]
    yield
    for content, had in zip(contents, before, strict=True):
        has = good(world, content)
        for place in had - has:
            content.harmed(world.now, place, len(had), len(has))
            if content.guarded is not None:
                content.guarded.discard(place)


def harm(world: "World", place: str, content: Expected, how: int, at: int) -> None:
    """Do something to each copy of a content on one store."""
    with harming(world, [content]):
        for path in list(world.shelves[place].copies(content.hash)):
            HARMS[how](path, at)


def put_there(world: "World", place: str, content: Expected, *, old: bool, ext: str) -> None:
    """Somebody puts a copy there that was on another disk for long."""
    shelf = world.shelves[place]
    form = old_relative_path if old else relative_path
    path = shelf.content / form(content.hash, ext)
    if shelf.presence == "there" and not path.exists():
        write(shelf, path, content.data)
        if not content.of("upload"):  # it is found, or not
            content.happenings.append(Happening("upload", -2, ended=-1, outcome="failed"))


def write(shelf: Shelf, path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = shelf.root.with_name("draft")
    draft.write_bytes(data)
    os.utime(draft, (LONG_AGO, LONG_AGO))
    draft.rename(path)


def lose_record(world: "World", place: str, content: Expected) -> None:
    """The inventory forgets a clone."""
    with harming(world, [content]):
        world.place.shared.inventory.lose(f"{content.hash}:{place}")


def restore_backup(world: "World") -> None:
    """The inventory is as it was when the backup was made."""
    if world.backup is not None:
        with harming(world, world.contents):
            world.place.shared.inventory.restore(world.backup)


def lose(path: Path, at: int) -> None:
    path.unlink()


def flip(path: Path, at: int) -> None:
    """One bit; an empty file grows one."""
    data = bytearray(path.read_bytes() or b"x")
    data[at % len(data)] ^= 1
    overwrite(path, bytes(data))


def cut(path: Path, at: int) -> None:
    data = path.read_bytes()
    overwrite(path, data[: at % (len(data) + 1)])


def lengthen(path: Path, at: int) -> None:
    overwrite(path, path.read_bytes() + b"x" * (at + 1))


def overwrite(path: Path, data: bytes) -> None:
    """The disk does that: no time is noted."""
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


HARMS: Sequence[Callable[[Path, int], None]] = (lose, flip, cut, lengthen)
