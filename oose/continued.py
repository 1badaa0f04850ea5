"""Content that goes on from another clone, at the exact byte, where one cannot be read any more."""

from collections.abc import Awaitable, Callable, Sequence

from oose.deliver.content import Clone
from oose.deliver.flow import Flow
from oose.errors import NotFound, OoseError, Unavailable
from oose.log import part
from oose.metadata.records import InventoryRecord
from oose.ranges import Span
from oose.readers import Readers

_log = part("download")

Look = Callable[[], Awaitable[Sequence[InventoryRecord]]]
"""Where the clones are now."""

Read = Callable[[InventoryRecord], Clone | None]
"""One of them; None where it cannot be read from here."""


class Continued:
    """A `Content` of `size` bytes whose clones are tried in the order that `readers` wants.

    A clone that failed is tried again once another has moved the answer on. `look` is asked again
    when none is left, and after that it is over.
    """

    whole: bytes | None = None

    def __init__(
        self,
        size: int,
        records: Sequence[InventoryRecord],
        look: Look,
        read: Read,
        readers: Readers,
    ) -> None:
        self.size = size
        self._records = records
        self._look = look
        self._read = read
        self._readers = readers
        self._failed: dict[str, OoseError] = {}  # since the answer has moved on
        self._current: tuple[str, Clone] | None = None

    async def ready(self, flow: Flow, span: Span) -> None:
        """See `Clone.ready`."""
        while len(span) and not flow.stopped:
            place, clone = await self._clone()
            try:
                await clone.ready(flow, span)
                break
            except OoseError as error:
                self._give_up(place, error)

    async def send(self, flow: Flow, span: Span) -> bool:
        """See `Clone.send`."""
        while len(span):
            if flow.stopped:
                return False
            before = flow.sent
            place, clone = await self._clone()
            try:
                return await clone.send(flow, span)
            except OoseError as error:
                moved = flow.sent - before
                if moved:
                    self._failed.clear()
                self._give_up(place, error)
            span = Span(span.start + moved, span.stop)
        return True

    def close(self) -> None:
        """See `Clone.close`."""
        current, self._current = self._current, None
        if current is not None:
            self._readers.left(current[0])
            current[1].close()

    async def _clone(self) -> tuple[str, Clone]:
        if self._current is None:
            self._current = self._next() or await self._found_since()
            self._readers.reading(self._current[0])
        return self._current

    def _next(self) -> tuple[str, Clone] | None:
        for record in self._readers.in_order(self._records, near_first=True):
            if record.size == self.size and record.place not in self._failed:
                clone = self._read(record)
                if clone is not None:
                    return record.place, clone
        return None

    async def _found_since(self) -> tuple[str, Clone]:
        if self._failed:
            try:
                self._records = await self._look()
            except Unavailable as error:
                _log.warn("No other clone can be looked for: {error}", error=error)
        found = self._next()
        if found is not None:
            return found
        raise self._why()

    def _give_up(self, place: str, error: OoseError) -> None:
        is_named = place in error.message  # by who has asked it over a connection
        _log.warn("{error}" if is_named else "{place}: {error}", place=place, error=error)
        self._failed[place] = error
        if not isinstance(error, NotFound):
            self._readers.failed(place, error)
        self.close()

    def _why(self) -> OoseError:
        """What to say when no clone is left: 404 only where every store says so."""
        errors = list(self._failed.values())
        others = [error for error in errors if not isinstance(error, NotFound)]
        nothing = Unavailable("No store with the content can be read", retry_after=5)
        return [nothing, *errors, *others][-1]
