"""Following what is written to a database, for as long as the process lives."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from oose.contact import Contact
from oose.errors import OoseError, Unavailable
from oose.log import part
from oose.metadata.documents import Documents

Work = Coroutine[Deferred[Any], Any, None]
PATIENCE = 25.0  # seconds that one request waits for something to be written
GRACE = 5.0  # seconds more after which there will be no answer
PAUSE = 1.0  # seconds after what failed, and after an answer that came too early and said nothing
_log = part("following")


class Following:
    """Calls `on_changes` with the ids of what was written, one call at a time.

    `on_everything` is called where some of it may have been missed: at the start, and when the
    database says so. What one of them could not do for an error is asked of it again. Called
    `name` in the log. `rest` seconds are left between two requests that brought something, so
    that what is written all the time comes in bundles.
    """

    def __init__(
        self,
        name: str,
        documents: Documents,
        clock: IReactorTime,
        *,
        on_changes: Callable[[Sequence[str]], Work],
        on_everything: Callable[[], Work],
        patience: float = PATIENCE,
        rest: float = 0.0,
    ) -> None:
        self._name = name
        self._documents = documents
        self._clock = clock
        self._on_changes = on_changes
        self._on_everything = on_everything
        self._patience = patience
        self._rest = rest
        self._since: str | None = None
        self._is_stopping = False
        self._running: Deferred[None] | None = None
        self._is_told = False  # that it is interrupted
        self.contact = Contact()

    def start(self) -> None:
        """Begin."""
        self._is_stopping = False
        self._running = Deferred.fromCoroutine(self._follow())

    async def stop(self) -> None:
        """Wait for nothing more; ends when nothing is under way."""
        self._is_stopping = True
        if self._running is not None:
            running, self._running = self._running, None
            running.cancel()
            await running
        self.contact.is_there = False

    async def _follow(self) -> None:
        while not self._is_stopping:
            try:
                pause = await self._once()
            except Exception:
                pause = PAUSE
                if not self._is_stopping:
                    self._failed(Failure())
            if pause and not self._is_stopping:
                await self._wait(pause)

    async def _once(self) -> float:
        """Ask once; the seconds to wait before the next time."""
        asked = self._clock.seconds()
        is_followed = self._since is not None and self.contact.is_there
        patience = self._patience if is_followed else 0.0  # nobody waits to know that it is there
        asking = Deferred.fromCoroutine(self._documents.changes(self._since, patience))
        changes = await asking.addTimeout(patience + GRACE, self._clock, _too_late)
        if self._since is None or not changes.is_whole:
            await self._on_everything()
        elif changes.ids:
            await self._on_changes(changes.ids)
        self._since = changes.since
        self._succeeded()
        if changes.ids and changes.is_whole:
            return self._rest
        if not is_followed or not changes.is_whole:
            return 0.0
        return PAUSE if self._clock.seconds() - asked < min(PAUSE, self._patience) else 0.0

    async def _wait(self, seconds: float) -> None:
        try:
            await deferLater(self._clock, seconds)
        except Exception:  # a cancellation, as there is to be nothing more
            _log.debug("{name}: no longer waiting", name=self._name)

    def _succeeded(self) -> None:
        if self._is_told:
            _log.info("{name} goes on", name=self._name)
        self._is_told = False
        self.contact.made()

    def _failed(self, failure: Failure) -> None:
        self.contact.lost()
        why = failure.getErrorMessage()
        if failure.check(Unavailable):  # whoever asks the database has said so
            _log.debug("{name} is interrupted: {why}", name=self._name, why=why)
            return
        if self._is_told:
            return
        self._is_told = True
        if failure.check(OoseError):
            _log.warn("{name} is interrupted: {why}", name=self._name, why=why)
        else:
            _log.failure("{name} is interrupted", failure, name=self._name)


def _too_late(result: object, seconds: float) -> Any:
    raise Unavailable("The database does not answer")
