"""The clones of one content: looked at, made, removed, moved.

Repair, demand, the draining of a store and the `oose clones` command all work with these. Each can
be cut short at any point and done again: a clone too many is the worst that is left.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from attrs import define, evolve, field, frozen
from twisted.internet.interfaces import IReactorTime

from oose.claims import Claims
from oose.cloning import Sender, shortage
from oose.contents import Contents
from oose.copying import Copying
from oose.errors import BadInput, NotFound, OoseError
from oose.existence import Existence
from oose.keepers import Keepers
from oose.log import part
from oose.metadata.documents import Documents, Write
from oose.metadata.records import InventoryRecord
from oose.registry import Registry
from oose.together import together
from oose.trimming import Trimming, alive, keep

_log = part("clones")

Records = Sequence[InventoryRecord]


@frozen
class Moved:
    """What a move has made, and what it has removed."""

    added: Records
    removed: Records


@define(eq=False)
class Clones:
    """Works on the clones of whichever content is named, wherever they are."""

    keepers: Keepers
    sender: Sender
    registry: Registry
    inventory: Documents
    contents: Contents
    claims: Claims
    existence: Existence
    clock: IReactorTime
    chance: Callable[[], float]
    _sending: Counter[str] = field(factory=Counter, init=False)

    async def look(self, content_hash: str, known_ids: Collection[str] = ()) -> Records:
        """The records there are now, in id order, of stores that serve and of others.

        A range may miss what was written just now: the records `known_ids` are read by themselves.
        """
        found, known = await together([self._range(content_hash), self._read(known_ids)])
        seen = {each.id: each for each in found if each.id not in known_ids}
        seen |= {each.id: each for each in known}
        return [seen[key] for key in sorted(seen)]

    async def _range(self, content_hash: str) -> Records:
        return await self.existence.records(content_hash, fresh=True)

    async def _read(self, ids: Collection[str]) -> Records:
        documents = await self.inventory.get_many(list(ids)) if ids else {}
        return [InventoryRecord.from_document(each) for each in documents.values()]

    async def add(
        self,
        content_hash: str,
        records: Records,
        count: int,
        *,
        to: str | None = None,
        avoid: Collection[str] = (),
    ) -> Records:
        """Make `count` more beside `records`, or as many as can be; the records of those made.

        With `to` one on that store, unless it has one; else where placement says, not on the stores
        `avoid`, whose clones do not count for where others go. A clone is verified before it is
        sent. Where none can be made the reason is raised: `NotFound` (there is no good clone),
        `DiskFull`, `Unavailable`.
        """
        copying = Copying(
            content_hash=content_hash,
            records=list(records),
            avoid=avoid,
            keepers=self.keepers,
            sender=self.sender,
            registry=self.registry,
            inventory=self.inventory,
            existence=self.existence,
            sending=self._sending,
            is_recent=self._trimming.is_recent,
            chance=self.chance,
        )
        try:
            return await (copying.add(count) if to is None else copying.add_to(to))
        finally:
            self.existence.forget(content_hash)

    async def trim(
        self,
        content_hash: str,
        wanted: int,
        *,
        off: Collection[str] = (),
        only_off: bool = False,
        known_ids: Collection[str] = (),
    ) -> Records:
        """Remove clones until `wanted` are left, or as many as the content document wishes.

        Those on the stores `off` go first, with `only_off` no others. Before one goes those that
        stay have been read and hashed again. Nothing goes of what is protected, or where fewer than
        `wanted` are good, or while somebody else keeps the claim. The records of what was removed.
        """
        content = await self.contents.get(content_hash)
        wanted = max(1, wanted, content.wanted or 0)
        if content.protected:
            return ()
        since = self.clock.seconds()
        records = alive(content, await self.look(content_hash, known_ids))
        if len(records) <= wanted or not await self._verify(records, wanted, off, since):
            return ()
        trimmed = await self._trimming.trim(
            content_hash,
            [each.id for each in records],
            lambda content: max(wanted, content.wanted or 0),
            off=off,
            only_off=only_off,
            since=since,
        )
        return trimmed.removed if trimmed is not None else ()

    async def _verify(
        self, records: Records, wanted: int, off: Collection[str], since: float
    ) -> bool:
        """Have those that are to stay hashed again; whether there are as many as wanted."""
        trimming = self._trimming
        left = list(await trimming.there(records))
        whole = {each for each in left if trimming.is_recent(each, since)}
        while len(left) > wanted:
            asked = [r for r in keep(left, wanted, trimming.site, off) if r not in whole]
            if not asked:
                return True
            answers = await together(self._is_whole(each) for each in asked)
            whole |= {each for each, yes in zip(asked, answers, strict=True) if yes}
            left = [each for each in left if each in whole or each not in asked]
        return False

    async def _is_whole(self, record: InventoryRecord) -> bool:
        keeper = self.keepers.get(record.place)
        if keeper is None:
            return False
        try:
            return await keeper.verify(record.hash) == "ok"
        except OoseError as error:
            _log.warn("{id} could not be verified: {why}", id=record.id, why=error)
            return False

    async def move(
        self,
        content_hash: str,
        from_place: str,
        to: str | None = None,
        *,
        wanted: int | None = None,
        known_ids: Collection[str] = (),
    ) -> Moved:
        """Take the clone off the store `from_place`, once there is one more elsewhere.

        That one is made on the store `to`, or where placement says. With `wanted` none is made
        where as many are on other stores already, so that a move can be done again. One that is on
        a store that does not serve cannot be removed, and is made up for. Errors as in `add`;
        `BadInput` for a move to where it is.
        """
        if to == from_place:
            raise BadInput(f"A clone cannot be moved from {from_place} to itself")
        content = await self.contents.get(content_hash)
        records = alive(content, await self.look(content_hash, known_ids))
        if all(each.place != from_place for each in records):
            raise NotFound(f"{content_hash} has no clone on {from_place}")
        others = [r for r in self.existence.counting(records) if r.place != from_place]
        missing = 1 if wanted is None else wanted - len(others)
        added = await self.add(content_hash, records, missing, to=to, avoid=[from_place])
        removed = await self.trim(
            content_hash,
            len(others) + len(added) if wanted is None else wanted,
            off=[from_place],
            only_off=True,
            known_ids=[each.id for each in [*records, *added]],
        )
        return Moved(added, removed)

    async def correct(self, records: Records, wanted: int) -> None:
        """Have the notes in the records say what is so: too few clones, or clones on one machine.

        `records` are those that count of one content. One that is written meanwhile is left alone.
        """
        machines = {self._trimming.site(each.place)[0] for each in records}
        note = shortage(len(records), wanted, shares_a_machine=len(machines) < len(records))
        wrong = [each.id for each in records if each.note != note]
        documents = await self.inventory.get_many(wrong) if wrong else {}
        writes = [
            Write(key, evolve(record, note=note).to_body(), document.rev)
            for key, document in documents.items()
            if (record := InventoryRecord.from_document(document)).note != note
        ]
        if writes:
            await self.inventory.put_many(writes)

    @property
    def _trimming(self) -> Trimming:
        return Trimming(
            self.keepers,
            self.registry,
            self.inventory,
            self.claims,
            self.existence,
            self.clock,
        )
