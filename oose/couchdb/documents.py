"""Documents in CouchDB; see `oose.metadata.documents`."""

from collections.abc import Mapping, Sequence
from typing import Any

from oose.couchdb.client import NO_DATABASE, CouchClient, escaped
from oose.couchdb.feed import Feed
from oose.couchdb.presence import RETRY_AFTER
from oose.couchdb.reading import Reader
from oose.couchdb.rows import as_document, understood
from oose.couchdb.writing import Writer
from oose.errors import Unavailable
from oose.metadata.documents import Changes, Database, Document, Stale, Write


class CouchDocuments:
    """One database of documents. Meets `Documents`; whatever fails is an `Unavailable`."""

    def __init__(self, client: CouchClient, name: Database) -> None:
        self._client = client
        self._path = database_path(client.settings.database, name)
        self._reader = Reader(client, self._path)
        self._writer = Writer(client, self._path, self._reader)
        self._feed = Feed(client, self._path)

    async def get(self, document_id: str) -> Document | None:
        """See `Documents.get`."""
        answer = await self._client.ask(
            "GET", f"{self._path}/{escaped(document_id)}", expected={404}, repeat=True
        )
        if answer.status == 404:
            if answer.reason not in {"missing", "deleted"}:
                raise Unavailable(NO_DATABASE, retry_after=RETRY_AFTER)
            return None
        with understood():
            return as_document(answer.value)

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Documents.get_many`."""
        return await self._reader.get_many(ids)

    async def range(self, start: str, end: str, *, limit: int | None = None) -> Sequence[Document]:
        """See `Documents.range`. In a cluster of CouchDBs it may miss what was written just now."""
        return await self._reader.range(start, end, limit)

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        """See `Documents.under`. In a cluster of CouchDBs it may miss what was written just now."""
        return await self._reader.under(prefixes)

    async def put(
        self, document_id: str, body: Mapping[str, Any], rev: str | None = None
    ) -> str | Stale:
        """See `Documents.put`."""
        return (await self._writer.put_many([Write(document_id, body, rev)]))[0]

    async def delete(self, document_id: str, rev: str) -> str | Stale:
        """See `Documents.delete`."""
        return (await self._writer.put_many([Write(document_id, None, rev)]))[0]

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        """See `Documents.put_many`."""
        return await self._writer.put_many(writes)

    async def changes(self, since: str | None, patience: float) -> Changes:
        """See `Documents.changes`."""
        return await self._feed.after(since, patience)


def database_path(prefix: str, name: Database) -> str:
    """Where a database is at its server."""
    return f"/{escaped(f'{prefix}-{name}')}"
