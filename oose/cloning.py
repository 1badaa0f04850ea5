"""Clones of what was received: committed where it was sent, made up for where stores have failed.

commit    on the stores that took it
top up    on others, where fewer than wanted are safe: from memory, or from a clone there is
record    all of them in one request, with a note where something is not as it should be
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from attrs import define, evolve, field

from oose.address import hash_type_of, relative_path
from oose.errors import DiskFull, OoseError, Unavailable
from oose.keepers import Keepers
from oose.log import part
from oose.metadata.documents import Documents, Stale, Write
from oose.metadata.records import InventoryRecord
from oose.placement import Candidate, choose, share_a_machine
from oose.sink import Copy, Sink
from oose.together import together

_log = part("upload")


class Sender(Protocol):
    """Has a store send one of its files to another."""

    async def send(self, record: InventoryRecord, target: str) -> InventoryRecord | None:
        """The clone of `record` to the store at `target`, which records it; an `OoseError`.

        That record; None where it has to be looked up.
        """
        ...


@define(eq=False)
class Cloning:
    """Makes clones until there are `wanted`, or as many as there can be.

    With `accept_fewer` false fewer are none: what was made is withdrawn. Without a `sender` only
    what is still in memory goes to other stores than those it was sent to.
    """

    keepers: Keepers
    inventory: Documents
    wanted: int
    accept_fewer: bool
    sender: Sender | None
    chance: Callable[[], float]
    _told: str | None = field(default=None, init=False)

    def candidates(self) -> Sequence[Candidate]:
        """The stores that take something now."""
        return [c for keeper in self.keepers.all() if (c := keeper.candidate()) is not None]

    def choose(self, size: int | None) -> Sequence[Candidate]:
        """Stores for something of `size` bytes; `DiskFull`, `Unavailable` where there are none."""
        candidates = self.candidates()
        if not candidates:
            raise no_store()
        chosen = choose(candidates, self.wanted, size, (), self.chance)
        if not chosen:
            raise no_room()
        if len(chosen) < self.wanted and not self.accept_fewer:
            enough = len({each.machine for each in candidates}) >= self.wanted
            raise self._too_few(len(chosen), is_full=enough)
        return chosen

    def check_room(self, size: int | None) -> None:
        """Whether `choose` would find any; errors as there."""
        if not self.accept_fewer:
            self.choose(size)
            return
        candidates = self.candidates()
        if not candidates:
            raise no_store()
        if not any(each.has_room(size) for each in candidates):
            raise no_room()

    async def add(
        self, sink: Sink, new: InventoryRecord, present: Sequence[InventoryRecord]
    ) -> Sequence[InventoryRecord]:
        """Make what `sink` has received into clones beside those `present`; all there are then.

        `new` is what their records have in common. Nothing is added to clones that are there
        already where no store takes another.
        """
        job = _Job(self, sink, new, list(present))
        await job.commit_received()
        await job.top_up()
        if not job.clones:
            _log.error("{hash}: no store could keep it: {why}", hash=new.hash, why=job.why())
            none = Unavailable("No store could keep it", retry_after=30)
            raise job.errors[0] if job.errors else none
        if len(job.clones) < self.wanted and not self.accept_fewer:
            await job.remove_sent()
            is_full = any(isinstance(error, DiskFull) for error in job.errors)
            error = self._too_few(len(job.clones), is_full=is_full)
            _log.error("{hash}: {error}: {why}", hash=new.hash, error=error, why=job.why())
            raise error
        await job.record(self.note(job.clones))
        return job.clones

    def is_enough(self, count: int) -> bool:
        """Whether so many clones are as many as wanted, or as there can ever be here."""
        return count >= self.wanted or (self.accept_fewer and count >= len(self.keepers.all()))

    def note(self, clones: Sequence[InventoryRecord]) -> str | None:
        """What their records should say of them; a warning in the log where that is new."""
        places = {record.place for record in clones}
        is_shared = len(places) > 1 and share_a_machine(self.candidates(), places)
        note = shortage(len(clones), self.wanted, shares_a_machine=is_shared)
        if note is not None and note != self._told:
            _log.warn(
                "{hash}: {note}. Others like it are not told of", hash=clones[0].hash, note=note
            )
        self._told = note
        return note

    def _too_few(self, count: int, *, is_full: bool) -> OoseError:
        why = f"Only {count} of {self.wanted} clones could be made, and fewer are not accepted"
        return DiskFull(why) if is_full else Unavailable(why, retry_after=30)


@define(eq=False)
class _Job:
    """The clones of one file: `clones` are there, `_tried` is where no other is begun."""

    _cloning: Cloning
    _sink: Sink
    _new: InventoryRecord
    clones: list[InventoryRecord]
    errors: list[OoseError] = field(factory=list, init=False)
    _tried: set[str] = field(factory=set, init=False)
    _committed: list[tuple[Copy, InventoryRecord]] = field(factory=list, init=False)
    _sent: list[InventoryRecord] = field(factory=list, init=False)

    async def commit_received(self) -> None:
        """Commit where it was received, as often as wanted.

        It does not matter whether a store that has the bytes would still take others.
        """
        copies = {copy.place: copy for copy in self._sink.copies}
        self.errors += self._sink.dropped.values()
        self._tried |= self._sink.dropped.keys()
        if not self.clones:  # as they were chosen when it began
            self._tried |= copies.keys()
            await self._commit(list(copies.values()))
        while chosen := self._choose(size=None, among=copies):
            self._tried.update(each.name for each in chosen)
            await self._commit([copies[each.name] for each in chosen])
        for place in copies.keys() - self._tried:
            _log.info(
                "{place} has received {hash} in vain: clones are on {others}",
                place=place,
                hash=self._new.hash,
                others=" ".join(record.place for record in self.clones),
            )

    async def top_up(self) -> None:
        """Go on with other stores until there are enough or none is left."""
        while chosen := self._choose(size=self._new.size):
            places = [each.name for each in chosen]
            self._tried.update(places)
            if self._sink.whole is not None:
                await self._commit(self._begin(places))
            elif self.clones and self._cloning.sender is not None:
                await self._send(self._cloning.sender, places)
            else:
                return

    def why(self) -> str:
        """All that went wrong."""
        return "; ".join(str(error) for error in self.errors) or "no other store takes one"

    async def record(self, note: str | None) -> None:
        """Write the records of what was committed, and confirm it."""
        if not self._committed:
            return
        records = [record for _, record in self._committed]
        if note is not None:
            records = [evolve(record, note=note) for record in records]
        await write_records(self._cloning.inventory, records)
        for copy, _ in self._committed:
            await copy.reception.confirm()

    async def remove_sent(self) -> None:
        """Take back what stores have sent one another."""
        for record in self._sent:
            keeper = self._cloning.keepers.get(record.place)
            try:
                if keeper is not None:
                    await keeper.remove(record.hash)
            except OoseError as error:
                _log.warn("{place} keeps {id}: {why}", place=record.place, id=record.id, why=error)

    def _choose(
        self, *, size: int | None, among: Mapping[str, Copy] | None = None
    ) -> Sequence[Candidate]:
        """Stores for what is missing; with `among` of these, as they were when they were chosen."""
        missing = self._cloning.wanted - len(self.clones)
        if missing <= 0:
            return ()
        holding = {record.place for record in self.clones}
        failed = self._tried - holding
        known = {each.name: each for each in self._cloning.candidates()}
        if among is not None:
            known |= {copy.place: copy.chosen for copy in among.values() if copy.chosen}
        candidates = [each for each in known.values() if each.name not in failed]
        return choose(candidates, missing, size, holding, self._cloning.chance, among)

    def _begin(self, places: Sequence[str]) -> Sequence[Copy]:
        hash_type = hash_type_of(self._new.hash)
        copies = []
        for place in places:
            try:
                copies.append(Copy(place, self._cloning.keepers.receive(place, hash_type)))
            except OoseError as error:  # it went out of service just now
                _log.warn("{place} could not be sent a file: {why}", place=place, why=error)
                self.errors.append(error)
        self._sink.copies += copies  # so that they are withdrawn with the others
        return copies

    async def _commit(self, copies: Sequence[Copy]) -> None:
        results = await together(self._commit_one(copy) for copy in copies)
        done = [(copy, record) for copy, record in zip(copies, results, strict=True) if record]
        self._committed += done
        self.clones += [record for _, record in done]

    async def _commit_one(self, copy: Copy) -> InventoryRecord | None:
        try:
            new = self._new
            path = await self._sink.commit(copy, new.hash, new.mime_extension, new.created)
        except OoseError as error:
            _log.warn("{place} could not keep a file: {error}", place=copy.place, error=error)
            self.errors.append(error)
            return None
        return self._new.on(*split_place(copy.place), path)

    async def _send(self, sender: Sender, places: Sequence[str]) -> None:
        path = relative_path(self._new.hash, self._new.mime_extension)
        for place in places:
            if await self._send_from_any(sender, place):
                self._sent.append(self._new.on(*split_place(place), path))
                self.clones.append(self._sent[-1])

    async def _send_from_any(self, sender: Sender, place: str) -> bool:
        for clone in self.clones:
            try:
                await sender.send(clone, place)
            except OoseError as error:
                _log.warn("{place} could not be sent a clone: {why}", place=place, why=error)
                self.errors.append(error)
            else:
                return True
        return False


def shortage(count: int, wanted: int, *, shares_a_machine: bool) -> str | None:
    """What an operator should know of `count` clones; None where all is as it should be."""
    if count < wanted:
        return f"{count} of {wanted} clones: no other store could take one"
    return "Clones share a machine: there is no other" if shares_a_machine else None


def no_store() -> Unavailable:
    """None can be reached."""
    return Unavailable("No store is available", retry_after=30)


def no_room() -> DiskFull:
    """None has room."""
    return DiskFull("No store has room for this")


def split_place(place: str) -> tuple[str, str]:
    """Prism and store of `<prism>:<store>`."""
    prism, _, store = place.partition(":")
    return prism, store


async def write_records(inventory: Documents, records: Sequence[InventoryRecord]) -> None:
    """Write the records, also over those of clones that were lost."""
    pending = {record.id: record for record in records}
    revisions: dict[str, str | None] = dict.fromkeys(pending)
    while pending:
        writes = [Write(key, r.to_body(), revisions[key]) for key, r in pending.items()]
        answers = await inventory.put_many(writes)
        stale = [answer.id for answer in answers if isinstance(answer, Stale)]
        pending = {key: pending[key] for key in stale}
        if pending:
            current = await inventory.get_many(stale)
            revisions = {key: current[key].rev if key in current else None for key in stale}
