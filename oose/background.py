"""Work that nobody awaits."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oose.log import part

_log = part("background")


def in_background(work: Coroutine[Deferred[Any], Any, None]) -> None:
    """Start `work`; what goes wrong in it is in the log and nowhere else."""
    _ = Deferred.fromCoroutine(work).addErrback(_failed)


def _failed(failure: Failure) -> None:
    _log.failure("Work in the background failed", failure)
