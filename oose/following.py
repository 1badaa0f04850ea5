"""Following what is written to a database, for as long as the process lives."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from oose.contact import Contact
from oose.errors import OoseError
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
        self.contact = Contact()

    @property
    def is_current(self) -> bool:
        """Whether what is written now is told here."""
        return self.contact.is_there

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
        patience = 0.0 if self._since is None else self._patience
        asking = Deferred.fromCoroutine(self._documents.changes(self._since, patience))
        changes = await asking.addTimeout(patience + GRACE, self._clock)
        if self._since is None or not changes.is_whole:
            await self._on_everything()
        elif changes.ids:
            await self._on_changes(changes.ids)
        is_first, self._since = self._since is None, changes.since
        self._succeeded()
        if is_first or not changes.is_whole:
            return 0.0
        if changes.ids:
            return self._rest
        return PAUSE if self._clock.seconds() - asked < min(PAUSE, self._patience) else 0.0

    async def _wait(self, seconds: float) -> None:
        try:
            await deferLater(self._clock, seconds)
        except Exception:  # a cancellation, as there is to be nothing more
            _log.debug("{name}: no longer waiting", name=self._name)

    def _succeeded(self) -> None:
        if not self.contact.is_there and self.contact.losses:
            _log.info("{name} goes on", name=self._name)
        self.contact.made()

    def _failed(self, failure: Failure) -> None:
        was_there, is_first = self.contact.is_there, not self.contact.losses
        self.contact.lost()
        if not (was_there or is_first):
            return
        if failure.check(OoseError):
            why = failure.getErrorMessage()
            _log.warn("{name} is interrupted: {why}", name=self._name, why=why)
        else:
            _log.failure("{name} is interrupted", failure, name=self._name)
