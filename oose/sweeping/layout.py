"""What lies below a store's `content`, as a sweep sees it: files of ours, and strangers."""

import re
from typing import NamedTuple

from attrs import define, field

from oose.address import HASH_TYPES

SLICES = tuple(f"{number:02x}" for number in range(256))
"""The folders right below `content`, in order: a sweep goes from one to the next."""
REST = ""
"""What is below `content` and in none of them."""
_LENGTHS = frozenset(HASH_TYPES.values())
_EXT = r"\.([a-z0-9][a-z0-9_-]{0,15})"
_NEW = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{28,124})" + _EXT)
_LINK = re.compile(r"[0-9a-f]{2}(?:/[0-9a-f]{2}){15,63}")
_OLD = re.compile(r"([0-9a-f]{2}(?:/[0-9a-f]{2}){15,63})" + _EXT)


class Seen(NamedTuple):
    """A content file: `path` is below `content`, `size` in bytes, `created` in ms since 1970."""

    hash: str
    ext: str
    path: str
    size: int
    created: int


@define
class Page:
    """Some of the files of a slice; `strangers` are paths of what is no content file.

    Version 2.x put a link without an extension beside each file: of `links` there are so many.
    With `is_last` there are no more; a `problem` says why it is not certain that these are all.
    """

    files: list[Seen] = field(factory=list)
    strangers: list[str] = field(factory=list)
    links: int = 0
    is_last: bool = False
    problem: str | None = None

    def add(self, path: str, size: int, modified: int) -> None:
        """One more plain file, last written at `modified` (ms)."""
        name = parse(path)
        if name is None:
            self.strangers.append(path)
        else:
            self.files.append(Seen(*name, path, size, max(0, modified)))

    def add_link(self, path: str) -> None:
        """One more symbolic link."""
        if _LINK.fullmatch(path) and len(path.replace("/", "")) in _LENGTHS:
            self.links += 1
        else:
            self.strangers.append(path)

    def __len__(self) -> int:
        return len(self.files) + len(self.strangers) + self.links


def parse(path: str) -> tuple[str, str] | None:
    """Hash and extension as `oose.address.parse_relative_path` has them, for hundreds of thousands.

    None for a path that no content has.
    """
    new = _NEW.fullmatch(path)
    if new is not None:
        content_hash, ext = new.group(3, 4)
    else:
        old = _OLD.fullmatch(path)
        if old is None:
            return None
        content_hash, ext = old[1].replace("/", ""), old[2]
    return (content_hash, ext) if len(content_hash) in _LENGTHS else None
