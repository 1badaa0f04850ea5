"""Judges the clones of one store by what their bytes hash to, and acts on those that are not whole.

Nothing is condemned at first sight: what does not hash to what it should is read again, from the
disk itself.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from oose.errors import NotFound
from oose.existence import Existence
from oose.keepers import Status
from oose.log import part
from oose.metadata.documents import Document, Documents, Stale, Write
from oose.metadata.records import record_id
from oose.shield import shield
from oose.verifying.condemning import Condemning
from oose.verifying.faults import CannotTell, Dying, of_one_file
from oose.verifying.looking import Looking, is_older
from oose.verifying.manner import AT_ONCE, Manner
from oose.verifying.tally import Tally
from oose.volume import Volume

TRIES = 3  # looks at a clone that others change meanwhile
IN_A_ROW = 5  # files that cannot be read, after which it is the disk
MISSING_IN_A_ROW = 20  # files that are not there, after which it is the folder
AT_FULL_SPEED = Manner()
_log = part("verify")

Outcome = Status | CannotTell


class Verifier:
    """Verifies clones of the store at `place`, and writes down what it finds; `now` is ms.

    `tally` counts all of it since the start.
    """

    def __init__(
        self,
        place: str,
        volume: Volume,
        inventory: Documents,
        existence: Existence,
        now: Callable[[], int],
    ) -> None:
        self.place = place
        self.tally = Tally()
        self._volume = volume
        self._inventory = inventory
        self._condemning = Condemning(place, volume, inventory, existence)
        self._now = now
        self._in_a_row = 0
        self._missing_in_a_row = 0

    # On demand.

    async def verify(self, content_hash: str) -> Status:
        """Read one file again: see `Keeper.verify`. A file that has no record gets none.

        `CannotTell` where it cannot be judged.
        """
        outcome = (await self.verify_each([content_hash]))[content_hash]
        if isinstance(outcome, CannotTell):
            raise outcome
        return outcome

    async def verify_each(self, hashes: Sequence[str]) -> Mapping[str, Outcome]:
        """The same of several; each has an outcome."""
        found: dict[str, Outcome] = {}
        for start in range(0, len(hashes), AT_ONCE):
            some = hashes[start : start + AT_ONCE]
            outcomes = await self.settle(await self.look(some))
            for each in some:
                outcome = outcomes.get(each) or await self._doubt(each, AT_FULL_SPEED)
                assert outcome is not None  # nothing stops it
                found[each] = outcome
        return found

    # In bulk: two requests for all of them, and more only for what is not whole.

    async def look(
        self, hashes: Sequence[str], manner: Manner = AT_FULL_SPEED, *, before: int | None = None
    ) -> Sequence[Looking]:
        """Read the clones that have records, those that could be read to their end.

        With `before` (ms) only those that were not verified since.
        """
        documents = await self._inventory.get_many([self._id(each) for each in hashes])
        lookings = [Looking.first(each) for each in documents.values()]
        if before is not None:
            lookings = [each for each in lookings if is_older(each.recorded, before)]
        await self._read(lookings, manner)
        return [each for each in lookings if each.reading.over]

    async def settle(
        self, lookings: Sequence[Looking], manner: Manner = AT_FULL_SPEED
    ) -> Mapping[str, Outcome]:
        """Write down what was found, by hash; doubts are looked into now, as long as it is going.

        What is wrong with a single file is an outcome; an error of the disk or of the database is
        raised, and leaves the rest as it was.
        """
        good = {each.hash for each in lookings if each.is_good}
        await shield(self._note([each for each in lookings if each.hash in good]))
        outcomes: dict[str, Outcome] = {}
        for each in lookings:
            if each.hash in good:
                outcomes[each.hash] = self._whole()
            elif manner.going():
                outcome = await self._doubt(each.hash, manner)
                if outcome is not None:
                    outcomes[each.hash] = outcome
        return outcomes

    async def _doubt(self, content_hash: str, manner: Manner) -> Outcome | None:
        try:
            return await self._judge(content_hash, manner)
        except CannotTell as error:
            self.tally.files["failed"] += 1
            _log.warn(
                "{hash} on {place} cannot be verified: {why}",
                hash=content_hash,
                place=self.place,
                why=error,
            )
            return error

    def _id(self, content_hash: str) -> str:
        return record_id(content_hash, *self.place.split(":"))

    async def _read(self, lookings: Sequence[Looking], manner: Manner) -> None:
        def count(size: int) -> None:
            self.tally.read(size)
            manner.tell(size)

        counting = evolve(manner, tell=count)
        await counting.read(self._volume, [each.reading for each in lookings])

    def _whole(self) -> Status:
        self._in_a_row = self._missing_in_a_row = 0
        self.tally.files["ok"] += 1
        return "ok"

    # One of which something is wrong.

    async def _judge(self, content_hash: str, manner: Manner) -> Status | None:
        """How a clone is, after a closer look; None where it was stopped before."""
        volume = self._volume
        for _ in range(TRIES):
            document = await self._inventory.get(self._id(content_hash))
            found = await of_one_file(volume, volume.find(content_hash))
            if found is None:
                if await self._lose(content_hash, document):
                    return "missing"
                continue
            looking = Looking.closer(content_hash, document, found)
            await self._read([looking], manner)
            if not looking.reading.over:
                return None
            status = await shield(self._conclude(looking))
            if status is not None:
                return status
        raise CannotTell("it is being changed all the time")

    async def _lose(self, content_hash: str, document: Document | None) -> bool:
        """Forget a file that is not there; whether its record was still what it was."""
        await self._volume.pool.run(self._volume.disk.check)  # it may have gone before the look
        if document is not None:
            self._count_missing()
        rev = document.rev if document is not None else None
        if not await self._condemning.forget(content_hash, rev):
            return False
        if document is not None:
            self.tally.files["missing"] += 1
            _log.error("{hash} on {place} is missing", hash=content_hash, place=self.place)
        return True

    async def _conclude(self, looking: Looking) -> Status | None:
        """What a closer look comes to; None where something has changed meanwhile."""
        reading = looking.reading
        if looking.is_good:
            if looking.document is not None:
                await self._note([looking])
            return self._whole()
        if isinstance(reading.error, NotFound):
            return None
        if self._volume.passage.is_coming(looking.hash):
            raise CannotTell("it is being uploaded just now")
        if reading.error is not None:
            await self._volume.pool.run(self._volume.disk.check)
            self._count_unread()
            if reading.unreadable is None:
                raise CannotTell(reading.error.message)
        if not await self._condemning.take(looking, self._now()):
            return None
        self.tally.files["corrupt"] += 1
        return "corrupt"

    def _count_unread(self) -> None:
        self._in_a_row += 1
        if self._in_a_row > IN_A_ROW:
            raise Dying(
                f"{self._in_a_row} files in a row cannot be read on {self.place}:"
                " its disk seems to be dying. Nothing more is moved on it"
            )

    def _count_missing(self) -> None:
        self._missing_in_a_row += 1
        if self._missing_in_a_row > MISSING_IN_A_ROW:
            raise Dying(
                f"{self._missing_in_a_row} files in a row are missing on {self.place}: is"
                f" {self._volume.disk.content} the right folder? No more records are removed;"
                " a sweep tells what is there"
            )

    # Writing down.

    async def _note(self, good: Sequence[Looking]) -> None:
        now = self._now()
        verified = {self._id(each.hash): each.verified(now) for each in good}
        writes = [Write(key, verified[key], e.rev) for key, e in zip(verified, good, strict=True)]
        while writes:
            answers = await self._inventory.put_many(writes)
            stale = [answer.id for answer in answers if isinstance(answer, Stale)]
            found = await self._inventory.get_many(stale) if stale else {}
            writes = []
            for key, each in found.items():  # those that are gone stay so
                ours = verified[key]["sha256"]
                if is_older(each.body, now) and each.body.get("sha256") in {None, ours}:
                    body = {**each.body, "verifiedAt": now, "sha256": ours}
                    writes.append(Write(key, body, each.rev))
