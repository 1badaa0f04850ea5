"""A few of the files on a disk, picked by chance, and what they look like."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from attrs import define, field

from oose.address import hash_type_of, parse_relative_path
from oose.errors import NotFound

TRIES = 400
DEEPEST = 80  # folders: a sha512 of version 2.x lies in 63
HASHED = 8  # files
SMALL = 32 * 1024 * 1024  # bytes: larger ones are not hashed


@define
class Sample:
    """Paths: of `files` that are content, with their hashes, and of `strangers`.

    Of `hashed` files `wrong` have another hash than their names say.
    """

    files: dict[str, str] = field(factory=dict)
    strangers: list[str] = field(factory=list)
    hashed: int = 0
    wrong: int = 0


def sample(base: Path, folders: Sequence[Path], chance: Random) -> Sample:
    """Go down many times, by chance, from any of `folders`, and look what is there.

    They are `base` or below it, and paths begin below it.
    """
    found = Sample()
    strangers: dict[str, None] = {}
    for _ in range(TRIES):
        path = descend(chance.choice(folders), chance)
        if path is None:
            continue
        below = path.relative_to(base).as_posix()
        try:
            found.files[below], _ext = parse_relative_path(below)
        except NotFound:
            strangers[below] = None
    found.strangers += strangers
    for below, content_hash in found.files.items():
        if found.hashed == HASHED:
            break
        path = base / below
        if path.stat().st_size <= SMALL:
            found.hashed += 1
            found.wrong += hash_of(path, content_hash) != content_hash
    return found


def descend(folder: Path, chance: Random) -> Path | None:
    """A file below a folder; None where the way ends before one.

    Links are passed by: version 2.x has one beside each file, without its extension.
    """
    path = folder
    for _ in range(DEEPEST):
        with os.scandir(path) as entries:
            some = sorted(each.name for each in entries if is_plain(each))
        if not some:
            return None
        path = path / chance.choice(some)
        if path.is_file():
            return path
    return None


def is_plain(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a file or a folder, and nothing else."""
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)


def hash_of(path: Path, content_hash: str) -> str:
    """What a file hashes to, by the type of hash that it is named by."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, hash_type_of(content_hash)).hexdigest()
