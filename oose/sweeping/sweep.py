"""One sweep of one disk: slice by slice its files are listed and compared with its records.

What is not as it should be waits until there is a batch of it, or until it is time to keep how far
the sweep is. It may be cut short at any moment: all before what was kept is done, and what was done
behind that is done again, to no harm.
"""

from collections.abc import Awaitable, Callable, Sequence

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime

from oose.contents import Content
from oose.incoming import explained
from oose.metadata.documents import Held
from oose.pace import Pace
from oose.sweeping.ahead import PAGE, Ahead
from oose.sweeping.comparing import Comparing, Step
from oose.sweeping.layout import REST, SLICES, Seen
from oose.sweeping.listing import Lister
from oose.sweeping.mending import mend
from oose.sweeping.nearly_empty import Doubt
from oose.sweeping.recording import record
from oose.sweeping.report import PARTS, Report
from oose.sweeping.settling import bury, renew, verify
from oose.sweeping.site import BATCH, Site

KEEP_EVERY = 5.0  # seconds
Keep = Callable[[Report], Awaitable[None]]


@define
class Waiting:
    """What is still to be seen to; all but `strays` by hash."""

    strays: list[Seen] = field(factory=list)
    missing: list[str] = field(factory=list)
    resized: list[str] = field(factory=list)
    buried: list[str] = field(factory=list)
    renewed: list[Seen] = field(factory=list)

    def __len__(self) -> int:
        files = len(self.strays) + len(self.renewed)
        return files + len(self.missing) + len(self.resized) + len(self.buried)


class Sweep:
    """Goes on from where `report` is, at the pace `files`; `keep` is told how far it is."""

    def __init__(
        self,
        site: Site,
        lister: Lister,
        report: Report,
        keep: Keep,
        files: Pace,
        clock: IReactorTime,
    ) -> None:
        self._site = site
        self._lister = lister
        self._report = report
        self._keep = keep
        self._files = files
        self._clock = clock
        self._waiting = Waiting()
        self._doubt = Doubt()
        self._part = report.next
        self._counted_to = self._kept_at = clock.seconds()
        report.driver = lister.driver
        first = SLICES[min(report.next, len(SLICES) - 1)]
        self._records = Ahead(self._held, lambda each: each.hash, first)
        self._notes = Ahead(self._noted, lambda each: each.hash, first)

    def progress(self) -> Report:
        """How far it is now."""
        self._count_seconds()
        return evolve(self._report, next=self._part, counts=self._site.counts.copy())

    def hurry(self) -> None:
        """Keep to no pace any more."""
        self._files = Pace(None, self._clock)
        self._site.requests = Pace(None, self._clock)

    def believe(self) -> None:
        """Remove the records of what is gone also where that is nearly all."""
        self._doubt.believe = True

    async def run(self) -> None:
        """Sweep to the end; `OoseError` where disk or database are away."""
        try:
            await self._keep_at(self._part)  # from here on it is not over before its end
            for number in range(self._part, PARTS):
                self._part = number
                await self._sweep(SLICES[number] if number < len(SLICES) else REST)
                is_time = self._clock.seconds() - self._kept_at >= KEEP_EVERY
                if is_time or len(self._waiting) >= BATCH:
                    await self._settle()
                    await self._keep_at(number + 1)
            await self._settle()
            self._report.finished = self._site.now()
            await self._keep_at(PARTS)
        finally:
            self._lister.interrupt()
            await self._site.run(self._lister.close)

    # One slice.

    async def _sweep(self, part: str) -> None:
        held: Sequence[Held] = ()
        removed: Sequence[Content] = ()
        if part != REST:
            held = await self._records.of(part)
            notes = await self._notes.of(part)
            removed = [each for each in notes if each.removed is not None]
        comparing = Comparing(self._lister, part, held, removed)
        problem = None
        while True:
            step = await self._site.run(self._take_step, comparing)
            self._take(step)
            problem = problem or step.page.problem
            while len(self._waiting.strays) >= BATCH:
                await self._record()
            await self._files.take(len(step.page))
            if step.page.is_last:
                break
        if problem is not None:  # files may be there that were not seen
            self._site.counts.note("unreadable", problem)
        else:
            self._waiting.missing += comparing.left()

    def _take_step(self, comparing: Comparing) -> Step:
        with explained(self._site.disk.name):
            return comparing.step()

    def _take(self, step: Step) -> None:
        counts, waiting = self._site.counts, self._waiting
        counts.files += len(step.page.files)
        counts.bytes += step.bytes
        counts.links += step.page.links
        for path in step.page.strangers:
            counts.note("foreign", path)
        waiting.strays += step.strays
        waiting.resized += step.resized
        waiting.buried += step.buried
        waiting.renewed += step.renewed

    # What is not as it should be.

    async def _record(self) -> None:
        waiting = self._waiting
        some, waiting.strays = waiting.strays[:BATCH], waiting.strays[BATCH:]
        waiting.missing += await record(self._site, some)

    async def _settle(self) -> None:
        while self._waiting.strays:
            await self._record()
        waiting, self._waiting = self._waiting, Waiting()
        missing = list(dict.fromkeys(waiting.missing))
        await self._doubt.allow(self._site, len(missing))
        resized = await mend(self._site, missing)
        await renew(self._site, waiting.renewed)
        await bury(self._site, waiting.buried)
        await verify(self._site, [*waiting.resized, *resized])

    async def _keep_at(self, number: int) -> None:
        """All before the slice with this number is done."""
        self._part = self._report.next = number
        self._kept_at = self._clock.seconds()
        await self._keep(self.progress())

    def _count_seconds(self) -> None:
        now = self._clock.seconds()
        self._report.seconds += now - self._counted_to
        self._counted_to = now

    # From the database.

    async def _held(self, after: str) -> Sequence[Held]:
        await self._site.requests.take(1)
        return await self._site.inventory.held(self._site.store.place, after=after, limit=PAGE)

    async def _noted(self, after: str) -> Sequence[Content]:
        await self._site.requests.take(1)
        return await self._site.contents.page(after=after, limit=PAGE)
