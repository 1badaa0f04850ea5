"""The inventory in CouchDB; see `oose.metadata.documents`."""

from collections.abc import Sequence

from oose.couchdb.client import CouchClient
from oose.couchdb.documents import CouchDocuments
from oose.couchdb.index import Index
from oose.couchdb.reading import LAST, PAGE
from oose.metadata.documents import Document, Held, held


class CouchInventory(CouchDocuments):
    """Meets `Inventory`: from an index, or else by reading what all stores have.

    For `uses_index` see `Index`.
    """

    def __init__(self, client: CouchClient, *, uses_index: bool | None = None) -> None:
        super().__init__(client, "inventory")
        self._index = Index(client, self._path, is_used=uses_index)

    async def held(
        self, place: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> Sequence[Held]:
        """See `Inventory.held`."""
        found: list[Held] = []
        start = max(prefix, behind(f"{after}:{place}")) if after else prefix
        while start <= prefix + LAST and (limit is None or len(found) < limit):
            most = PAGE if limit is None else min(PAGE, limit - len(found))
            page = await self._index.page(place, start, prefix, most)
            if page is None:
                left = None if limit is None else limit - len(found)
                return found + await self._picked_out(place, start, prefix, left)
            found += page
            if len(page) < most:
                break
            start = behind(f"{page[-1].hash}:{place}")
        return found

    async def _picked_out(
        self, place: str, start: str, prefix: str, limit: int | None
    ) -> list[Held]:
        """The same without the index."""
        found: list[Held] = []
        while limit is None or len(found) < limit:
            rows = await self.range(start, prefix + LAST, limit=PAGE)
            found += [held_by(row) for row in rows if row.id.partition(":")[2] == place]
            if len(rows) < PAGE:
                break
            start = behind(rows[-1].id)
        return found[:limit]


def held_by(row: Document) -> Held:
    """What a record says, in short."""
    body = row.body
    return held(
        row.id,
        row.rev,
        body.get("relativePath"),
        body.get("size"),
        body.get("createdAt"),
        body.get("verifiedAt"),
    )


def behind(document_id: str) -> str:
    """The first id that there may be after this one."""
    return document_id + "\0"
