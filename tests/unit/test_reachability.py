import pytest
from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from oose.errors import Unavailable
from oose.peer import Peer
from oose.reachability import REFUSED, USED, Reachability, Refused
from oose.registry import Registry
from tests.simulation.cluster import begin, peer
from tests.simulation.memory import MemoryDocuments
from tests.unit.logged import logged

STORE = "p1:s1-1"
PEERS = [peer(0), peer(1), peer(1, 1), peer(1, 2)]


@define
class Reaching:
    """A prism `p0`, beside a prism with two stores; `dead` places do not answer."""

    clock: Clock = field(factory=Clock)
    pinged: list[str] = field(factory=list)
    dead: set[str] = field(factory=set)
    silent: set[str] = field(factory=set)
    registry: Registry = field(init=False)
    reachability: Reachability = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.registry = Registry(MemoryDocuments(self.clock))
        for each in PEERS:
            begin(self.registry.register(each))
        self.reachability = Reachability(
            self.ping, self.registry, self.clock, own=["p0"], timeout=2.0, concurrency=2
        )

    async def ping(self, one: Peer) -> None:
        self.pinged.append(one.place)
        if one.place in self.silent:
            await Deferred()
        if one.place in self.dead:
            raise ConnectionRefusedError

    def look(self) -> set[str]:
        """Who is pinged in a round."""
        self.pinged.clear()
        begin(self.reachability.look())
        return set(self.pinged)


def test_who_failed_is_avoided_until_it_answers() -> None:
    reaching = Reaching()
    reachability = reaching.reachability
    assert not reachability.avoids(STORE)
    with logged("warn") as warnings:
        reachability.failed(STORE)
        reachability.failed(STORE)
    assert reachability.avoids(STORE)
    assert not reachability.avoids("p1:s1-2")
    with logged("info") as notes:
        reachability.answered(STORE)
        reachability.answered(STORE)
    assert not reachability.avoids(STORE)
    assert warnings == [f"{STORE} is avoided until it answers: no answer"]
    assert notes == [f"{STORE} answers again"]


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (Unavailable("s1 refused the connection"), "s1 refused the connection"),
        ("it broke off", "it broke off"),
        (CancelledError(), "no answer in time"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_why_somebody_is_avoided_is_told(why: Exception | str, words: str) -> None:
    with logged("warn") as warnings:
        Reaching().reachability.failed(STORE, why)
    assert warnings == [f"{STORE} is avoided until it answers: {words}"]


def test_why_a_ping_failed_is_told() -> None:
    reaching = Reaching(dead={STORE})
    reaching.reachability.used(STORE)
    with logged("warn") as warnings:
        reaching.look()
    assert warnings == [f"{STORE} is avoided until it answers: ConnectionRefusedError"]


WRONG = Refused("s1 refuses our credentials")


def test_who_refuses_our_credentials_is_avoided_for_a_while_whatever_it_answers_to_pings() -> None:
    reaching = Reaching()
    reachability = reaching.reachability
    with logged("warn") as warnings, logged("info") as notes:
        reachability.failed(STORE)
        for _ in range(3):
            reachability.failed(STORE, WRONG)
            reachability.used(STORE)
            assert STORE in reaching.look()
            reaching.clock.advance(REFUSED - 1)
            reaching.look()
            assert reachability.avoids(STORE)
            reaching.clock.advance(1)
            assert not reachability.avoids(STORE)
    why = f"{STORE} is avoided: s1 refuses our credentials"
    assert warnings == [f"{STORE} is avoided until it answers: no answer", why]
    assert notes == []


def test_who_takes_our_credentials_again_is_used_again() -> None:
    reaching = Reaching()
    for _ in range(2):
        with logged("warn") as warnings, logged("info") as notes:
            reaching.reachability.failed(STORE, WRONG)
            reaching.reachability.answered(STORE)
        assert warnings == [f"{STORE} is avoided: s1 refuses our credentials"]
        assert notes == [f"{STORE} takes our credentials again"]
        assert not reaching.reachability.avoids(STORE)


def test_who_refused_us_and_started_again_is_asked_again() -> None:
    reaching = Reaching()
    reaching.reachability.failed(STORE, WRONG)
    begin(reaching.registry.update(evolve(PEERS[2], renewed=5, free=5)))
    reaching.look()
    assert reaching.reachability.avoids(STORE)
    begin(reaching.registry.update(evolve(PEERS[2], available=False)))
    reaching.look()
    assert not reaching.reachability.avoids(STORE)


def test_who_refused_us_and_was_removed_is_forgotten() -> None:
    reaching = Reaching()
    reaching.reachability.failed("p9:s9", WRONG)
    assert reaching.reachability.avoids("p9:s9")
    reaching.look()
    assert not reaching.reachability.avoids("p9:s9")


def test_a_store_is_avoided_with_its_prism() -> None:
    reaching = Reaching()
    reaching.reachability.failed("p1")
    assert all(reaching.reachability.avoids(each) for each in ("p1", STORE, "p1:s1-2"))
    assert not reaching.reachability.avoids("p0")


def test_who_is_used_is_pinged_for_a_while_and_its_prism_too() -> None:
    reaching = Reaching()
    assert reaching.look() == set()
    reaching.reachability.used(STORE)
    assert reaching.look() == {"p1", STORE}
    reaching.clock.advance(USED)
    assert reaching.look() == {"p1", STORE}
    reaching.clock.advance(0.1)
    assert reaching.look() == set()


def test_a_round_finds_who_died_and_who_is_back() -> None:
    reaching = Reaching(dead={STORE})
    reaching.reachability.used(STORE)
    reaching.look()
    assert reaching.reachability.avoids(STORE)
    reaching.clock.advance(USED + 1)
    assert reaching.look() == {STORE}
    assert reaching.reachability.avoids(STORE)
    reaching.dead.clear()
    assert reaching.look() == {STORE}
    assert not reaching.reachability.avoids(STORE)
    assert reaching.look() == set()


def test_who_is_silent_is_given_up_and_avoided() -> None:
    reaching = Reaching(silent={STORE})
    reaching.reachability.used(STORE)
    reaching.look()
    assert not reaching.reachability.avoids(STORE)
    reaching.clock.advance(2.0)
    assert reaching.reachability.avoids(STORE)
    assert not reaching.reachability.avoids("p1:s1-2")


def test_those_that_are_used_are_asked_before_those_that_are_avoided() -> None:
    reaching = Reaching()
    reaching.reachability.failed(STORE)
    reaching.reachability.used("p1:s1-2")
    reaching.look()
    assert reaching.pinged[-1] == STORE
    assert len(reaching.pinged) == 3


def test_a_process_never_avoids_nor_asks_itself() -> None:
    reaching = Reaching()
    reaching.reachability.failed("p0")
    reaching.reachability.used("p0")
    assert not reaching.reachability.avoids("p0")
    assert reaching.look() == set()


def test_who_does_not_count_is_not_pinged_but_remembered() -> None:
    reaching = Reaching()
    reaching.reachability.failed(STORE)
    begin(reaching.registry.update(evolve(PEERS[2], available=False)))
    assert reaching.look() == set()
    assert reaching.reachability.avoids(STORE)
    begin(reaching.registry.update(PEERS[2]))
    assert reaching.look() == {STORE}


def test_who_was_removed_is_forgotten() -> None:
    reaching = Reaching()
    reaching.reachability.failed(STORE)
    reaching.reachability.used("p9:s9")
    begin(reaching.registry.deactivate(f"store:{STORE}"))
    begin(reaching.registry.remove(f"store:{STORE}"))
    assert reaching.look() == set()
    assert not reaching.reachability.avoids(STORE)
