"""A disk as version 2.x left it: a folder for every two digits, and a link beside each file."""

import hashlib
from pathlib import Path

from oose.address import old_relative_path


def data_of(number: int) -> bytes:
    return b"film %d" % number


def fill(content: Path, count: int, ext: str = "mp4") -> list[str]:
    """Put so many files below `content`; their hashes."""
    hashes = []
    for number in range(count):
        content_hash = hashlib.sha1(data_of(number)).hexdigest()
        path = content / old_relative_path(content_hash, ext)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data_of(number))
        path.with_suffix("").symlink_to(path)
        hashes.append(content_hash)
    return hashes


def tree(root: Path) -> dict[str, tuple[int, bytes | None]]:
    """Every file and folder by its path: its inode, and what is in it."""
    return {
        str(path.relative_to(root)): (path.lstat().st_ino, read(path))
        for path in sorted(root.rglob("*"))
    }


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None
