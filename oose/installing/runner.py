"""Every command that the installer runs goes through here."""

import os
import shlex
import subprocess
from collections.abc import Collection, Sequence
from typing import Protocol

from attrs import frozen

QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
TOLD = 12  # last lines of what a command said that failed


class Refused(Exception):
    """The machine is not as it has to be, or a command failed: what, and what to do."""


class NotYet(Refused):
    """A command takes longer than it may; what it has begun goes on."""


@frozen
class Ran:
    """How a command ended, and what it printed on stdout."""

    code: int
    out: str


class Runner(Protocol):
    """Runs commands of the machine."""

    def run(
        self,
        command: Sequence[str],
        *,
        accept: Collection[int] = (0,),
        patience: float | None = None,
    ) -> Ran:
        """Run it to its end; `Refused` unless it ends with one of the codes of `accept`.

        `NotYet` after `patience` seconds, where there is such a limit; the command is ended then.
        """
        ...


class Commands:
    """Runs them for real."""

    def run(
        self,
        command: Sequence[str],
        *,
        accept: Collection[int] = (0,),
        patience: float | None = None,
    ) -> Ran:
        """See `Runner`."""
        shown = shlex.join(command)
        try:
            ended = subprocess.run(  # noqa: S603 # what the plan says, no shell between
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env={**os.environ, **QUIET},
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NotYet(f"`{shown}` has not ended after {patience:g} s") from None
        except OSError as error:
            raise Refused(f"`{shown}` cannot be run: {error.strerror}") from None
        if ended.returncode not in accept:
            said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-TOLD:]
            lines = "".join(f"\n  {line}" for line in said)
            raise Refused(f"`{shown}` ended with {ended.returncode}{lines}")
        return Ran(ended.returncode, ended.stdout)
