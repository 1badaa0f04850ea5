"""nginx's logs of oose, as Debian has nginx's own: for who administers the machine.

They say who watches what, and an error names the whole request, with the token of a purchase. nginx
makes a log that is missing so that everybody may read it.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from attrs import frozen

from oose.installing.files import Ownership
from oose.installing.machine import Machine
from oose.installing.plan import Change

USER, GROUP, MODE = "www-data", "adm", 0o640  # /etc/logrotate.d/nginx makes those that follow so


@frozen
class Log:
    """That a log is there, and not for everybody."""

    path: PurePosixPath

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        kept = Ownership(self.path, USER, GROUP, MODE)
        if machine.at(self.path).exists():
            yield from kept.changes(machine)
            return
        yield Change(f"make {self.path} ({kept})", lambda: self._make(machine, kept))

    def _make(self, machine: Machine, kept: Ownership) -> None:
        path = machine.at(self.path)
        path.touch(mode=0o600)
        kept.settle(machine, path)
