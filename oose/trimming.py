"""Removing clones too many, never one that is needed.

Under the claim on the content its records are read again, those that stay must be there and have
been hashed just now, and only then the others go: ranges miss fresh writes, and two who look may
see different things.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from oose.claims import Claim, Claims
from oose.contents import Content
from oose.errors import Conflict, NotFound, OoseError
from oose.existence import Existence
from oose.keepers import Keeper, Keepers
from oose.log import part
from oose.metadata.documents import Documents
from oose.metadata.records import InventoryRecord
from oose.registry import Registry
from oose.together import together
from oose.tombstones import is_buried

RECENT = 600.0  # seconds since a clone was hashed, for it to count as verified now
_log = part("clones")

Records = Sequence[InventoryRecord]


@frozen
class Trimmed:
    """The clones that are `left` and there, as far as could be asked, and those `removed`."""

    left: Records
    removed: Records = ()


@frozen
class Trimming:
    """Removes clones that are too many."""

    keepers: Keepers
    registry: Registry
    inventory: Documents
    claims: Claims
    existence: Existence
    clock: IReactorTime

    async def there(self, records: Records) -> Mapping[InventoryRecord, Keeper]:
        """Those whose store says that the file is there, and the stores."""
        asked = [(each, keeper) for each in records if (keeper := self.keepers.get(each.place))]
        answers = await together(keeper.holds(record) for record, keeper in asked)
        return {record: keeper for (record, keeper), yes in zip(asked, answers, strict=True) if yes}

    def is_recent(self, record: InventoryRecord, since: float | None = None) -> bool:
        """Whether it was hashed just now, or after `since` (s): only then does it count."""
        oldest = self.clock.seconds() - RECENT
        if since is not None:
            oldest = min(oldest, since)
        return record.verified is not None and record.verified >= int(oldest * 1000)

    def site(self, place: str) -> tuple[str, str]:
        """Machine and group of a store; one that nobody knows any more is for itself."""
        peer = self.registry.store(place)
        return (peer.machine, peer.group) if peer is not None else (place, place)

    async def trim(
        self,
        content_hash: str,
        ids: Collection[str],
        wanted: Callable[[Content], int],
        *,
        off: Collection[str] = (),
        only_off: bool = False,
        since: float | None = None,
    ) -> Trimmed | None:
        """Remove what there is, of the records `ids`, beside as many as `wanted` of the content.

        None where somebody else keeps the claim. Those on the places `off` go first, with
        `only_off` no others. Nothing goes where what would stay was not hashed since `since` (s)
        or just now, and nothing of what is protected. Where a store may still remove one the claim
        is kept until it runs out, and the request with it.
        """
        claim = await self.claims.take(content_hash)
        if claim is None:
            _log.info("{hash} has clones too many, for somebody else", hash=content_hash)
            return None
        pending: set[str] = set()
        try:
            documents = await self.inventory.get_many(list(ids))
            records = alive(claim.content, map(InventoryRecord.from_document, documents.values()))
            there = await self.there(records)
            good = [each for each in there if self.is_recent(each, since)]
            count = max(1, wanted(claim.content))
            if len(good) < count or claim.content.protected:
                return Trimmed(list(there))
            kept = keep(good, count, self.site, off)
            go = [r for r in there if r not in kept and (r.place in off or not only_off)]
            gone = [r for r in go if await self._remove(r, there[r], claim, pending)]
            return Trimmed([each for each in there if each not in gone], gone)
        finally:
            if not pending:
                await self.claims.release(claim)
            self.existence.forget(content_hash)

    async def _remove(
        self, record: InventoryRecord, keeper: Keeper, claim: Claim, pending: set[str]
    ) -> bool:
        """Whether it is gone; it is in `pending` while a store may still remove it."""
        if self.clock.seconds() >= claim.until:
            return False
        pending.add(record.id)
        try:
            await keeper.remove(record.hash, until=int(claim.until * 1000))
        except OoseError as error:
            if isinstance(error, Conflict | NotFound):
                pending.discard(record.id)
            _log.warn("{id} is one too many, and stays: {why}", id=record.id, why=error)
            return False
        pending.discard(record.id)
        _log.debug("{id} was one too many", id=record.id)
        return True


def alive(content: Content, records: Iterable[InventoryRecord]) -> Records:
    """Those that are not from before the content was removed."""
    return [each for each in records if not is_buried(content, each.created)]


def keep(
    records: Records,
    wanted: int,
    site: Callable[[str], tuple[str, str]],
    off: Collection[str] = (),
) -> Records:
    """The `wanted` clones to keep, the same for whoever asks: not on the places `off`, then on
    other machines, in other groups, each place in its own order for each content. `site` tells
    machine and group.
    """
    left = sorted(records, key=_rank)
    kept: list[InventoryRecord] = []
    while left and len(kept) < wanted:
        sites = [site(record.place) for record in kept]
        machines, groups = {machine for machine, _ in sites}, {group for _, group in sites}

        def nearness(record: InventoryRecord) -> tuple[bool, bool, bool]:
            machine, group = site(record.place)
            return record.place in off, machine in machines, group in groups  # noqa: B023 # now

        best = min(left, key=nearness)
        kept.append(best)
        left.remove(best)
    return kept


def _rank(record: InventoryRecord) -> bytes:
    return hashlib.sha256(f"{record.hash}:{record.place}".encode()).digest()
