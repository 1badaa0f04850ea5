"""The step that makes a certificate that nobody has signed: for a trial, or behind a balancer."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath

from attrs import frozen

from oose.installing.machine import Machine
from oose.installing.plan import Change
from oose.tls import is_good, self_signed


@frozen
class SelfSigned:
    """A PEM file with a key and a certificate for `names`, good for 30 days and more."""

    path: PurePosixPath
    names: Sequence[str]

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        path, now = machine.at(self.path), machine.now()
        if not is_good(path, self.names, now):
            yield Change(
                f"make the self-signed certificate {self.path} for {', '.join(self.names)}",
                partial(self_signed, path, self.names, now),
                touches=self.path,
            )
