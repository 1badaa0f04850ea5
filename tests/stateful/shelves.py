"""The disks of the cluster, and what may happen to them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from attrs import define, field

from oose.address import old_relative_path, relative_path

Presence = Literal["there", "gone", "empty"]
FOREIGN: Mapping[str, bytes] = {
    "readme.txt": b"not ours",
    "aa/notes.doc": b"not ours either",
    "aa/bb/letter": b"nor this",
    "zz/00112233445566778899aabbccddeeff00112233.txt": b"in the wrong folder",
}


@define(eq=False)
class Shelf:
    """The disk of a store: the folder `root`, where it is `there`."""

    root: Path
    presence: Presence = "there"
    aside: Path = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.aside = self.root.with_name(self.root.name + ".away")

    @property
    def content(self) -> Path:
        """Its content, wherever the disk is."""
        return (self.root if self.presence == "there" else self.aside) / "content"

    def files(self) -> Iterator[Path]:
        """All below `content`."""
        for folder, _, names in os.walk(self.content):
            for name in names:
                yield Path(folder) / name

    def copies(self, content_hash: str) -> Iterator[Path]:
        """The files of a hash, in either layout."""
        for form in (relative_path, old_relative_path):
            path = self.content / form(content_hash, "x")
            try:
                names = os.listdir(path.parent)  # noqa: PTH208 # names are enough
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in sorted(names):
                if name.startswith(path.stem + "."):
                    yield path.with_name(name)

    def add_foreign(self) -> None:
        for name, data in FOREIGN.items():
            path = self.content / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def is_foreign(self, path: Path) -> bool:
        return str(path.relative_to(self.content)) in FOREIGN

    def lacks_foreign(self) -> list[str]:
        """What has become of what is not ours."""
        return [
            name
            for name, data in FOREIGN.items()
            if not (self.content / name).exists() or (self.content / name).read_bytes() != data
        ]

    def take_away(self, presence: Presence) -> None:
        """Pull it; where it was there may be an empty folder."""
        if self.presence != "there":
            return
        self.root.rename(self.aside)
        if presence == "empty":
            self.root.mkdir()
        self.presence = presence

    def bring_back(self) -> None:
        if self.presence == "there":
            return
        if self.presence == "empty":
            self.root.rmdir()  # nobody may have written there
        self.aside.rename(self.root)
        self.presence = "there"
