"""A prism's part in repair, all the time: it looks at its share of all content, and mends it.

Every so often all of the share is looked at, and soon after stores have come or gone or the share
has changed; what was written just now is looked at within seconds (`hint`). What is found is mended
most endangered first.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from oose.clones import Clones
from oose.contents import Content
from oose.errors import OoseError, Unavailable
from oose.following import Following
from oose.log import part
from oose.loop import Loop
from oose.metadata.documents import Document
from oose.metadata.records import clones_of
from oose.pace import Pace
from oose.repairing.crew import Crew
from oose.repairing.errand import Errand
from oose.repairing.fleet import Absences, Fleet
from oose.repairing.hints import Hints
from oose.repairing.need import Need, need_of
from oose.repairing.news import News
from oose.repairing.occasions import SETTLE, Occasions
from oose.repairing.repair import Repair
from oose.repairing.retries import Retries
from oose.repairing.shares import CARE, repairing, slices_of
from oose.repairing.summary import Work, of_all
from oose.repairing.survey import Seen, Survey, by_hash
from oose.repairing.tally import Tally
from oose.repairing.worklist import Task, Worklist
from oose.settings import Settings
from oose.together import together

TICK = 1.0  # seconds between two looks at hints and at the stores
AT_ONCE = 200  # hints that are looked at together
REST = 5.0  # seconds between two looks at fewer: each costs three requests
GATHER = 0.5  # seconds in which what is written is gathered, where it is followed here
_log = part("repair")


class Repairing:
    """The part of the prism `name`. `now` is ms since 1970.

    `ready` raises `Unavailable` while the database is known to be away. Where it `follows` what is
    written to the inventory nobody has to call `hint` and `missed`.
    """

    def __init__(
        self,
        name: str,
        clones: Clones,
        settings: Settings,
        *,
        follows: bool,
        now: Callable[[], int],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._clones = clones
        self._registry = clones.registry
        self._inventory = clones.inventory
        self._clock: IReactorTime = clones.clock
        self._settings = settings.clones
        self._now = now
        self._ready = ready
        self._absences = Absences(self._registry, self._settings.repair_after)
        self._fleet = Fleet()
        self._prisms: frozenset[str] = frozenset()
        self._slices: frozenset[str] = frozenset()
        self._occasions = Occasions(self._settings.repair_frequency)
        self._hints = Hints()
        self._retries = Retries()
        self._worklist = Worklist()
        self._work = Work()
        self._news = News()
        self._tally = Tally()
        self._counted_meanwhile: dict[str, Task] = {}  # of what is being mended
        self._looked_at: int | None = None
        self._changed_at: int | None = None  # what is not in the tally has changed then
        self._looking = 0  # hints that are being looked at
        self._hints_from = 0.0  # when they are looked at again
        self._survey = Survey(
            self._inventory,
            clones.contents,
            Pace(settings.inventory.requests, self._clock),
            self._clock,
            self._judge,
        )
        self._repair = Repair(
            clones,
            lambda: self._fleet,
            self._settings,
            Pace(self._settings.repair_rate, self._clock),
            now,
        )
        self._crew = Crew(
            self._worklist, self._mend, self._settings.repair_concurrency, self._may_go_on
        )
        self._surveying = Errand("Looking at all content")
        self._hinting = Errand("Looking at what was written")
        self._ticks = Loop("Repair", self._tick, TICK, self._clock)
        self._following: Following | None = None
        if follows:
            self._following = Following(
                "Following clones",
                self._inventory,
                self._clock,
                on_changes=self._changed,
                on_everything=self._missed,
                rest=GATHER,
            )

    def start(self) -> None:
        """Begin."""
        self._ticks.start()
        if self._following is not None:
            self._following.start()

    async def stop(self) -> None:
        """End, and cut short what is under way."""
        await self._ticks.stop()
        if self._following is not None:
            await self._following.stop()
        await together([self._surveying.stop(), self._hinting.stop(), self._crew.stop()])

    # What others say.

    def hint(self, ids: Sequence[str]) -> None:
        """Look at these soon: inventory documents that were written, by id, or hashes."""
        self._hints.add(ids, self._slices)

    def missed(self) -> None:
        """Something may have been written that nobody hinted at."""
        self._changed_at = self._now()
        self._occasions.soon(self._clock.seconds())

    async def _changed(self, ids: Sequence[str]) -> None:
        self.hint(ids)

    async def _missed(self) -> None:
        self.missed()

    # What is to be done now.

    async def _tick(self) -> None:
        now = self._clock.seconds()
        self._look_around(now)
        self._hints.add(self._retries.due(now), self._slices)
        if self._hints.is_cut or (self._worklist.is_cut and not self._worklist):
            self._hints.is_cut = self._worklist.is_cut = False
            self.missed()
        if self._may_go_on():
            if self._are_hints_due(now) and not self._hinting.is_under_way:
                self._hints_from = now + REST
                self._hinting.start(self._look_at_hints())
            if self._occasions.is_due(now) and not self._surveying.is_under_way:
                self._occasions.begun(now)
                self._surveying.start(self._look_at_all())
        self._go_on()

    def _are_hints_due(self, now: float) -> bool:
        waiting = len(self._hints)
        return waiting >= AT_ONCE or (waiting > 0 and now >= self._hints_from)

    def _look_around(self, now: float) -> None:
        self._fleet = self._absences.fleet(self._now())
        prisms = repairing(self._registry, self._name)
        if prisms != self._prisms:
            self._prisms = prisms
            self._slices = slices_of(self._name, prisms)
            _log.info(
                "{mine} of 256 slices of all content are looked after here, by {n} prisms in all",
                mine=len(self._slices),
                n=len(prisms),
            )
        if self._occasions.look((self._fleet, self._slices), now):
            self._retries.hurry(now + SETTLE)
            self._changed_at = self._now()

    def _may_go_on(self) -> bool:
        try:
            self._ready()
        except Unavailable:
            return False
        return True

    def _go_on(self) -> None:
        if self._worklist or self._crew.busy:
            self._work.begin(self._clock.seconds())
        else:
            self._work.end()
        self._crew.go_on()

    # Looking.

    def _judge(self, clones: Sequence[Seen], content: Content) -> Need:
        return need_of(clones, content, self._fleet, self._settings, self._now())

    async def _look_at_all(self) -> None:
        began, tally = self._now(), Tally()

        def found(content_hash: str, need: Need) -> None:
            tally.add(need)
            task = Task(content_hash, need, tally)
            self._found(task)
            if content_hash in self._crew.busy:
                self._counted_meanwhile[content_hash] = task

        try:
            await self._survey.run(self._slices, found)
        except Exception:
            self.missed()
            raise
        self._tally, self._looked_at = tally, began
        self._news.looked(tally)

    async def _look_at_hints(self) -> None:
        hints = self._hints.take(AT_ONCE, self._crew.busy)
        self._looking = len(hints)

        def found(content_hash: str, need: Need) -> None:
            if need.is_endangered and (need.kind is None or self._surveying.is_under_way):
                self._changed_at = self._now()  # what is counted here does not reach the tally
            has_failed = content_hash in self._retries  # and is counted
            if need.kind == "surplus" and not has_failed:
                return  # somebody may be moving it; if not, the next look at all finds it
            task = Task(content_hash, need, self._tally, hints[content_hash])
            if self._found(task) and not has_failed:
                task.tally.worsened(need)

        try:
            await self._survey.look(await self._rows(hints), found)
        except Exception:
            for content_hash, ids in hints.items():
                self._hints.add([content_hash, *ids], self._slices)
            raise
        finally:
            self._looking = 0
        self._go_on()

    async def _rows(self, hints: Mapping[str, Collection[str]]) -> Mapping[str, Sequence[Document]]:
        """The records of contents: a range may miss what was written just now."""
        keys = [each for ids in hints.values() for each in ids]
        under = await self._inventory.under([clones_of(each) for each in hints])
        known = await self._inventory.get_many(keys) if keys else {}
        rows = {row.id: row for rows in under.values() for row in rows if row.id not in keys}
        rows |= known
        return by_hash([rows[each] for each in sorted(rows)])

    def _found(self, task: Task) -> bool:
        """Note what is to be done, if anything; whether that is new."""
        if task.need.is_lost:
            self._news.lost(task.hash)
        if task.need.kind is None:
            self._retries.succeeded(task.hash)
            return False
        if task.hash in self._crew.busy:
            return False
        if self._retries.waits(task.hash, self._clock.seconds()):
            return False
        return self._worklist.put(task)

    # Mending.

    async def _mend(self, task: Task) -> None:
        """What is not done now is done again later."""
        self._counted_meanwhile.pop(task.hash, None)
        try:
            mended = await self._repair.mend(task.hash, task.known_ids)
        except CancelledError:
            return  # we stop
        except OoseError as error:
            self._news.failed(task.hash, error.message)
            self._retries.failed(task.hash, self._clock.seconds())
            return
        except Exception:
            _log.failure("{hash} could not be mended", Failure(), hash=task.hash)
            self._retries.failed(task.hash, self._clock.seconds())
            return
        now = self._clock.seconds()
        self._work.done(mended.added, mended.removed, mended.bytes, now)
        task.tally.became(task.need, mended.need)
        counted = self._counted_meanwhile.pop(task.hash, None)
        if counted is not None:
            counted.tally.became(counted.need, mended.need)
        if mended.need.kind is None:
            self._retries.succeeded(task.hash)
            self._news.mended(task.hash, mended)
        else:
            self._retries.failed(task.hash, now)

    # What people are told.

    def care(self) -> Mapping[str, Any]:
        """For this prism's document, so that the others know."""
        return {CARE: self.describe()}

    def describe(self) -> Mapping[str, Any]:
        """How it is with our share; bytes, seconds, ms since 1970."""
        waiting = len(self._worklist) + len(self._crew.busy)
        to_do = max(self._worklist.bytes, self._tally.to_do) if waiting else 0
        return {
            **self._tally.describe(),
            "tasks": waiting,
            "toDo": to_do,
            "rate": round(self._work.rate),
            "secondsLeft": self._work.seconds_left(to_do),
            "repaired": self._work.repaired,
            "repairedBytes": self._work.repaired_bytes,
            "removed": self._work.removed,
            "failed": len(self._retries),
            "lookedAt": self._looked_at,
            "hinted": self._is_hinted(),
            "unseen": len(self._hints) + self._looking,
        }

    def _is_hinted(self) -> bool:
        """Whether something has changed since all was looked at that the tally does not know of.

        What was written does not count: it is looked at within seconds, and where content comes
        all the time nobody would ever hear that all is well.
        """
        changed, looked = self._changed_at, self._looked_at
        return changed is not None and (looked is None or changed >= looked)

    def describe_all(self) -> Mapping[str, Any]:
        """The same of all prisms' shares together, for `/stats`."""
        return of_all(self._registry, self._name, self.describe())
