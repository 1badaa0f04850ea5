"""From a 2.0.x database to today's: peers, inventory, and purchases that are not over.

A document that is there already stays as it is, so doing it again changes nothing. The old
database is only read.
"""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord
from oose.moving.cursor import Cursor, Reached
from oose.moving.old_documents import LeftOut, NotUnderstood, Translated, translated
from oose.moving.old_source import OldRow, OldSource, Page
from oose.moving.patience import insist
from oose.moving.tally import Tally
from oose.moving.target import Target
from oose.peer import Peer
from oose.purchases import Purchase

COMPARED = ("relativePath", "size", "mimeType", "mimeExtension")  # of a record that is there

Watch = Callable[[int, Tally], None]
Bodies = dict[str, Mapping[str, Any]]


@define
class Migration:
    """Moves what `source` has to `target`, a page at a time; `cursor` remembers how far it got.

    `now` is in ms since 1970. `watch` is told how far it is after each page.
    """

    source: OldSource
    target: Target
    cursor: Cursor
    clock: IReactorTime
    now: int
    prefix: str
    watch: Watch

    async def run(self) -> Tally:
        """Move all that was not moved before; what became of all of it, of earlier runs too."""
        position, passed, tally = self._begin()
        while True:
            page = await self._page(position, passed)
            if page is None:
                break
            await self._take(page, tally)
            position, passed = page.position, page.passed
            if not self.target.pretend:
                self.cursor.save(Reached(position, passed, tally.to_json()))
            self.watch(passed, tally)
            await deferLater(self.clock, 0)  # the reactor's turn
        if not self.target.pretend:
            self.cursor.remove()
        return tally

    def _begin(self) -> tuple[str | None, int, Tally]:
        reached = None if self.target.pretend else self.cursor.load()
        if reached is None:
            return None, 0, Tally()
        return reached.position, reached.passed, Tally.from_json(reached.tally)

    async def _page(self, position: str | None, passed: int) -> Page | None:
        return await insist(lambda: self.source.after(position, passed), self.clock)

    async def _take(self, page: Page, tally: Tally) -> None:
        """Move what is in a page, and count it."""
        tally.add("read", len(page.rows))
        peers: Bodies = {}
        records: Bodies = {}
        purchases: list[Purchase] = []
        for row in page.rows:
            found = self._read(row, tally)
            if isinstance(found, Peer):
                peers[found.id] = found.to_body()
            elif isinstance(found, InventoryRecord):
                records[found.id] = found.to_body()
            elif isinstance(found, Purchase):
                purchases.append(found)
        old_peers = await insist(lambda: self.target.put_new("peer", peers), self.clock)
        old_records = await insist(lambda: self.target.put_new("inventory", records), self.clock)
        sold = await insist(lambda: self.target.sell(purchases), self.clock)
        tally.add("peers moved", len(peers) - len(old_peers))
        tally.add("peers there", len(old_peers))
        tally.add("records moved", len(records) - len(old_records))
        tally.add("records there", len(old_records))
        tally.add("records otherwise", differing(records, old_records))
        tally.add("purchases moved", sold)
        tally.add("purchases there", len(purchases) - sold)

    def _read(self, row: OldRow, tally: Tally) -> Translated | None:
        """What a row says; None where no use can be made of it, which is counted."""
        if row.body is None:
            tally.fail(row.id, row.why)
            return None
        try:
            found = translated(row.id, row.body, self.now, self.prefix)
        except NotUnderstood as error:
            tally.fail(row.id, str(error))
            return None
        if isinstance(found, LeftOut):
            tally.add(found.why)
        return found


def differing(moved: Bodies, there: Mapping[str, Document | None]) -> int:
    """How many of the records that are there say it otherwise than what was to be moved."""

    def is_other(document: Document | None) -> bool:
        return document is not None and any(
            document.body.get(field) != moved[document.id][field] for field in COMPARED
        )

    return sum(is_other(each) for each in there.values())
