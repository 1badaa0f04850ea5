"""The machine that is installed on: its files below a root, its commands, its users."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from attrs import define, field, frozen

from oose.installing.runner import Ran, Runner


def now() -> datetime:
    """Of the clock on the wall."""
    return datetime.now(UTC)


@frozen
class Owner:
    """Numbers of a user and a group."""

    user: int
    group: int


@define
class Machine:
    """`tree` is the release whose units are installed; `root` is `/`, but for tests.

    Paths of steps are absolute, as the machine itself sees them. `touched` has what this run has
    changed, or would: who depends on that is started again.
    """

    runner: Runner
    tree: Path
    root: Path = Path("/")
    now: Callable[[], datetime] = now
    is_mount: Callable[[Path], bool] = os.path.ismount
    uptime: Callable[[], float] = time.monotonic
    touched: set[str] = field(factory=set)

    def at(self, path: PurePosixPath | str) -> Path:
        """Where an absolute path of the machine is for us."""
        return self.root / str(path).lstrip("/")

    def run(
        self, *command: str, accept: Sequence[int] = (0,), patience: float | None = None
    ) -> Ran:
        """See `Runner`."""
        return self.runner.run(command, accept=accept, patience=patience)

    @property
    def name(self) -> str:
        """As the network knows it."""
        return socket.gethostname()

    def owner(self, user: str, group: str) -> Owner | None:
        """Their numbers; None where one of them is not there (yet)."""
        found = self._number("passwd", user), self._number("group", group)
        return None if None in found else Owner(int(found[0] or 0), int(found[1] or 0))

    def has_user(self, name: str) -> bool:
        """Whether there is such a user, with a group of the same name."""
        return self.owner(name, name) is not None

    def _number(self, table: str, name: str) -> int | None:
        """passwd(5) and group(5): both have the name first and the number third."""
        for line in self.at(f"/etc/{table}").read_text("utf-8").splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return int(fields[2])
        return None
