import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.peer import Peer
from oose.pings import Pings
from tests.simulation.cluster import peer

PEERS = [peer(n) for n in range(5)]


class Asked:
    """Pings that answer when a test says so."""

    def __init__(self) -> None:
        self.waiting: dict[str, Deferred[None]] = {}

    async def ping(self, one: Peer) -> None:
        self.waiting[one.name] = Deferred()
        try:
            await self.waiting[one.name]
        finally:
            del self.waiting[one.name]

    @property
    def names(self) -> str:
        return " ".join(self.waiting)


def test_no_more_are_asked_at_once_than_is_allowed() -> None:
    asked = Asked()
    asking = Deferred.fromCoroutine(Pings(asked.ping, Clock(), 2.0, 2).ask(PEERS))
    assert asked.names == "p0 p1"
    asked.waiting["p1"].callback(None)
    assert asked.names == "p0 p2"
    asked.waiting["p2"].callback(None)
    asked.waiting["p3"].callback(None)
    asked.waiting["p0"].callback(None)
    assert asked.names == "p4"
    assert not asking.called
    asked.waiting["p4"].callback(None)
    assert asking.called
    assert asking.result == {f"prism:p{n}": None for n in range(5)}


def test_nobody_is_waited_for_longer_than_is_allowed() -> None:
    asked, clock = Asked(), Clock()
    asking = Deferred.fromCoroutine(Pings(asked.ping, clock, 2.0, 1).ask(PEERS[:2]))
    clock.advance(1.9)
    assert asked.names == "p0"
    clock.advance(0.1)
    assert asked.names == "p1"
    asked.waiting["p1"].callback(None)
    assert asking.called
    assert asking.result == {"prism:p0": "No answer within 2 seconds", "prism:p1": None}
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_failure_is_told_in_its_own_words() -> None:
    async def ping(one: Peer) -> None:
        raise ConnectionRefusedError("refused") if one.name == "p0" else ZeroDivisionError

    answers = await Pings(ping, Clock(), 2.0, 8).ask(PEERS[:2])
    assert answers == {"prism:p0": "refused", "prism:p1": "ZeroDivisionError"}


@pytest_twisted.ensureDeferred
async def test_nobody_to_ask() -> None:
    assert await Pings(Asked().ping, Clock(), 2.0, 8).ask([]) == {}
