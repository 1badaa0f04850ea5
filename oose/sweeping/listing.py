"""How a disk is listed: by `find` or by the system's own calls, with the same results."""

import shutil
from pathlib import Path
from typing import Protocol

from oose.errors import Unavailable
from oose.sweeping.layout import Page
from oose.sweeping.native import NativeLister
from oose.sweeping.unix import UnixLister, understands

DRIVERS = ("auto", "unix", "native")


class Lister(Protocol):
    """Lists files below `content`, some at a time. Calls block, for a moment; one at a time."""

    driver: str

    def read(self, part: str) -> Page:
        """More of what is in the slice `part`, or in REST; `OSError`.

        Slices are asked for in order, from any on, each until its last page.
        """
        ...

    def interrupt(self) -> None:
        """Let a `read` that is under way in another thread come to its end; does not block."""
        ...

    def close(self) -> None:
        """Leave nothing behind; no `read` comes after."""
        ...


def choose(driver: str, content: Path) -> Lister:
    """The lister that `driver` means for what is below `content`; `Unavailable`. Blocks."""
    if driver == "native":
        return NativeLister(content)
    find = shutil.which("find")
    if find is not None and understands(find):
        return UnixLister(content, find)
    if driver == "unix":
        raise Unavailable("There is no GNU find here, which the driver 'unix' needs")
    return NativeLister(content)
