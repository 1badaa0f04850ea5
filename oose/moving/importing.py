"""An export comes back: what is there already stays as it is, unless it is to be replaced.

A line of which no use can be made is named, and the others go on. Each document is written whole or
not at all; doing it again changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.databases import Databases
from oose.metadata.documents import DATABASES, Document, Documents, Stale, Write
from oose.moving.entries import ACCOUNT, PURCHASE, Entry, as_account, as_purchase
from oose.moving.export import account_rows, lasting
from oose.moving.export_file import Batch, ExportFile
from oose.moving.patience import insist
from oose.moving.tally import Tally
from oose.moving.target import Target
from oose.together import together

ROUNDS = 8  # tries to replace what others write at the same time
ALIVE = ("available", "voted", "renewedAt")  # how a peer is now, which no file knows

Bodies = Mapping[str, Mapping[str, Any]]
Watch = Callable[[int, Tally], None]


@frozen
class Written:
    """How many documents were new, how many were replaced, and which could not be."""

    new: int
    replaced: int = 0
    lost: Sequence[str] = ()


@define
class Import:
    """Takes what is in `file`, of which the header is read, into `databases`.

    `now` is in ms since 1970. `watch` is told how many bytes are read, after each batch.
    """

    file: ExportFile
    databases: Databases
    clock: IReactorTime
    now: int
    replace: bool
    watch: Watch
    tally: Tally = field(factory=Tally)

    async def run(self) -> Tally:
        """Take all of it; what became of it."""
        for batch in self.file.batches():
            await self._take(batch)
            self.watch(batch.passed, self.tally)
            await deferLater(self.clock, 0)  # the reactor's turn
        return self.tally

    async def _take(self, batch: Batch) -> None:
        self.tally.add("read", len(batch.entries) + len(batch.failures))
        for which, why in batch.failures:
            self.tally.fail(which, why)
        for name in DATABASES:
            entries = [each for each in batch.entries if each.kind == name]
            bodies = {each.id: each.body for each in entries}
            documents: Documents = getattr(self.databases, name)
            done = await insist(lambda: self._write(name, documents, bodies), self.clock)  # noqa: B023 # called in this round
            self._count(name, len(entries), done.new, done.replaced, len(done.lost))
            for each in done.lost:
                self.tally.fail(each, "others write it all the time")
        await self._sell([each for each in batch.entries if each.kind == PURCHASE])
        await self._admit([each for each in batch.entries if each.kind == ACCOUNT])

    def _count(
        self, kind: str, all_of_them: int, new: int, replaced: int = 0, lost: int = 0
    ) -> None:
        self.tally.add(f"{kind} new", new)
        self.tally.add(f"{kind} replaced", replaced)
        self.tally.add(f"{kind} there", all_of_them - new - replaced - lost)

    # Documents.

    async def _write(self, name: str, documents: Documents, bodies: Bodies) -> Written:
        if not bodies:
            return Written(0)
        writes = [Write(each, brought(name, body, None)) for each, body in bodies.items()]
        answers = await documents.put_many(writes)
        there = [answer.id for answer in answers if isinstance(answer, Stale)]
        new = len(bodies) - len(there)
        if not self.replace:
            return Written(new)
        left, replaced = there, 0
        for _ in range(ROUNDS):
            others = await self._differing(name, documents, {each: bodies[each] for each in left})
            if not others:
                return Written(new, replaced)
            answers = await documents.put_many(others)
            left = [answer.id for answer in answers if isinstance(answer, Stale)]
            replaced += len(others) - len(left)
        return Written(new, replaced, left)

    async def _differing(self, name: str, documents: Documents, bodies: Bodies) -> Sequence[Write]:
        """The writes that make of what is there what is to be there."""
        found = await documents.get_many(list(bodies)) if bodies else {}
        writes = []
        for each, body in bodies.items():
            there = found.get(each)
            wanted = brought(name, body, there)
            if there is None or wanted != there.body:
                writes.append(Write(each, wanted, there.rev if there is not None else None))
        return writes

    # What is no document.

    async def _sell(self, entries: Sequence[Entry]) -> None:
        purchases = [as_purchase(each) for each in entries]
        good = [each for each in purchases if each.expires > self.now]
        self.tally.add("purchase expired", len(purchases) - len(good))
        if self.replace:
            add = self.databases.purchases.add
            await insist(lambda: together(add(each) for each in good), self.clock)
            self._count(PURCHASE, len(good), 0, len(good))
        else:
            sold = await insist(lambda: Target(self.databases, False).sell(good), self.clock)
            self._count(PURCHASE, len(good), sold)

    async def _admit(self, entries: Sequence[Entry]) -> None:
        rows = account_rows(self.databases)
        if rows is None:
            self.tally.add("account left out", len(entries))
        elif entries:
            accounts = [as_account(each) for each in entries]
            changed = await rows.put(accounts, replace=self.replace)
            self._count(ACCOUNT, len(accounts), len(changed))


def brought(name: str, body: Mapping[str, Any], there: Document | None) -> Mapping[str, Any]:
    """A document as it is to be written: what is of the moment is as it is now.

    A peer that starts or lives says itself that it is available.
    """
    now = there.body if there is not None else {}
    if name == "peer" and "available" in body:
        alive = {field: now[field] for field in ALIVE if field in now}
        return {**body, "available": False, "voted": False, **alive}
    if name == "content":
        claim = {"claim": now["claim"]} if "claim" in now else {}
        return {**lasting(body), **claim}
    return body
