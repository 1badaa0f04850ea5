"""Copies that prisms send to a store, which hang on their connections.

    received → committed (visible) → confirmed (recorded)

What is lost before its commit is withdrawn. What is lost between commit and confirmation was made
visible for a prism that may or may not have recorded it: the inventory knows.
"""

from collections.abc import Awaitable, Callable

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.address import hash_type_of
from oose.background import in_background
from oose.errors import ChecksumMismatch
from oose.log import part
from oose.sink import Sink

GRACE = 30.0  # seconds that a prism may still take to write the record of what it lost
AGAIN = 10.0  # seconds between two questions while the inventory does not answer
_log = part("store")

Recorded = Callable[[str], Awaitable[bool]]
"""Whether the inventory has a record of this store's clone of a hash."""


@define(eq=False)
class Arrivals:
    """Those of one store, and what is to become of those that were lost."""

    recorded: Recorded
    clock: IReactorTime
    _asking: set[Deferred[None]] = field(factory=set, init=False)

    def begin(self, arrival_id: str, sink: Sink) -> "Arrival":
        """One begins; `sink` is on this store only."""
        return Arrival(arrival_id, sink, self.settle)

    def settle(self, arrival: "Arrival") -> None:
        """Keep what was lost after its commit, or not, as the inventory says."""
        asking = Deferred.fromCoroutine(self._settle(arrival))
        self._asking.add(asking)
        _ = asking.addBoth(lambda _: self._asking.discard(asking))

    def stop(self) -> None:
        """Ask no more: the next start of the store settles what is left (`Disk.settle`)."""
        for asking in list(self._asking):
            asking.cancel()

    async def _settle(self, arrival: "Arrival") -> None:
        await deferLater(self.clock, GRACE)
        while True:
            try:
                recorded = await self.recorded(arrival.content_hash)
                break
            except CancelledError:
                raise
            except Exception as error:
                _log.warn("The inventory cannot be asked yet: {why}", why=error)
            await deferLater(self.clock, AGAIN)
        await arrival.end(recorded=recorded)


@define(eq=False)
class Arrival:
    """One copy; `id` is what its prism calls it. A `Held` of its connection."""

    id: str
    sink: Sink
    _settle: Callable[["Arrival"], None]
    content_hash: str = field(default="", init=False)
    _over: bool = field(default=False, init=False)

    async def seal(self) -> None:
        """All bytes are there: make them durable; what went wrong with any of them."""
        await self.sink.seal()
        await self.sink.finish()

    async def commit(self, content_hash: str, ext: str, created: int | None = None) -> str:
        """Make it visible under its hash, when it is the hash of its bytes; its relative path.

        `created` (ms) is when it came.
        """
        received = await self.sink.finish()
        found = received.digests[hash_type_of(content_hash)]
        if found != content_hash:
            raise ChecksumMismatch(
                f"The bytes received have the {hash_type_of(content_hash)} {found},"
                f" not {content_hash}"
            )
        path = await self.sink.commit(self.sink.copies[0], content_hash, ext, created)
        self.content_hash = content_hash
        return path

    async def end(self, *, recorded: bool) -> None:
        """It stays where it is recorded, and goes where it is not."""
        if self._over:
            return
        self._over = True
        if recorded:
            await self.sink.copies[0].reception.confirm()
        else:
            await self.sink.abandon()

    def lost(self) -> None:
        """Its connection has ended."""
        if self.content_hash:
            self._settle(self)
        else:
            in_background(self.end(recorded=False))
