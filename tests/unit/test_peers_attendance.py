"""How long an exchange with a peer is waited for, with time in the test's hands."""

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.peers.attendance import Attendance, Attending


@define
class Exchange:
    """One that moves when a test says so, with a peer that is alive as a test says."""

    clock: Clock = field(factory=Clock)
    moved: int = 0
    alive: bool = True
    pings: int = 0
    slow: Deferred[None] | None = None
    reasons: list[str] = field(factory=list)

    async def is_alive(self) -> bool:
        self.pings += 1
        if self.slow is not None:
            await self.slow
        return self.alive

    def attended(self) -> Attendance:
        attending = Attending("store1", self.is_alive, self.clock, patience=5)
        return attending.to(self.reasons.append, lambda: self.moved)


def test_while_it_moves_nobody_is_asked() -> None:
    exchange = Exchange()
    with exchange.attended():
        for _ in range(20):
            exchange.moved += 1
            exchange.clock.advance(1)
    assert (exchange.pings, exchange.reasons) == (0, [])
    assert exchange.clock.getDelayedCalls() == []


def test_a_peer_that_answers_is_waited_for_until_patience_ends() -> None:
    exchange = Exchange()
    with exchange.attended():
        for _ in range(4):
            exchange.clock.advance(1)
        assert (exchange.pings, exchange.reasons) == (4, [])
        exchange.clock.advance(1)
        assert exchange.reasons == ["store1 did not go on for 5 seconds"]
        exchange.clock.advance(100)
    assert len(exchange.reasons) == 1


def test_patience_begins_anew_with_every_movement() -> None:
    exchange = Exchange()
    with exchange.attended():
        for step in range(20):
            exchange.moved += step % 3 == 0
            exchange.clock.advance(1)
    assert exchange.reasons == []


def test_a_peer_that_does_not_answer_is_given_up_at_once() -> None:
    exchange = Exchange(alive=False)
    with exchange.attended():
        exchange.clock.advance(1)
        assert exchange.reasons == ["store1 does not answer any more"]


def test_what_is_over_while_the_peer_is_asked_is_left_alone() -> None:
    exchange = Exchange(alive=False, slow=Deferred())
    with exchange.attended():
        exchange.clock.advance(1)
    assert exchange.slow is not None
    exchange.slow.callback(None)
    assert exchange.reasons == []
    assert exchange.clock.getDelayedCalls() == []
