"""Whatever happens to disks, inventory and processes: content stays right.

After quiet time every acknowledged content has the clones it should have, all verified, and none is
lost that had one good copy left. `OOSE_STATEFUL=examples:steps` looks at more, at random.
"""

import gc
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.stateful import harming
from tests.stateful.expected import Expected
from tests.stateful.process import Process
from tests.stateful.world import PEERS, PLACES, SKEWS, World

T = TypeVar("T")
MEMORY = Path("/dev/shm")  # where there is one
orders = st.integers(0, 99)
counts = st.one_of(st.none(), st.integers(0, 60))
numbers = st.integers(0, 11)  # one of those that there are
contents = st.integers(0, 3)
extensions = st.sampled_from(["txt", "mp4"])
jumps = st.sampled_from([0.3, 1.0, 6.0, 35.0, 61.0, 700.0, 4000.0, 30_000.0])


class Everything(RuleBasedStateMachine):
    """All that may happen, in any order. Rules that find nothing to act on do nothing."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        where = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.folder = Path(mkdtemp(prefix="oose-", dir=where))

    @initialize(skewed=st.booleans(), seed=st.integers(0, 9))
    def begin(self, skewed: bool, seed: int) -> None:
        self.world = World(self.folder, seed, SKEWS if skewed else ())

    # What people do.

    @rule(number=numbers, content=contents, ext=extensions, order=orders, count=counts)
    def upload(self, number: int, content: int, ext: str, order: int, count: int | None) -> None:
        for prism in one(self.world.prisms(), number):
            self.world.set_order(order)
            self.world.upload(prism, self.world.contents[content], ext)
            self.world.go_on(count)

    @rule(number=numbers, which=numbers, ext=extensions, order=orders, count=counts)
    def upload_again(
        self, number: int, which: int, ext: str, order: int, count: int | None
    ) -> None:
        for prism, content in self._known(number, which, order):
            self.world.upload(prism, content, ext)
            self.world.go_on(count)

    @rule(number=numbers, which=numbers, order=orders, count=counts)
    def remove(self, number: int, which: int, order: int, count: int | None) -> None:
        for prism, content in self._known(number, which, order):
            self.world.remove(prism, content)
            self.world.go_on(count)

    @rule(number=numbers, which=numbers, on=st.booleans(), order=orders, count=counts)
    def protect(self, number: int, which: int, on: bool, order: int, count: int | None) -> None:
        for prism, content in self._known(number, which, order):
            self.world.protect(prism, content, on=on)
            self.world.go_on(count)

    @rule(number=numbers, which=numbers, wanted=st.integers(1, 4), order=orders, count=counts)
    def wish(self, number: int, which: int, wanted: int, order: int, count: int | None) -> None:
        for prism, content in self._known(number, which, order):
            self.world.wish(prism, content, wanted)
            self.world.go_on(count)

    @rule(number=numbers, which=numbers, order=orders, count=counts)
    def restore(self, number: int, which: int, order: int, count: int | None) -> None:
        for place, content in one(harming.put_aside(self.world), which):
            for prism in one(self.world.prisms(), number):
                self.world.set_order(order)
                self.world.restore(prism, place, content)
                self.world.go_on(count)

    @rule(
        number=numbers,
        which=numbers,
        to=st.sampled_from([None, *PLACES]),
        order=orders,
        count=counts,
    )
    def move(self, number: int, which: int, to: str | None, order: int, count: int | None) -> None:
        for content, place, _ in one(harming.files(self.world), which):
            for prism in one(self.world.prisms(), number):
                self.world.set_order(order)
                self.world.move(prism, content, place, to)
                self.world.go_on(count)

    @rule(number=numbers)
    def leave(self, number: int) -> None:
        self.world.leave(number)

    def _known(self, number: int, which: int, order: int) -> Iterator[tuple[Process, Expected]]:
        """A prism, and a content that somebody has uploaded."""
        self.world.set_order(order)
        known = [each for each in self.world.contents if each.happenings]
        for content in one(known, which):
            for prism in one(self.world.prisms(), number):
                yield prism, content

    # What operators do.

    @rule(number=numbers, peer=st.sampled_from(PEERS))
    def deactivate(self, number: int, peer: str) -> None:
        for prism in one(self.world.prisms(), number):
            self.world.order(prism, peer, active=False)

    @rule(number=numbers, which=numbers)
    def activate(self, number: int, which: int) -> None:
        for peer in one(sorted(self.world.inactive), which):
            for prism in one(self.world.prisms(), number):
                self.world.order(prism, peer, active=True)

    @rule(number=numbers, place=st.sampled_from(PLACES), writable=st.booleans())
    def set_writable(self, number: int, place: str, writable: bool) -> None:
        for prism in one(self.world.prisms(), number):
            self.world.set_writable(prism, place, writable=writable)

    @rule(which=numbers, order=orders, count=counts)
    def stop(self, which: int, order: int, count: int | None) -> None:
        for process in one(self.world.up(), which):
            self.world.set_order(order)
            self.world.stop(process)
            self.world.go_on(count)

    @rule(which=numbers, order=orders, count=counts)
    def start(self, which: int, order: int, count: int | None) -> None:
        for name in one(self.world.dead(), which):
            self.world.set_order(order)
            self.world.restart(name)
            self.world.go_on(count)

    @rule(order=orders, count=counts)
    def mend(self, order: int, count: int | None) -> None:
        """Everything is up again, but not at once."""
        self.world.set_order(order)
        self.world.mend()
        self.world.go_on(count)

    @rule()
    def make_backup(self) -> None:
        self.world.backup = self.world.place.shared.inventory.copy()

    @rule()
    def restore_backup(self) -> None:
        harming.restore_backup(self.world)

    # What happens to machines.

    @rule(which=numbers)
    def kill(self, which: int) -> None:
        for process in one(self.world.up(), which):
            self.world.kill(process.role.name)

    @rule(which=numbers, order=orders, count=counts)
    def kill_and_start(self, which: int, order: int, count: int | None) -> None:
        for process in one(self.world.up(), which):
            self.world.set_order(order)
            self.world.kill(process.role.name)
            self.world.restart(process.role.name)
            self.world.go_on(count)

    @rule(number=numbers, peer=st.sampled_from(PEERS), down=st.booleans())
    def vote(self, number: int, peer: str, down: bool) -> None:
        for prism in one(self.world.prisms(), number):
            self.world.vote(prism, peer, down=down)

    @rule(which=numbers, how=st.integers(0, 3), at=st.integers(0, 30))
    def harm(self, which: int, how: int, at: int) -> None:
        for content, place, _ in one(harming.files(self.world), which):
            harming.harm(self.world, place, content, how, at)

    @rule(place=st.sampled_from(PLACES), content=contents, old=st.booleans(), ext=extensions)
    def put_there(self, place: str, content: int, old: bool, ext: str) -> None:
        harming.put_there(self.world, place, self.world.contents[content], old=old, ext=ext)

    @rule(which=numbers)
    def lose_record(self, which: int) -> None:
        for content, place, _ in one(harming.files(self.world), which):
            harming.lose_record(self.world, place, content)

    @rule(away=st.booleans())
    def database(self, away: bool) -> None:
        self.world.place.shared.is_away = away

    @rule(place=st.sampled_from(PLACES), presence=st.sampled_from(["gone", "empty"]))
    def take_away(self, place: str, presence: Any) -> None:
        self.world.shelves[place].take_away(presence)

    @rule(which=numbers)
    def bring_back(self, which: int) -> None:
        away = [each for each in self.world.shelves.values() if each.presence != "there"]
        for shelf in one(away, which):
            shelf.bring_back()

    # Time.

    @rule(order=orders, count=counts)
    def go_on(self, order: int, count: int | None) -> None:
        self.world.set_order(order)
        self.world.go_on(count)

    @rule(seconds=jumps, order=orders, count=counts)
    def pass_time(self, seconds: float, order: int, count: int | None) -> None:
        self.world.set_order(order)
        self.world.pass_time([seconds], count)

    @rule(seconds=jumps, order=orders)
    def pass_much_time(self, seconds: float, order: int) -> None:
        self.world.set_order(order)
        self.world.pass_time([seconds, 1.0, 1.0, 6.0, 1.0])

    @rule(disks=st.booleans(), restart=st.booleans())
    def quieten(self, disks: bool, restart: bool) -> None:
        self.world.quieten(bring_back=disks, restart=restart)

    @invariant()
    def all_is_right(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        try:
            if hasattr(self, "world") and self.world.is_right:
                self.world.quieten(bring_back=False, restart=True)
        finally:
            if hasattr(self, "world"):
                self.world.close()
            shutil.rmtree(self.folder)


def one(there: Sequence[T], number: int) -> Sequence[T]:
    """One of those that there are, if any."""
    return [there[number % len(there)]] if there else []


@pytest.fixture(autouse=True, scope="module")
def dead_are_buried() -> Iterator[None]:
    """The work of dead processes ends where it is collected; how it ends is nobody's fault."""
    usual = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: None
    yield
    gc.collect()
    sys.unraisablehook = usual


TestEverything = Everything.TestCase
more = os.environ.get("OOSE_STATEFUL")
examples, steps = (int(each) for each in (more or "100:30").split(":"))
TestEverything.settings = settings(
    max_examples=examples,
    stateful_step_count=steps,
    derandomize=more is None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
