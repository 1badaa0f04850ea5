"""One heartbeat whose rounds are disturbed; what many do together is in `tests/simulation`."""

from typing import Any

from attrs import evolve, field, mutable
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.contact import Contact
from oose.errors import Unavailable
from oose.heartbeat import Heartbeat
from oose.peer import Peer
from oose.registry import Registry
from oose.settings.model import HeartbeatSettings
from oose.votes import Votes
from tests.simulation.cluster import begin, peer
from tests.simulation.memory import MemoryDocuments
from tests.unit.logged import debugged, logged

SETTINGS = HeartbeatSettings(start_delay=10.0, frequency=5.0, retries=2)
NOW = 1_700_000_000_000


class Moody(MemoryDocuments):
    """Documents that fail with `problem` while there is one."""

    problem: Exception | None = None

    async def put_many(self, writes: Any) -> Any:
        if self.problem is not None:
            raise self.problem
        return await super().put_many(writes)

    async def under(self, prefixes: Any) -> Any:
        if self.problem is not None:
            raise self.problem
        return await super().under(prefixes)


@mutable
class Beating:
    """The heartbeat of `p0`, which watches `p1`, with chance half of all."""

    answers: bool = True
    waiting: Deferred[None] | None = None
    settings: HeartbeatSettings = SETTINGS
    clock: Clock = field(factory=Clock)
    contact: Contact = field(factory=Contact)
    pinged: list[float] = field(factory=list)
    heartbeat: Heartbeat = field(init=False)
    registry: Registry = field(init=False)
    kept: Moody = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.registry = Registry(MemoryDocuments(self.clock))
        for number in range(2):
            begin(self.registry.register(peer(number)))
        self.kept = Moody(self.clock)
        self.contact.made()
        self.heartbeat = Heartbeat(
            ["prism:p0"],
            self.registry,
            Votes(self.kept),
            self.ping,
            [self.contact],
            self.settings,
            clock=self.clock,
            now=lambda: NOW,
            chance=lambda: 0.5,
        )

    async def ping(self, one: Peer) -> None:
        self.pinged.append(self.clock.seconds())
        if self.waiting is not None:
            await self.waiting
        if not self.answers:
            raise ConnectionRefusedError("refused")

    def run(self, seconds: float) -> None:
        self.clock.pump([0.125] * int(seconds * 8))

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.heartbeat.stop())

    @property
    def is_down(self) -> bool:
        known = self.registry.peer("prism:p1")
        assert known is not None
        return known.voted


def test_rounds_begin_after_the_delay_and_never_all_at_once() -> None:
    beating = Beating()
    beating.heartbeat.start()
    beating.run(40.0)
    first, second, *_ = beating.pinged
    assert first == SETTINGS.start_delay + 2.5 + SETTINGS.frequency + 0.625
    assert second == first + SETTINGS.frequency


def test_a_stop_before_the_first_round_and_before_a_start() -> None:
    beating = Beating()
    assert beating.stop().called
    beating.heartbeat.start()
    assert beating.stop().called
    assert beating.clock.getDelayedCalls() == []


def test_a_stop_waits_for_the_round_under_way() -> None:
    beating = Beating(waiting=Deferred())
    beating.heartbeat.start()
    beating.run(18.5)
    assert len(beating.pinged) == 1
    stopped = beating.stop()
    assert not stopped.called
    assert beating.waiting is not None
    beating.waiting.callback(None)
    assert stopped.called
    assert beating.clock.getDelayedCalls() == []


def test_who_is_silent_twice_is_down() -> None:
    beating = Beating(answers=False)
    beating.heartbeat.start()
    beating.run(18.5)  # in which the first round finds its way
    beating.run(2 * SETTINGS.frequency)
    assert beating.is_down
    assert [row.body["reason"] for row in beating.kept.now().values()] == ["refused"]


def test_one_silence_is_enough_where_no_retries_are_wanted() -> None:
    beating = Beating(answers=False, settings=evolve(SETTINGS, retries=0))
    beating.heartbeat.start()
    beating.run(18.5 + SETTINGS.frequency)
    assert beating.is_down


def test_votes_that_cannot_be_cast_are_begun_anew() -> None:
    beating = Beating(answers=False)
    beating.heartbeat.start()
    beating.run(18.5)
    beating.kept.problem = Unavailable("No route")
    with logged("critical") as events:
        beating.run(2 * SETTINGS.frequency)
    assert events == []
    beating.kept.problem = None
    beating.run(2 * SETTINGS.frequency)
    assert not beating.is_down
    beating.run(2 * SETTINGS.frequency)
    assert beating.is_down


def test_what_nobody_expected_is_in_the_log_and_the_next_round_comes() -> None:
    beating = Beating(answers=False)
    beating.heartbeat.start()
    beating.run(18.5)
    beating.kept.problem = ZeroDivisionError("oh")
    with logged("critical") as events:
        beating.run(2 * SETTINGS.frequency)
    assert events == ["The heartbeat failed; the next round comes all the same"]
    beating.kept.problem = None
    beating.run(4 * SETTINGS.frequency)
    assert beating.is_down


def test_nothing_is_pruned_without_the_database() -> None:
    beating = Beating()
    beating.heartbeat.start()
    beating.run(20.0)
    beating.kept.problem = Unavailable("No route")
    with logged("critical") as events:
        beating.run(SETTINGS.vote_prune_frequency)
        beating.contact.lost()
        before = beating.kept.requests
        beating.run(SETTINGS.vote_prune_frequency)
    assert events == []
    assert beating.kept.requests == before


def test_who_is_gone_while_it_is_asked_is_not_voted_on() -> None:
    beating = Beating(answers=False, waiting=Deferred())
    beating.heartbeat.start()
    beating.run(18.5)
    assert beating.waiting is not None
    waiting, beating.waiting = beating.waiting, None
    waiting.callback(None)
    beating.run(SETTINGS.frequency)
    beating.waiting = Deferred()
    beating.run(SETTINGS.frequency)
    begin(beating.registry.deactivate("prism:p1"))
    beating.waiting.callback(None)
    beating.run(SETTINGS.frequency)
    assert beating.kept.now() == {}
    assert not beating.is_down


def test_a_round_is_one_line_for_whoever_looks_closely() -> None:
    beating = Beating()
    beating.heartbeat.start()
    with debugged("oose:heartbeat") as said:
        beating.run(20)
        beating.answers = False
        beating.run(5)
    assert said == ["Asked 1; silent: nobody", "Asked 1; silent: prism:p1"]
    _ = beating.stop()
