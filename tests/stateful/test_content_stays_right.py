"""Whatever happens to disks, inventory and processes: content stays right.

After quiet time every acknowledged content has the clones it should have, all verified, and none is
lost that had one good copy left. `OOSE_STATEFUL=examples:steps` looks at more, at random.
"""

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.stateful import harming
from tests.stateful.expected import Expected
from tests.stateful.process import Process
from tests.stateful.world import PLACES, PRISMS, ROLES, SKEWS, World

MEMORY = Path("/dev/shm")  # where there is one
orders = st.integers(0, 99)
counts = st.one_of(st.none(), st.integers(0, 60))
contents = st.integers(0, 3)
places = st.sampled_from(PLACES)
names = st.sampled_from([each.name for each in ROLES])
prisms = st.sampled_from(PRISMS)
extensions = st.sampled_from(["txt", "mp4"])
jumps = st.sampled_from([0.3, 1.0, 6.0, 35.0, 61.0, 700.0, 4000.0, 30_000.0])


class Everything(RuleBasedStateMachine):
    """All that may happen, in any order."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        where = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.folder = Path(mkdtemp(prefix="oose-", dir=where))

    @initialize(skewed=st.booleans(), seed=st.integers(0, 9))
    def begin(self, skewed: bool, seed: int) -> None:
        self.world = World(self.folder, seed, SKEWS if skewed else ())

    def content(self, number: int) -> Expected:
        return self.world.contents[number]

    def prism(self, name: str) -> Process | None:
        """That of a process, while it is up."""
        process = self.world.processes[name]
        return process if process.is_up else None

    def operator(self, name: str) -> Process | None:
        """The same, while its registry can be written to."""
        return None if self.world.place.shared.is_away else self.prism(name)

    def go_on(self, order: int, count: int | None) -> None:
        self.world.set_order(order)
        self.world.go_on(count)

    # What people do.

    @rule(prism=prisms, content=contents, ext=extensions, order=orders, count=counts)
    def upload(self, prism: str, content: int, ext: str, order: int, count: int | None) -> None:
        process = self.prism(prism)
        if process is not None:
            self.world.set_order(order)
            self.world.upload(process, self.content(content), ext)
            self.world.go_on(count)

    @rule(prism=prisms, content=contents, order=orders, count=counts)
    def remove(self, prism: str, content: int, order: int, count: int | None) -> None:
        process = self.prism(prism)
        if process is not None:
            self.world.set_order(order)
            self.world.remove(process, self.content(content))
            self.world.go_on(count)

    @rule(prism=prisms, content=contents, on=st.booleans(), order=orders, count=counts)
    def protect(self, prism: str, content: int, on: bool, order: int, count: int | None) -> None:
        process = self.prism(prism)
        if process is not None:
            self.world.set_order(order)
            self.world.protect(process, self.content(content), on=on)
            self.world.go_on(count)

    @rule(prism=prisms, content=contents, wanted=st.integers(1, 4), order=orders, count=counts)
    def wish(self, prism: str, content: int, wanted: int, order: int, count: int | None) -> None:
        process = self.prism(prism)
        if process is not None:
            self.world.set_order(order)
            self.world.wish(process, self.content(content), wanted)
            self.world.go_on(count)

    @rule(prism=prisms, content=contents, place=places, order=orders, count=counts)
    def restore(self, prism: str, content: int, place: str, order: int, count: int | None) -> None:
        process = self.prism(prism)
        if process is not None:
            self.world.set_order(order)
            self.world.restore(process, place, self.content(content))
            self.world.go_on(count)

    @rule(
        prism=prisms,
        content=contents,
        source=places,
        to=st.one_of(st.none(), places),
        order=orders,
        count=counts,
    )
    def move(
        self,
        prism: str,
        content: int,
        source: str,
        to: str | None,
        order: int,
        count: int | None,
    ) -> None:
        process = self.prism(prism)
        if process is not None:
            self.world.set_order(order)
            self.world.move(process, self.content(content), source, to)
            self.world.go_on(count)

    @rule(number=st.integers(0, 5))
    def leave(self, number: int) -> None:
        self.world.leave(number)

    @rule(prism=prisms, place=places, writable=st.booleans())
    def set_writable(self, prism: str, place: str, writable: bool) -> None:
        process = self.operator(prism)
        if process is not None:
            self.world.set_writable(process, place, writable=writable)

    @rule(name=names, order=orders, count=counts)
    def stop(self, name: str, order: int, count: int | None) -> None:
        self.world.set_order(order)
        self.world.stop(name)
        self.world.go_on(count)

    @rule(prism=prisms, peer=st.sampled_from([*PLACES, "p1", "p2"]), active=st.booleans())
    def order(self, prism: str, peer: str, active: bool) -> None:
        process = self.operator(prism)
        if process is not None:
            self.world.order(process, peer, active=active)

    @rule(place=places, content=contents, old=st.booleans(), ext=extensions)
    def put_there(self, place: str, content: int, old: bool, ext: str) -> None:
        harming.put_there(self.world, place, self.content(content), old=old, ext=ext)

    @rule()
    def make_backup(self) -> None:
        self.world.backup = self.world.place.shared.inventory.copy()

    @rule()
    def restore_backup(self) -> None:
        harming.restore_backup(self.world)

    # What happens to machines.

    @rule(name=names)
    def kill(self, name: str) -> None:
        self.world.kill(name)

    @rule(name=names, order=orders, count=counts)
    def restart(self, name: str, order: int, count: int | None) -> None:
        self.world.set_order(order)
        self.world.restart(name)
        self.world.go_on(count)

    @rule(name=names, order=orders, count=counts)
    def kill_and_restart(self, name: str, order: int, count: int | None) -> None:
        self.world.kill(name)
        self.world.set_order(order)
        self.world.restart(name)
        self.world.go_on(count)

    @rule(prism=prisms, peer=st.sampled_from([*PLACES, "p1", "p2"]))
    def vote_down(self, prism: str, peer: str) -> None:
        process = self.operator(prism)
        if process is not None:
            self.world.vote(process, peer, down=True)

    @rule(prism=prisms, peer=st.sampled_from([*PLACES, "p1", "p2"]))
    def bring_back(self, prism: str, peer: str) -> None:
        process = self.operator(prism)
        if process is not None:
            self.world.vote(process, peer, down=False)

    @rule(place=places, content=contents, how=st.integers(0, 3), at=st.integers(0, 30))
    def harm(self, place: str, content: int, how: int, at: int) -> None:
        harming.harm(self.world, place, self.content(content), how, at)

    @rule(away=st.booleans())
    def database(self, away: bool) -> None:
        self.world.place.shared.is_away = away

    @rule(place=places, content=contents)
    def lose_record(self, place: str, content: int) -> None:
        harming.lose_record(self.world, place, self.content(content))

    @rule(place=places, presence=st.sampled_from(["gone", "empty"]))
    def take_away(self, place: str, presence: Any) -> None:
        self.world.shelves[place].take_away(presence)

    @rule(place=places)
    def bring_disk(self, place: str) -> None:
        self.world.shelves[place].bring_back()

    # Time.

    @rule(order=orders, count=counts)
    def some_go_on(self, order: int, count: int | None) -> None:
        self.go_on(order, count)

    @rule(seconds=jumps, order=orders, count=counts)
    def pass_time(self, seconds: float, order: int, count: int | None) -> None:
        self.world.set_order(order)
        self.world.pass_time([seconds], count)

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
examples, steps = (int(each) for each in (more or "60:30").split(":"))
TestEverything.settings = settings(
    max_examples=examples,
    stateful_step_count=steps,
    derandomize=more is None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
