"""Clones too many: when two prisms receive the same content at once, each makes its own.

After its records are written each looks once more. Who sees too many and wins the claim on the
content removes what is too many, having read the records again and asked the stores that keep it:
ranges miss fresh writes, and two may see different things.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from oose.claims import Claim, Claims
from oose.errors import OoseError
from oose.existence import Existence
from oose.keepers import Keeper, Keepers
from oose.log import part
from oose.metadata.documents import Documents
from oose.metadata.records import InventoryRecord
from oose.registry import Registry
from oose.together import together

RECENT = 600.0  # seconds since a clone was hashed, for it to count as verified now
_log = part("upload")

Records = Sequence[InventoryRecord]


@frozen
class Surplus:
    """Removes clones over `wanted`."""

    keepers: Keepers
    registry: Registry
    inventory: Documents
    claims: Claims
    existence: Existence
    clock: IReactorTime
    wanted: int

    async def trim(self, content_hash: str, known: Records) -> Records:
        """Look whether there are clones beside those `known`; those that are left in the end."""
        seen = {record.id: record for record in await self._look(content_hash)}
        seen |= {record.id: record for record in known}
        if len(seen) <= self.wanted:
            return known
        try:
            return await self._trim(content_hash, seen) or known
        except OoseError as error:  # what was uploaded is safe, and more often than need be
            _log.warn("{hash} has clones too many: {why}", hash=content_hash, why=error)
            return known

    async def _look(self, content_hash: str) -> Records:
        try:
            return await self.existence.records(content_hash, fresh=True)
        except OoseError:
            return ()

    async def _trim(self, content_hash: str, seen: Mapping[str, InventoryRecord]) -> Records:
        claim = await self.claims.take(content_hash)
        if claim is None:
            _log.info("{hash} has clones too many, for somebody else", hash=content_hash)
            return list(seen.values())
        try:
            return await self._remove(content_hash, list(seen), claim)
        finally:
            await self.claims.release(claim)
            self.existence.forget(content_hash)

    # Under the claim.

    async def _remove(self, content_hash: str, ids: Sequence[str], claim: Claim) -> Records:
        documents = await self.inventory.get_many(ids)
        records = [InventoryRecord.from_document(each) for each in documents.values()]
        there = await self._there(records)
        kept = self._kept([each for each in there if self._is_verified_now(each)], claim)
        if kept is None:
            return list(there)
        left = []
        for record, keeper in there.items():
            if record in kept or not await self._remove_one(record, keeper, claim):
                left.append(record)
        return left

    async def _there(self, records: Records) -> Mapping[InventoryRecord, Keeper]:
        asked = [(each, keeper) for each in records if (keeper := self.keepers.get(each.place))]
        answers = await together(keeper.holds(record) for record, keeper in asked)
        return {record: keeper for (record, keeper), yes in zip(asked, answers, strict=True) if yes}

    def _is_verified_now(self, record: InventoryRecord) -> bool:
        """Only what was hashed just now, as it was received, is a reason to remove another."""
        oldest = (self.clock.seconds() - RECENT) * 1000
        return record.verified is not None and record.verified >= oldest

    def _kept(self, verified: Records, claim: Claim) -> Records | None:
        """Which to keep; None where there is none too many to begin with."""
        wanted = self.wanted if claim.content.wanted is None else claim.content.wanted
        if len(verified) < wanted:
            return None
        return keep(verified, wanted, self._site)

    def _site(self, place: str) -> tuple[str, str]:
        peer = self.registry.store(place)
        return (peer.machine, peer.group) if peer is not None else (place, place)

    async def _remove_one(self, record: InventoryRecord, keeper: Keeper, claim: Claim) -> bool:
        if self.clock.seconds() >= claim.until:
            return False
        try:
            await keeper.remove(record.hash)
        except OoseError as error:
            _log.warn("{id} is one too many, and stays: {why}", id=record.id, why=error)
            return False
        _log.info("{id} was one too many", id=record.id)
        return True


def keep(records: Records, wanted: int, site: Callable[[str], tuple[str, str]]) -> Records:
    """The `wanted` clones to keep, the same for whoever asks: on other machines first, in other
    groups then, each place in its own order for each content. `site` tells machine and group.
    """
    left = sorted(records, key=_rank)
    kept: list[InventoryRecord] = []
    while left and len(kept) < wanted:
        sites = [site(record.place) for record in kept]
        machines, groups = {machine for machine, _ in sites}, {group for _, group in sites}

        def nearness(record: InventoryRecord) -> tuple[bool, bool]:
            machine, group = site(record.place)
            return machine in machines, group in groups  # noqa: B023 # called in this round

        best = min(left, key=nearness)
        kept.append(best)
        left.remove(best)
    return kept


def _rank(record: InventoryRecord) -> bytes:
    return hashlib.sha256(f"{record.hash}:{record.place}".encode()).digest()
