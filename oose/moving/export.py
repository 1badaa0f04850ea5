"""All metadata as lines of JSON: documents, purchases, and accounts that oose keeps itself."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose import __version__
from oose.databases import Databases, OneMachine
from oose.embedded.account_rows import AccountRows
from oose.metadata.documents import DATABASES, Documents
from oose.moving.entries import End, Entry, Header, of_account, of_purchase
from oose.moving.patience import insist

PAGE = 1000
LAST = "\U0010ffff"  # sorts after every letter

Watch = Callable[[int], None]


@define
class Export:
    """Writes what is in `databases` with `write`; `now` is in ms since 1970.

    It is read page by page while others go on: what they write meanwhile may be in it or not.
    `watch` is told how many entries are written.
    """

    databases: Databases
    write: Callable[[str], object]
    clock: IReactorTime
    now: int
    watch: Watch

    async def run(self) -> Counter[str]:
        """Write all of it; how many entries of each kind there are."""
        totals = await insist(self.databases.totals, self.clock)
        self.write(Header(__version__, self.now, totals).to_line())
        counts: Counter[str] = Counter()
        async for entries in self._pages():
            for entry in entries:
                self.write(entry.to_line())
                counts[entry.kind] += 1
            self.watch(counts.total())
            await deferLater(self.clock, 0)  # the reactor's turn
        self.write(End(counts).to_line())
        return counts

    async def _pages(self) -> AsyncIterator[Sequence[Entry]]:
        for name in DATABASES:
            async for page in self._documents(name, getattr(self.databases, name)):
                yield page
        async for purchases in self.databases.purchases.each():
            yield [of_purchase(each) for each in purchases]
        rows = account_rows(self.databases)
        if rows is not None:
            async for page in self._accounts(rows):
                yield page

    async def _documents(self, name: str, documents: Documents) -> AsyncIterator[Sequence[Entry]]:
        start = ""
        while True:
            first = start
            rows = await insist(lambda: documents.range(first, LAST, limit=PAGE), self.clock)  # noqa: B023 # called in this round
            yield [each for row in rows if (each := Entry(name, row.id, lasting(row.body))).body]
            if len(rows) < PAGE:
                return
            start = rows[-1].id + "\0"

    async def _accounts(self, rows: AccountRows) -> AsyncIterator[Sequence[Entry]]:
        last = ""
        while page := await rows.page(last, PAGE):
            yield [of_account(each) for each in page]
            last = page[-1].username


def lasting(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document without a claim on it, which is somebody's who works on it now."""
    return {name: each for name, each in body.items() if name != "claim"}


def account_rows(databases: Databases) -> AccountRows | None:
    """The accounts that oose keeps itself; a cluster's are CouchDB's own."""
    return AccountRows(databases.database) if isinstance(databases, OneMachine) else None
