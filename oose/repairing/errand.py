"""Work that is begun now and then, never twice at once, and cut short at the end."""

from collections.abc import Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oose.errors import Unavailable
from oose.log import part

_log = part("repair")


@define(eq=False)
class Errand:
    """One piece of work, called `name` in the log."""

    name: str
    _running: Deferred[None] | None = field(default=None, init=False)
    _is_stopping: bool = field(default=False, init=False)

    @property
    def is_under_way(self) -> bool:
        """Whether it has begun and not ended."""
        return self._running is not None

    def start(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Begin; what goes wrong is in the log."""
        self._running = Deferred.fromCoroutine(work)
        _ = self._running.addErrback(self._failed).addBoth(self._ended)

    async def stop(self) -> None:
        """Cut it short, and wait for its end."""
        running = self._running
        if running is not None:
            self._is_stopping = True
            running.cancel()
            await running

    def _ended(self, result: None) -> None:
        self._running = None

    def _failed(self, failure: Failure) -> None:
        if self._is_stopping:
            return
        if failure.check(Unavailable):  # whoever asks the database has said so
            _log.debug("{name} is put off: {why}", name=self.name, why=failure.getErrorMessage())
        else:
            _log.failure("{name} failed; it is done again", failure, name=self.name)
