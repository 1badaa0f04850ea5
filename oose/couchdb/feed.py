"""What is written to one of CouchDB's databases, as it happens.

A position in the feed is opaque to who asks: here it is when the database began, and CouchDB's
own position in it. A database that was made anew is known by either.
"""

from typing import Any

from attrs import frozen

from oose.couchdb.client import Answer, CouchClient, escaped
from oose.couchdb.rows import DESIGN, text, understood
from oose.metadata.documents import Changes

GRACE = 0.5  # seconds more than a server that keeps its promise needs to say: nothing
MOST = 1000  # changes in one answer


@frozen
class Position:
    """Where in which life of a database."""

    life: str
    seq: str

    def __str__(self) -> str:
        return f"{self.life} {self.seq}"

    @classmethod
    def parse(cls, since: str) -> "Position | None":
        """None for what is no position."""
        life, blank, seq = since.partition(" ")
        return cls(life, seq) if blank and seq else None

    def leads_to(self, now: "Position") -> bool:
        """Whether the database may have come from here to `now`."""
        return self.life == now.life and _number(self.seq) <= _number(now.seq)


class Feed:
    """The changes of the database at `path`."""

    def __init__(self, client: CouchClient, path: str) -> None:
        self._client = client
        self._path = path
        self._sure_of: str | None = None  # the life that the database is in, when that is certain

    async def after(self, since: str | None, patience: float) -> Changes:
        """See `Documents.changes`."""
        if since is None:
            now = await self._now()
            self._sure_of = now.life
            return Changes(str(now), ())
        position = Position.parse(since)
        sure_of, self._sure_of = self._sure_of, None
        if position is None or position.life != sure_of:
            now = await self._now()
            if position is None or not position.leads_to(now):
                self._sure_of = now.life
                return Changes(str(now), (), is_whole=False)
        changes = await self._listen(position, patience)
        self._sure_of = changes.since.partition(" ")[0]
        return changes

    async def _listen(self, position: Position, patience: float) -> Changes:
        values = (
            f"?feed=longpoll&since={escaped(position.seq)}&limit={MOST}"
            f"&timeout={int(patience * 1000)}"
        )
        answer = await self._client.listen(f"{self._path}/_changes{values}", patience + GRACE)
        ids, after = ([], position) if answer is None else _told(answer, position)
        if not ids or not position.leads_to(after):  # nothing was written, or it is not there
            now = await self._now()
            if not position.leads_to(now):
                return Changes(str(now), (), is_whole=False)
        return Changes(str(after), [each for each in ids if not each.startswith(DESIGN)])

    async def _now(self) -> Position:
        answer = await self._client.ask("GET", self._path, repeat=True)
        with understood():
            life = str(answer.value.get("instance_start_time", 0))
            return Position(life, _seq(answer.value["update_seq"]))


def _told(answer: Answer, position: Position) -> tuple[list[str], Position]:
    """The ids of an answer, each once, and where they lead to from `position`."""
    with understood():
        ids = list(dict.fromkeys(text(row["id"]) for row in answer.value["results"]))
        return ids, Position(position.life, _seq(answer.value["last_seq"]))


def _seq(value: Any) -> str:
    if not isinstance(value, str | int):
        raise TypeError("no position")
    return str(value)


def _number(seq: str) -> int:
    """How many changes lead to a position, which CouchDB writes first."""
    number = seq.partition("-")[0]
    return int(number) if number.isdecimal() else 0
