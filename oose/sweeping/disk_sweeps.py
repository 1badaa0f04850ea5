"""The sweeps of one store's disk, one at a time: those that are due, and those asked for."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from oose.contents import Contents
from oose.counting import some
from oose.errors import BadInput, OoseError, Unavailable
from oose.existence import Existence
from oose.holdings import Holdings
from oose.log import part
from oose.metadata.documents import Inventory
from oose.pace import Pace
from oose.settings.model import InventorySettings
from oose.sweeping.listing import DRIVERS, Lister, choose
from oose.sweeping.report import Report, load, save
from oose.sweeping.site import Site
from oose.sweeping.sweep import Sweep

_log = part("inventory")


@frozen
class Means:
    """What all sweeps of a process need. `now` is ms since 1970."""

    inventory: Inventory
    contents: Contents
    existence: Existence
    settings: InventorySettings
    clock: IReactorTime
    now: Callable[[], int]


class DiskSweeps:
    """The sweeps of `store`."""

    def __init__(self, store: Holdings, means: Means) -> None:
        self._store = store
        self._means = means
        self._visit: int | None = None
        self._sweep: Sweep | None = None
        self._work: Deferred[None] | None = None
        self._ends: list[Deferred[None]] = []
        self._kept: Report | None = None
        self._error: str | None = None
        self._is_stopped = False

    @property
    def place(self) -> str:
        """Of the store."""
        return self._store.place

    # Those that are due.

    def start(self) -> None:
        """Take the disk as it is: one that comes from now on is swept soon."""
        self._visit = self._store.volume.visits

    async def round(self) -> None:
        """Do a sweep where one is due, to its end."""
        if self._work is not None or not self._store.volume.usable:
            return
        report = self._due(await self._last())
        if report is None:
            return
        try:
            self._begin(report, await self._lister(self._means.settings.driver))
        except Unavailable as error:
            self._failed(error)
        await self.ended()

    def _due(self, last: Report | None) -> Report | None:
        """The sweep that is due: a new one, or the rest of the last."""
        now = self._means.now()
        if last is None or self._visit != self._store.volume.visits:
            return Report(now)
        if last.finished is None:
            return evolve(last, counts=last.counts.copy())
        since = now - last.finished
        is_done = 0 <= since < self._means.settings.frequency * 1000
        return None if is_done else Report(now)

    # Those that are asked for.

    async def scan(self, driver: str, *, fast: bool, empty: bool = False) -> Mapping[str, Any]:
        """Begin a sweep, or join the one under way; how it stands. `BadInput`, `Unavailable`.

        A `fast` one keeps to no pace. With `empty` nearly all records may go.
        """
        if driver not in DRIVERS:
            raise BadInput(f"There is no driver {driver!r}: use one of {', '.join(DRIVERS)}")
        if self._work is None:
            if not self._store.volume.usable:
                raise Unavailable(f"The disk of the store {self._store.store!r} is not there")
            lister = await self._lister(driver)
            self._begin(Report(self._means.now()), lister, is_fast=fast, empty=empty)
        if self._sweep is not None and fast:
            self._sweep.hurry()
        if self._sweep is not None and empty:
            self._sweep.believe()
        return await self.status()

    async def status(self) -> Mapping[str, Any]:
        """How the sweep under way stands, or how the last one ended."""
        report = await self._last()
        if self._sweep is not None:
            state = "running"
            report = self._sweep.progress()
        elif report is None:
            state = "never"
            report = Report(0)
        else:
            state = "interrupted" if report.finished is None else "finished"
        return {"store": self.place, "state": state, "error": self._error, **report.to_json()}

    def describe(self) -> Mapping[str, Any]:
        """The same for `/stats`, numbers only."""
        report = self._kept or Report(0)
        if self._sweep is not None:
            report = self._sweep.progress()
        value = {**report.to_json(), "running": self._sweep is not None}
        return {name: each for name, each in value.items() if name not in {"named", "driver"}}

    # The end.

    async def ended(self) -> None:
        """Wait until none is under way."""
        if self._work is not None:
            end: Deferred[None] = Deferred()
            self._ends.append(end)
            await end

    async def stop(self) -> None:
        """Cut short the one under way, and begin no other."""
        self._is_stopped = True
        if self._work is not None:
            self._work.cancel()
        await self.ended()

    # Behind it.

    async def _last(self) -> Report | None:
        volume = self._store.volume
        if self._kept is None and volume.usable:
            try:
                kept = await volume.pool.run(load, volume.disk.root)
            except OSError as error:
                _log.warn("{place}: {why}", place=self.place, why=error)
            else:
                self._read(kept)
        return self._kept

    def _read(self, kept: Report | None) -> None:
        if self._kept is None:  # else a sweep has come further meanwhile
            self._kept = kept

    async def _lister(self, driver: str) -> Lister:
        volume = self._store.volume
        return await volume.pool.run(choose, driver, volume.disk.content)

    def _begin(
        self, report: Report, lister: Lister, *, is_fast: bool = False, empty: bool = False
    ) -> None:
        """Begin, unless somebody was faster."""
        if self._work is not None:
            return
        if self._is_stopped:
            raise Unavailable("The store is stopping")
        means, settings = self._means, self._means.settings
        self._visit = self._store.volume.visits
        site = Site(
            self._store,
            means.inventory,
            means.contents,
            means.existence,
            Pace(None if is_fast else settings.requests, means.clock),
            report.counts,
            means.now,
        )

        told: set[str] = set()

        async def keep(report: Report) -> None:
            self._kept = report
            try:
                await site.run(keep_on, site, report)
            except OSError as error:
                if str(error) not in told:
                    _log.warn("How far the sweep is cannot be kept: {why}", why=error)
                told.add(str(error))

        files = Pace(None if is_fast else settings.files, means.clock)
        self._sweep = Sweep(site, lister, report, keep, files, means.clock)
        if empty:
            self._sweep.believe()
        self._work = Deferred.fromCoroutine(self._carry_out(self._sweep))
        _ = self._work.addBoth(self._over)

    async def _carry_out(self, sweep: Sweep) -> None:
        try:
            await sweep.run()
        except CancelledError:
            _log.debug("{place}: the sweep is cut short", place=self.place)
        except OoseError as error:
            self._failed(error)
        except Exception:
            _log.failure("{place}: the sweep failed", Failure(), place=self.place)
        else:
            self._error = None
            _log.info("{place}: {what}", place=self.place, what=in_words(sweep.progress()))

    def _failed(self, error: OoseError) -> None:
        if self._error != error.message:
            _log.warn("{place} is not swept: {why}", place=self.place, why=error.message)
        self._error = error.message

    def _over(self, result: object) -> None:
        self._work = self._sweep = None
        ends, self._ends = self._ends, []
        for each in ends:
            if not each.called:
                each.callback(None)


def keep_on(site: Site, report: Report) -> None:
    """Keep it on the store's disk, and nowhere else. Blocks."""
    site.check()
    save(report, site.disk.root)


def in_words(report: Report) -> str:
    """A sweep in one line."""
    counts = report.counts
    rate = counts.files / report.seconds if report.seconds else 0.0
    found = [
        (counts.made, "recorded"),
        (counts.corrected, "corrected"),
        (counts.removed, "gone"),
        (counts.corrupt, "corrupt"),
        (counts.buried, "removed before"),
        (counts.duplicates, "twice there"),
        (counts.foreign, "foreign"),
        (counts.unreadable, "not to be read"),
    ]
    what = ", ".join(f"{count} {word}" for count, word in found if count) or "all as recorded"
    seen = f"{some(counts.files, 'file')}, {counts.bytes / 1e9:.1f} GB"
    return f"{seen}, swept in {report.seconds:.0f} s ({rate:.0f} files/s): {what}"
