"""The index of what each store has: a view, which CouchDB keeps in step with the inventory.

It is asked for as it is now, so it never lags behind what its server knows; what was written since
the last question is added to it first. That takes long where there is much of it, and at first
everything is. CouchDB goes on with it whether somebody waits or not; so whoever asks waits a while,
and then does without it for a minute.

An answer from an index as it happens to be (`update=lazy`) would come at once, but one that is
being built says of a store that it has little, and nothing tells that apart from the truth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from oose.couchdb.client import Answer, CouchClient, query
from oose.couchdb.reading import LAST
from oose.couchdb.rows import text, understood
from oose.errors import Unavailable
from oose.log import part
from oose.metadata.documents import Held, held

DOCUMENT = "_design/oose"
HELD = """\
function (doc) {
  var colon = doc._id.indexOf(":");
  if (colon > 0) {
    emit(
      [doc._id.slice(colon + 1), doc._id],
      [doc._rev, doc.relativePath, doc.size, doc.createdAt, doc.verifiedAt]
    );
  }
}
"""
DESIGN: Mapping[str, Any] = {
    "language": "javascript",
    "views": {"held": {"map": HELD, "options": {"collation": "raw"}}},  # raw: the order of bytes
}
PATIENCE = 30.0  # seconds for what was written since the last question
SHORT_PATIENCE = 5.0  # the same where that was too little the last time
AGAIN = 60.0  # seconds until it is asked again, where it did not answer
NOT_NOW = frozenset({404, 500, 503, 504})  # it is not there, or could not be brought up to date
_log = part("couchdb")


class Index:
    """Asks the view in the database at `path`.

    `is_used` None: where the server is CouchDB itself. The compatible server for tests and trials
    takes far longer to build it than to read all records, and does nothing else meanwhile.
    """

    def __init__(self, client: CouchClient, path: str, *, is_used: bool | None = None) -> None:
        self._client = client
        self._is_used = is_used
        self._where = f"{path}/{DOCUMENT}/_view/held"
        self._patience = PATIENCE
        self._again_at = 0.0
        self._is_told = False

    async def page(self, place: str, start: str, prefix: str, most: int) -> Sequence[Held] | None:
        """Up to `most` records of a store, from the id `start` on; None where it does not say."""
        if self._is_used is None:
            self._is_used = "couchdb" in (await self._client.ask("GET", "/", repeat=True)).value
        if not self._is_used or self._client.clock.seconds() < self._again_at:
            return None
        values = query(startkey=[place, start], endkey=[place, prefix + LAST], limit=most)
        try:
            answer = await self._client.wait(self._where + values, self._patience, NOT_NOW)
        except Unavailable as error:  # who does without it will see whether all of CouchDB is away
            self._do_without(error.message)
            return None
        return self._taken(answer)

    def _taken(self, answer: Answer | None) -> Sequence[Held] | None:
        if answer is None:
            self._patience = SHORT_PATIENCE
            self._do_without("it is still being brought up to date")
            return None
        if answer.status >= 400:
            self._do_without(f"it is not there ({answer.reason})")
            return None
        self._patience, self._is_told = PATIENCE, False
        with understood():
            return [_held(*row["key"], *row["value"]) for row in answer.value["rows"]]

    def _do_without(self, why: str) -> None:
        self._again_at = self._client.clock.seconds() + AGAIN
        if not self._is_told:
            _log.info("What stores have is found without CouchDB's index for now: {why}", why=why)
        self._is_told = True


def _held(place: str, document_id: object, rev: object, *fields: object) -> Held:
    path, size, created, verified = fields
    return held(text(document_id), text(rev), path, size, created, verified)
