"""The cluster that everything happens to, and what is to be so at any time and in the end."""

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from oose.errors import OoseError
from oose.prism import Prism
from oose.sweeping.comparing import Comparing
from tests.stateful.database import Shared
from tests.stateful.expected import Expected, Happening, Kind
from tests.stateful.harming import good
from tests.stateful.hops import Crashed, Hops
from tests.stateful.judging import judge, look
from tests.stateful.network import Network
from tests.stateful.process import DAY, Place, Process, Role
from tests.stateful.shelves import Shelf
from tests.unit.at_once import at_once

EPOCH = 1_600_000_000.0  # seconds: before any time that a file's system says
ROLES = (
    Role("A", "m1", "g1", ["p1:s1"], "p1"),
    Role("B", "m2", "g2", ["p2:s2"], "p2"),
    Role("C", "m3", "g1", ["p1:s3"]),
    Role("D", "m4", "g2", ["p2:s4", "p2:s5"]),
)
PLACES = tuple(place for role in ROLES for place in role.stores)
PEERS = (*PLACES, "p1", "p2")
SKEWS = (0.0, 1.5, -1.5, 0.7)
# In the end time passes like this, again and again.
QUIET = (1.0, 1.0, 6.0, 1.0, 1.0, 61.0, 6.0, 1.0, 1.0, 61.0, 1.0, 1.0, 1000.0, 1.0, 1.0, 6.0)
ROUNDS = 8
AWAY_FROM_HERE = -1
Work = Coroutine[Deferred[Any], Any, Any]


def contents() -> Sequence[Expected]:
    return [
        Expected(b"one", "sha1"),
        Expected(b"two, which is longer", "sha1"),
        Expected(b"three", "md5"),
        Expected(b"", "sha256"),
    ]


@implementer(ILogObserver)
class Ear:
    """Hears in the log of errors that nobody expects."""

    def __init__(self, bugs: list[str]) -> None:
        self._bugs = bugs

    def __call__(self, event: dict[str, Any]) -> None:
        failure = event.get("log_failure")
        if isinstance(failure, Failure) and failure.check(Crashed, OoseError) is None:
            self._bugs.append(f"{formatEvent(event)}\n{failure.getTraceback()}")


@define(eq=False)
class World:
    """All of it, below `folder`."""

    folder: Path
    seed: int = 0
    skews: Sequence[float] = ()
    hops: Hops = field(factory=Hops)
    contents: Sequence[Expected] = field(factory=contents)
    shelves: dict[str, Shelf] = field(factory=dict)
    roles: Sequence[Role] = ROLES
    processes: dict[str, Process] = field(factory=dict)
    inactive: set[str] = field(factory=set)  # peers
    read_only: set[str] = field(factory=set)  # stores
    backup: Any = None
    looked: float = EPOCH  # when
    is_right: bool = True  # as far as was looked
    are_all_new: bool = False  # all processes, and nothing has happened since
    log: list[str] = field(factory=list)
    _turn: int = 0
    _unsure: list[Happening] = field(factory=list)
    _running: dict[Happening, tuple[Process, "Deferred[Any]"]] = field(factory=dict)
    place: Place = field(init=False)
    ear: ILogObserver = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.ear = Ear(self.hops.bugs)
        globalLogPublisher.addObserver(self.ear)
        self.hops.clock.advance(EPOCH)
        shared = Shared(self.hops.clock)
        self.place = Place(
            self.folder, self.hops, shared, Network(), Random(self.seed), self._is_dull
        )
        self.hops.is_calm = True
        for number, role in enumerate(ROLES):
            skew = self.skews[number] if self.skews else 0.0
            self.processes[role.name] = Process(evolve(role, skew=skew), self.place)
            for place in role.stores:
                self.shelves[place] = Shelf(self.folder / place.partition(":")[2])
            self.processes[role.name].start()
        for shelf in self.shelves.values():
            shelf.add_foreign()
        self.pass_time([1.0, 1.0, 61.0, 61.0, 6.0, 1.0, 1.0, 1.0, 6.0])
        self.hops.is_calm = False

    def _is_dull(self, args: Sequence[Any]) -> bool:
        """Listing a slice in which there is nothing."""
        interesting = {each.hash[:2] for each in self.contents}
        return bool(args) and isinstance(args[0], Comparing) and args[0]._part not in interesting

    # Time.

    @property
    def now(self) -> float:
        return self.hops.clock.seconds()

    def set_order(self, number: int) -> None:
        """0: everybody has a turn after the other; 1, 3, 5...: by chance; else some things fail."""
        self.hops.order = Random(number) if number else None
        self.hops.is_kind = number % 2 == 1 or not number

    def go_on(self, count: int | None) -> None:
        self.hops.go_on(count)
        self.is_known_to_have_ended()

    def is_known_to_have_ended(self) -> None:
        """Nothing is under way any more."""
        if not self.hops.is_idle:
            return
        self._turn += 1
        for each in self._unsure:
            each.ended = self._turn
        self._unsure.clear()

    def pass_time(self, jumps: Sequence[float], count: int | None = None) -> None:
        for seconds in jumps:
            self.hops.clock.advance(seconds)
            self.go_on(count)

    # Processes.

    def kill(self, name: str) -> None:
        process = self.processes[name]
        if process.life.is_over:
            return
        process.kill()
        self._turn += 1
        for happening, (by, _) in list(self._running.items()):
            if by is process:
                self._end(happening, "dead")

    def stop(self, process: Process) -> None:
        """As an operator does it."""

        def stopped(result: object) -> None:
            if self.processes[process.role.name] is process:
                self.kill(process.role.name)

        _ = process.stop().addBoth(stopped)

    def restart(self, name: str) -> None:
        old = self.processes[name]
        if old.life.is_over:
            self.processes[name] = Process(old.role, self.place)
            self.processes[name].start()

    def up(self) -> Sequence[Process]:
        return [each for each in self.processes.values() if each.is_up]

    def dead(self) -> Sequence[str]:
        return [name for name, each in self.processes.items() if each.life.is_over]

    def prisms(self) -> Sequence[Process]:
        """Those of processes that are up."""
        return [each for each in self.up() if each.role.prism is not None]

    def mend(self) -> None:
        """Have everything there again."""
        self.place.shared.is_away = False
        for shelf in self.shelves.values():
            shelf.bring_back()
        for name in self.dead():
            self.restart(name)
        for prism in self.prisms()[:1]:
            for peer in sorted(self.inactive):
                self.order(prism, peer, active=True)
            for place in sorted(self.read_only):
                self.set_writable(prism, place, writable=True)
            for peer in PEERS:
                self.vote(prism, peer, down=False)

    # What somebody wishes.

    def begin(
        self, kind: Kind, content: Expected, process: Process, work: Work, value: int = 0
    ) -> Happening:
        self._turn += 1
        happening = Happening(kind, self._turn, value)
        content.happenings.append(happening)
        if kind in ("release", "protection"):
            content.guarded = None

        def ended(result: Any) -> None:
            if happening.outcome is not None:
                return
            if isinstance(result, Failure) and result.check(OoseError, Crashed) is None:
                self.hops.bugs.append(result.getTraceback())
            self._turn += 1
            self._end(happening, "failed" if isinstance(result, Failure) else "done")
            self.log.append(f"{kind} {content.hash[:6]} {happening.outcome} {result}"[:200])
            if kind == "upload" and happening.is_done:
                content.is_destroyed = content.is_destroyed and not good(self, content)

        running = Deferred.fromCoroutine(work)
        self._running[happening] = process, running
        _ = running.addBoth(ended)
        return happening

    def _end(self, happening: Happening, outcome: Any) -> None:
        happening.outcome = outcome
        is_unsure = happening.value == AWAY_FROM_HERE or outcome == "left"
        if is_unsure and outcome != "done":
            self._unsure.append(happening)  # it may go on where it was asked for
        else:
            happening.ended = self._turn
        del self._running[happening]

    @property
    def is_idle(self) -> bool:
        return not self._running

    def upload(self, process: Process, content: Expected, ext: str) -> None:
        self.begin("upload", content, process, upload(process, content, ext))

    def remove(self, process: Process, content: Expected) -> None:
        self.begin(
            "removal", content, process, prism_of(process)._parts.removal.remove(content.hash)
        )

    def protect(self, process: Process, content: Expected, *, on: bool) -> None:
        protection = prism_of(process)._parts.protection
        change = protection.protect if on else protection.release
        kind: Kind = "protection" if on else "release"
        self.begin(kind, content, process, change([content.hash]))

    def wish(self, process: Process, content: Expected, wanted: int) -> None:
        work = process.assembly.contents.change(
            content.hash, lambda known: evolve(known, wanted=wanted)
        )
        self.begin("wish", content, process, work, wanted)

    def move(self, process: Process, content: Expected, source: str, target: str | None) -> None:
        repairing = process.assembly.stewardship.repairing
        assert repairing is not None
        work = repairing._clones.move(content.hash, source, target)
        self.begin("move", content, process, work)

    def leave(self, number: int) -> None:
        """Somebody does not wait any longer for what was asked for."""
        running = list(self._running.items())
        if running:
            happening, (_, deferred) = running[number % len(running)]
            self._turn += 1
            self._end(happening, "left")
            deferred.cancel()

    def restore(self, process: Process, place: str, content: Expected) -> None:
        """Out of a store's quarantine."""
        work = process.assembly._peers.ask(
            f"http://store:{place}", "/quarantine/restore", {"hash": content.hash}
        )
        self.begin("upload", content, process, work, AWAY_FROM_HERE)

    def order(self, process: Process, peer: str, *, active: bool) -> None:
        """The administrator's word on a peer."""
        registry = process.assembly.registry
        if self.place.shared.is_away:
            return
        with self.calm():
            change = registry.activate if active else registry.deactivate
            run(change(id_of(peer)))
        self.inactive -= {peer}
        if not active:
            self.inactive |= {peer}

    def set_writable(self, process: Process, place: str, *, writable: bool) -> None:
        if self.place.shared.is_away:
            return
        with self.calm():
            run(process.assembly.registry.set_writable(id_of(place), writable))
        self.read_only -= {place}
        if not writable:
            self.read_only |= {place}

    def vote(self, process: Process, peer: str, *, down: bool) -> None:
        """The cluster's word."""
        registry = process.assembly.registry
        if self.place.shared.is_away:
            return
        with self.calm():
            run((registry.vote_down if down else registry.bring_back)(id_of(peer)))

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Nothing waits within."""
        self.hops.is_calm = True
        try:
            yield
        finally:
            self.hops.is_calm = False

    # What is to be so.

    def check(self) -> None:
        """What is never otherwise."""
        is_right, self.is_right = self.is_right, False
        look(self)
        self.looked = self.now
        self.is_right = is_right

    def quieten(self, *, bring_back: bool, restart: bool) -> None:
        """All is up, or started again, and time passes until everything is as it should be."""
        self.hops.is_kind = True
        self.go_on(None)
        self.hops.is_calm = True
        self.are_all_new = restart
        self.place.shared.is_away = False
        for name in self.processes:
            if restart:
                self.kill(name)
            self.restart(name)
        if bring_back:
            for place in PLACES:
                self.shelves[place].bring_back()
        self.pass_time([1.0, 1.0, 6.0])
        self.check()
        first = self.processes["A"]
        for peer in first.assembly.registry.peers():
            if peer.voted:
                run(first.assembly.registry.bring_back(peer.id))
        problems: list[str] = []
        for _ in range(ROUNDS):
            self.pass_time([DAY, *QUIET])
            self.check()
            problems = judge(self)
            if not problems:
                break
        self.hops.is_calm = False
        self.is_right = not problems
        assert not problems, problems

    def close(self) -> None:
        """The end."""
        globalLogPublisher.removeObserver(self.ear)
        for name in self.processes:
            self.kill(name)


def id_of(place: str) -> str:
    return f"store:{place}" if ":" in place else f"prism:{place}"


def prism_of(process: Process) -> Prism:
    prism = process.assembly.prism
    assert prism is not None
    return prism


async def upload(process: Process, content: Expected, ext: str) -> Any:
    """As a prism does it."""
    begun = prism_of(process).uploads.open(content.hash_type, len(content.data))
    try:
        begun.sink.feed(content.data)
        kept = await begun.settle(ext, "video/mp4")
        assert kept.record.hash == content.hash
        return kept
    finally:
        await begun.abandon()


def run(work: Work) -> Any:
    """What comes of it, while all is calm."""
    return at_once(work)
