"""Where content is: one lookup for many askers, its answer kept for a while.

What is kept is the inventory's records; which stores count is asked of the registry for each
answer, so a peer that goes down leaves `map` at once; so does one that this process finds dead
before the cluster does.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.errors import Unavailable
from oose.log import part
from oose.metadata.documents import Documents
from oose.metadata.records import InventoryRecord, clones_of
from oose.registry import Registry
from oose.shield import shield

ABSENT_LIFE = 1.0  # seconds: what does not exist may exist the next moment
ENTRIES = 100_000
OVER = float("-inf")  # until when an entry is good that was forgotten
_log = part("existence")

Records = Sequence[InventoryRecord]
Outcome = Records | Exception
Waiting = list[Deferred[Outcome]]


@frozen
class _Entry:
    records: Records
    until: float


def always(place: str) -> bool:
    """Of which store this process has nothing bad to say."""
    return True


def untold(place: str) -> None:
    """Whom to tell that a store is in use: nobody."""


class Existence:
    """Answers where content is, from the inventory, remembered for `life` seconds.

    `serves` is what this process itself knows of a store that the registry says is available;
    `used` is told of each store that an answer names.
    """

    def __init__(
        self,
        inventory: Documents,
        registry: Registry,
        clock: IReactorTime,
        life: float,
        *,
        serves: Callable[[str], bool] = always,
        used: Callable[[str], None] = untold,
    ) -> None:
        self._inventory = inventory
        self._registry = registry
        self._clock = clock
        self._life = life
        self._serves = serves
        self._used = used
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._asking: dict[str, Waiting] = {}

    async def records(self, content_hash: str, *, fresh: bool = False) -> Records:
        """All clones' records, of stores that count and of others; `fresh` looks past the cache."""
        return (await self.records_of([content_hash], fresh=fresh))[content_hash]

    async def last_known(self, content_hash: str) -> Records:
        """The same, for who only reads: while the inventory is away what it said last."""
        try:
            return await self.records(content_hash)
        except Unavailable:
            entry = self._entries.get(content_hash)
            if entry is None or not entry.records:
                raise
            return entry.records

    async def records_of(
        self, hashes: Sequence[str], *, fresh: bool = False
    ) -> Mapping[str, Records]:
        """All clones' records of each hash, with one request for those that are not known."""
        now = self._clock.seconds()
        found: dict[str, Records] = {}
        waiting: dict[str, Deferred[Outcome]] = {}
        unknown: list[str] = []
        for content_hash in hashes:
            entry = None if fresh else self._entries.get(content_hash)
            if entry is not None and entry.until > now:
                found[content_hash] = entry.records
            elif not fresh and content_hash in self._asking:
                waiting[content_hash] = self._join(content_hash)
            else:
                unknown.append(content_hash)
        if unknown:
            found.update(await shield(self._look_up(unknown)))  # others may wait for it too
        for content_hash, answer in waiting.items():
            outcome = await answer
            if isinstance(outcome, Exception):
                raise outcome
            found[content_hash] = outcome
        return found

    async def answer(self, asked: str | Sequence[str], *, fresh: bool = False) -> Mapping[str, Any]:
        """The existence record of one hash, or those of many by hash."""
        hashes = [asked] if isinstance(asked, str) else asked
        found = await self.records_of(hashes, fresh=fresh)
        answers = {each: self.describe(each, found[each]) for each in hashes}
        for place in {place for answer in answers.values() for place in answer["map"]}:
            self._used(place)
        return answers[asked] if isinstance(asked, str) else answers

    async def insist(
        self, asked: str | Sequence[str], tries: int, seconds: float
    ) -> Mapping[str, Any]:
        """Ask past the cache until all of it exists, at most `tries` times in `seconds`.

        `Unavailable` when the inventory does not answer within them.
        """
        end = self._clock.seconds() + seconds
        pause = seconds / tries
        while True:
            asking = Deferred.fromCoroutine(self.answer(asked, fresh=True))
            answer = await asking.addTimeout(end - self._clock.seconds(), self._clock, no_answer)
            tries -= 1
            records = [answer] if isinstance(asked, str) else answer.values()
            left = end - self._clock.seconds() - pause
            if tries == 0 or left <= 0 or all(record["exists"] for record in records):
                return answer
            await deferLater(self._clock, pause)

    def forget(self, content_hash: str) -> None:
        """The content's clones have changed: look again; a lookup under way is not kept.

        What was known stays for `last_known`: a viewer who is sent to a clone that is gone is told.
        """
        entry = self._entries.get(content_hash)
        if entry is not None:
            self._entries[content_hash] = _Entry(entry.records, OVER)
        self._asking.pop(content_hash, None)

    def forget_clones(self, ids: Sequence[str]) -> None:
        """Forget the content of inventory documents, by their ids."""
        for document_id in ids:
            self.forget(document_id.partition(":")[0])

    def doubt_all(self) -> None:
        """Any of it may have changed: look again at each."""
        for content_hash in list(self._entries):
            self.forget(content_hash)
        self._asking.clear()

    def forget_all(self) -> int:
        """Empty the cache; how many entries it had."""
        count = len(self.known())
        self._entries.clear()
        self._asking.clear()
        return count

    def known(self) -> Mapping[str, int]:
        """How many clones of which content are in the cache."""
        entries = self._entries.items()
        return {key: len(entry.records) for key, entry in entries if entry.until > OVER}

    def counting(self, records: Records) -> Records:
        """Those of stores that are available now, and whose prism is, as far as is known here."""
        return [record for record in self.candidates(records) if self._serves(record.place)]

    def candidates(self, records: Records) -> Records:
        """Those of stores that the cluster says are available, for who can try another."""
        return [record for record in records if self._registry.serving(record.place) is not None]

    def describe(self, content_hash: str, records: Records) -> Mapping[str, Any]:
        """The existence record of http-api.md."""
        clones = self.counting(records)
        known = clones or records
        about = (
            {
                "mimeType": known[0].mime_type,
                "mimeExtension": known[0].mime_extension,
                "relativePath": known[0].relative_path,
                "size": known[0].size,
            }
            if known
            else {"mimeType": "", "mimeExtension": "", "relativePath": "", "size": 0}
        )
        return {
            "hash": content_hash,
            **about,
            "exists": bool(clones),
            "count": len(clones),
            "map": [record.place for record in clones],
        }

    # Looking up.

    def _join(self, content_hash: str) -> Deferred[Outcome]:
        mine: Deferred[Outcome] = Deferred()
        self._asking[content_hash].append(mine)
        return mine

    async def _look_up(self, hashes: Sequence[str]) -> Mapping[str, Records]:
        asking: dict[str, Waiting] = {content_hash: [] for content_hash in hashes}
        self._asking.update(asking)
        try:
            rows = await self._inventory.under([clones_of(content_hash) for content_hash in hashes])
        except Exception as error:
            for content_hash, waiting in asking.items():
                self._answered(content_hash, waiting)
                tell(waiting, error)
            raise
        found: dict[str, Records] = {}
        for content_hash, waiting in asking.items():
            records = [InventoryRecord.from_document(d) for d in rows[clones_of(content_hash)]]
            found[content_hash] = records
            if self._answered(content_hash, waiting):
                self._keep(content_hash, records)
            tell(waiting, records)
        _log.debug(
            "Looked up {what}: {n} clones listed",
            what=hashes[0] if len(hashes) == 1 else f"{len(hashes)} hashes",
            n=sum(map(len, found.values())),
        )
        return found

    def _answered(self, content_hash: str, waiting: Waiting) -> bool:
        """Whether the answer is still wanted: nobody has forgotten it meanwhile."""
        if self._asking.get(content_hash) is not waiting:
            return False
        del self._asking[content_hash]
        return True

    def _keep(self, content_hash: str, records: Records) -> None:
        life = self._life if records else min(ABSENT_LIFE, self._life)
        self._entries[content_hash] = _Entry(records, self._clock.seconds() + life)
        self._entries.move_to_end(content_hash)
        while len(self._entries) > ENTRIES:
            self._entries.popitem(last=False)


def no_answer(result: object, seconds: float) -> NoReturn:
    """What an inventory that says nothing is taken for."""
    raise Unavailable("The database does not answer", retry_after=5)


def tell(waiting: Waiting, outcome: Outcome) -> None:
    """Give `outcome` to everybody who waits for it and has not left."""
    for each in waiting:
        if not each.called:
            each.callback(outcome)
