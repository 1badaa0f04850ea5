"""A 2.0.x database in a CouchDB."""

from oose.couchdb import CouchClient
from oose.couchdb.client import Answer, escaped, query
from oose.couchdb.rows import documents_of_rows, understood
from oose.errors import NotAllowed, NotFound
from oose.moving.old_source import PAGE, OldRow, Page

LAST = "\U0010ffff"  # sorts after every letter
REFUSALS = {401, 403}


class OldDatabase:
    """Meets `OldSource`: the documents of `database` whose ids begin with `prefix`.

    Without a username in its settings the client asks as nobody.
    """

    def __init__(self, client: CouchClient, database: str, prefix: str) -> None:
        self._client = client
        self._path = f"/{escaped(database)}"
        self._database = database
        self._prefix = prefix

    @property
    def name(self) -> str:
        """See `OldSource.name`."""
        return f"{self._client.settings.url}/{self._database} {self._prefix}:"

    async def size(self) -> int:
        """See `OldSource.size`: documents, others among them."""
        answer = await self._ask(self._path)
        with understood():
            return int(answer.value["doc_count"])

    async def after(self, position: str | None, passed: int) -> Page | None:
        """See `OldSource.after`: a position is the last id."""
        beginning = f"{self._prefix}:"
        values = query(
            startkey=beginning if position is None else position + "\0",
            endkey=beginning + LAST,
            include_docs=True,
            limit=PAGE,
        )
        answer = await self._ask(f"{self._path}/_all_docs{values}")
        with understood():
            found = documents_of_rows(answer.value)
            if not answer.value["rows"]:
                return None
            last = str(answer.value["rows"][-1]["id"])
            rows = [OldRow(each.id, each.body) for each in found]
            return Page(rows, last, passed + len(answer.value["rows"]))

    async def _ask(self, path: str) -> Answer:
        answer = await self._client.ask(
            "GET",
            path,
            expected={404, *REFUSALS},
            repeat=True,
            is_anonymous=not self._client.settings.username,
        )
        where = self._client.settings.url
        if answer.status in REFUSALS:
            raise NotAllowed(f"{where} does not let this account read {self._database!r}")
        if answer.status == 404:
            raise NotFound(f"There is no database {self._database!r} at {where}")
        return answer
