"""The inventory in the embedded database; see `oose.metadata.documents`."""

import sqlite3
from collections.abc import Sequence

from oose.embedded.database import EmbeddedDatabase
from oose.embedded.documents import LAST, EmbeddedDocuments
from oose.metadata.documents import Held

HELD = """
SELECT substr(id, 1, instr(id, ':') - 1), rev, json_extract(body, '$.relativePath'),
       json_extract(body, '$.size'), json_extract(body, '$.createdAt'),
       json_extract(body, '$.verifiedAt')
FROM documents
WHERE db = 'inventory' AND id > ? AND id >= ? AND id <= ? AND substr(id, instr(id, ':') + 1) = ?
ORDER BY id LIMIT ?
"""


class EmbeddedInventory(EmbeddedDocuments):
    """Meets `Inventory`. A store's records are picked out of all: there are few stores here."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        super().__init__(database, "inventory")

    async def held(
        self, place: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> Sequence[Held]:
        """See `Inventory.held`."""
        behind = f"{after}:{place}" if after else ""
        most = -1 if limit is None else limit

        def read(connection: sqlite3.Connection) -> Sequence[Held]:
            values = (behind, prefix, prefix + LAST, place, most)
            return [Held(*row) for row in connection.execute(HELD, values)]

        return await self._database.read(read)
