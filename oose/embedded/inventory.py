"""The inventory in the embedded database; see `oose.metadata.documents`."""

import json
import sqlite3
from collections.abc import Sequence

from attrs import frozen

from oose.embedded.database import EmbeddedDatabase
from oose.embedded.documents import LAST, EmbeddedDocuments
from oose.metadata.documents import Held, held

AT_ONCE = 1000  # documents looked through in one read, so that others wait for no more

# All of it is one row: for each row a thread gives the interpreter away, and where the reactor is
# busy it has to wait for it a thousand times.
HELD = """
SELECT count(*), max(id), json_group_array(json_array(
    id, rev, json_extract(body, '$.relativePath'), json_extract(body, '$.size'),
    json_extract(body, '$.createdAt'), json_extract(body, '$.verifiedAt')
)) FILTER (WHERE substr(id, instr(id, ':') + 1) = ?)
FROM (
    SELECT id, rev, body FROM documents
    WHERE db = 'inventory' AND id >= ? AND id <= ? ORDER BY id LIMIT ?
)
"""


@frozen
class _Page:
    """What was looked through: how many documents, the last one's id, and those of the store."""

    count: int
    last: str | None
    held: str


class EmbeddedInventory(EmbeddedDocuments):
    """Meets `Inventory`. A store's records are picked out of all: there are few stores here."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        super().__init__(database, "inventory")

    async def held(
        self, place: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> Sequence[Held]:
        """See `Inventory.held`."""
        found: list[Held] = []
        start = max(prefix, behind(f"{after}:{place}")) if after else prefix
        while limit is None or len(found) < limit:
            page = await self._page(place, start, prefix + LAST)
            found += [held(*each) for each in json.loads(page.held)]
            if page.last is None or page.count < AT_ONCE:
                break
            start = behind(page.last)
        return found if limit is None else found[:limit]

    async def _page(self, place: str, start: str, end: str) -> _Page:
        def read(connection: sqlite3.Connection) -> _Page:
            row = connection.execute(HELD, (place, start, end, AT_ONCE)).fetchone()
            return _Page(*row)

        return await self._database.read(read)


def behind(document_id: str) -> str:
    """The first id that there may be after this one."""
    return document_id + "\0"
