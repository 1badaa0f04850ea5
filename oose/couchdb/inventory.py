"""The inventory in CouchDB; see `oose.metadata.documents`."""

from collections.abc import Sequence

from oose.couchdb.client import CouchClient
from oose.couchdb.documents import CouchDocuments
from oose.couchdb.reading import LAST, PAGE
from oose.metadata.documents import Document, Held


class CouchInventory(CouchDocuments):
    """Meets `Inventory`."""

    def __init__(self, client: CouchClient) -> None:
        super().__init__(client, "inventory")

    async def held(
        self, place: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> Sequence[Held]:
        """See `Inventory.held`."""
        found: list[Held] = []
        start = f"{after}:{place}\0" if after else prefix
        while limit is None or len(found) < limit:
            rows = await self.range(start, prefix + LAST, limit=PAGE)
            found += [held(row) for row in rows if row.id.partition(":")[2] == place]
            if len(rows) < PAGE:
                break
            start = rows[-1].id + "\0"
        return found if limit is None else found[:limit]


def held(row: Document) -> Held:
    """What a record says, in short."""
    body = row.body
    return Held(
        row.id.partition(":")[0],
        row.rev,
        body["relativePath"],
        body["size"],
        body["createdAt"],
        body.get("verifiedAt"),
    )
