"""Reading documents from one of CouchDB's databases.

Ranges are read in pages, and many documents in a few requests: each has to be answered in time.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from oose.couchdb.client import CouchClient, query
from oose.couchdb.rows import DESIGN, documents_got, documents_of_rows, understood
from oose.metadata.documents import Document
from oose.together import together

T = TypeVar("T")
AT_ONCE = 1000  # documents in one request
PAGE = 1000  # documents in one answer
QUERIES = 125  # ranges in one request
SIDE_BY_SIDE = 4  # requests
FEW = 8  # ranges for which nothing special is done
WIDEST = 20_000  # ids looked through in one request where the server knows no queries
LAST = "\U0010ffff"  # sorts after every letter
Begun = dict[str, tuple[list[Document], str | None]]
"""By prefix its first documents, and from where to go on; None where these are all."""


class Reader:
    """Reads the database at `path`."""

    def __init__(self, client: CouchClient, path: str) -> None:
        self._client = client
        self._path = path

    async def get_many(
        self, ids: Sequence[str], until: float | None = None
    ) -> Mapping[str, Document]:
        """See `Documents.get_many`. `_bulk_get` sees every write that was made before."""
        found: dict[str, Document] = {}
        for some in slices(list(dict.fromkeys(ids)), AT_ONCE):
            answer = await self._client.ask(
                "POST",
                f"{self._path}/_bulk_get",
                {"docs": [{"id": each} for each in some]},
                repeat=True,
                until=until,
            )
            with understood():
                found.update(documents_got(answer.value, some))
        return found

    async def range(self, start: str, end: str, limit: int | None = None) -> list[Document]:
        """See `Documents.range`."""
        found: list[Document] = []
        while start.encode() <= end.encode() and (limit is None or len(found) < limit):
            most = PAGE if limit is None else min(PAGE, limit - len(found))
            values = query(startkey=start, endkey=end, include_docs=True, limit=most)
            answer = await self._client.ask("GET", f"{self._path}/_all_docs{values}", repeat=True)
            with understood():
                found += documents_of_rows(answer.value)
                rows = answer.value["rows"]
                if len(rows) < most:
                    break
                start = rows[-1]["id"] + "\0"
        return found

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        """See `Documents.under`: a thousand prefixes are a few requests."""
        unique = list(dict.fromkeys(prefixes))
        if len(unique) > 1 and self._client.knows_queries is not False:
            found = await self._by_queries(unique)
            if found is not None:
                return found
        if len(unique) > FEW:
            return await self._by_ids(unique)
        return await self._one_by_one(unique)

    async def _one_by_one(self, prefixes: Sequence[str]) -> dict[str, list[Document]]:
        found: dict[str, list[Document]] = {}
        for some in slices(prefixes, FEW):
            each = await together(self.range(prefix, prefix + LAST) for prefix in some)
            found.update(zip(some, each, strict=True))
        return found

    # CouchDB itself: many ranges are one request.

    async def _by_queries(self, prefixes: Sequence[str]) -> dict[str, list[Document]] | None:
        """None where the server does not know `queries`."""
        found: Begun = {}
        for some in slices(list(slices(prefixes, QUERIES)), SIDE_BY_SIDE):
            for answer in await self._side_by_side(some):
                if answer is None:
                    self._client.knows_queries = False
                    return None
                found.update(answer)
        self._client.knows_queries = True
        return {prefix: await self._whole(prefix, *begun) for prefix, begun in found.items()}

    async def _side_by_side(self, some: Sequence[Sequence[str]]) -> list[Begun | None]:
        """The answers to several; the first of all goes alone, to see whether they are known."""
        if self._client.knows_queries:
            return await together(map(self._queries, some))
        first = await self._queries(some[0])
        others = [] if first is None else await together(map(self._queries, some[1:]))
        return [first, *others]

    async def _queries(self, prefixes: Sequence[str]) -> Begun | None:
        asked = [
            {"start_key": each, "end_key": each + LAST, "include_docs": True, "limit": PAGE}
            for each in prefixes
        ]
        answer = await self._client.ask(
            "POST",
            f"{self._path}/_all_docs/queries",
            {"queries": asked},
            expected={400, 405},
            repeat=True,
        )
        if answer.status >= 400:
            return None
        with understood():
            each = [
                (documents_of_rows(result), next_of_rows(result))
                for result in answer.value["results"]
            ]
            return dict(zip(prefixes, each, strict=True))

    async def _whole(self, prefix: str, found: list[Document], start: str | None) -> list[Document]:
        """With what is beyond the first page."""
        return found if start is None else found + await self.range(start, prefix + LAST)

    # The compatible server for tests and trials, which is no place for millions of documents.

    async def _by_ids(self, prefixes: Sequence[str]) -> dict[str, list[Document]]:
        """Look through the ids from the first to the last, as far as one request gets."""
        in_order = sorted(prefixes, key=str.encode)
        end = in_order[-1] + LAST
        values = query(startkey=in_order[0], endkey=end, limit=WIDEST)
        answer = await self._client.ask("GET", f"{self._path}/_all_docs{values}", repeat=True)
        with understood():
            names = [row["id"] for row in answer.value["rows"]]
            known_to = names[-1].encode() if len(names) == WIDEST else end.encode()
            ids = [each for each in names if not each.startswith(DESIGN)]
            keys = [each.encode() for each in ids]
        seen = [each for each in in_order if (each + LAST).encode() <= known_to]
        own = {
            each: ids[bisect_left(keys, each.encode()) : bisect_right(keys, (each + LAST).encode())]
            for each in seen
        }
        bodies = await self.get_many([each for some in own.values() for each in some])
        found = {
            prefix: [bodies[each] for each in some if each in bodies]
            for prefix, some in own.items()
        }
        found.update(await self._one_by_one([each for each in in_order if each not in own]))
        return {prefix: found[prefix] for prefix in prefixes}


def slices(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Pieces of at most `size` values."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def next_of_rows(value: Mapping[str, Any]) -> str | None:
    """From where to go on after a page of rows; None where it was the last."""
    rows = value["rows"]
    return rows[-1]["id"] + "\0" if len(rows) == PAGE else None
