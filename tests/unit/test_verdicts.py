"""Judging by what the database says where its news comes late; the rest is in the simulations."""

import pytest
from attrs import evolve, field, mutable
from twisted.internet.task import Clock

from oose.neighbourhood import neighbourhood
from oose.presence import Presence
from oose.registry import Registry
from oose.verdicts import Verdicts
from oose.votes import Vote, Votes
from tests.simulation.cluster import begin, peer
from tests.simulation.memory import MemoryDocuments

FIRST, SECOND, SUSPECT = (peer(n) for n in range(3))
LIFE = 60.0


@mutable
class Court:
    """What `p0` thinks of `p2`, which `p1` watches too."""

    clock: Clock = field(factory=Clock)
    peers: MemoryDocuments = field(init=False)
    votes: Votes = field(init=False)
    registry: Registry = field(init=False)
    verdicts: Verdicts = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.peers = MemoryDocuments(self.clock)
        self.registry = self.others()
        for each in (FIRST, SECOND, SUSPECT):
            begin(self.registry.register(each))
        self.votes = Votes(MemoryDocuments(self.clock))
        presence = Presence(LIFE, LIFE)
        self.verdicts = Verdicts(self.registry, self.votes, presence, self.clock)
        self.look()

    def others(self) -> Registry:
        """What somebody else knows."""
        registry = Registry(self.peers)
        begin(registry.load())
        return registry

    def look(self) -> None:
        self.verdicts.look(neighbourhood([FIRST.id], self.registry.peers()))

    def vote(self, *voters: str) -> None:
        begin(self.votes.cast([Vote(SUSPECT.id, each, "No answer", 0) for each in voters]))

    def pass_by(self, seconds: float) -> None:
        """Time in which `p0` alone renews its document, as far as it has heard."""
        self.clock.advance(seconds)
        begin(self.registry.renew([evolve(FIRST, renewed=int(self.clock.seconds()))]))
        self.look()

    def judge(self) -> bool:
        """Whether the suspect is down after it."""
        begin(self.verdicts.reach([SUSPECT.id], []))
        return not bool(self.peers.now()[SUSPECT.id].body["available"])


def test_a_watcher_that_renews_its_document_counts_although_the_news_is_late() -> None:
    court = Court()
    court.vote(FIRST.id)
    begin(court.others().renew([evolve(SECOND, renewed=5)]))
    court.pass_by(LIFE / 2)
    court.pass_by(LIFE / 2 + 1)
    assert not court.judge()
    court.vote(SECOND.id)
    assert court.judge()


def test_a_watcher_that_does_not_renew_its_document_counts_no_longer() -> None:
    court = Court()
    court.vote(FIRST.id)
    assert not court.judge()
    court.pass_by(LIFE / 2)
    assert not court.judge()
    court.pass_by(LIFE / 2 + 1)
    assert court.judge()


def test_a_watcher_that_was_removed_does_not_count() -> None:
    court = Court()
    court.vote(FIRST.id)
    begin(court.registry.deactivate(SECOND.id))
    begin(court.registry.remove(SECOND.id))
    court.verdicts.look(neighbourhood([FIRST.id], [FIRST, SECOND, SUSPECT]))
    assert court.judge()


@pytest.mark.parametrize("renewed", [0, 7])
def test_a_suspect_that_has_written_meanwhile_is_looked_at_again_first(renewed: int) -> None:
    court = Court()
    court.vote(FIRST.id, SECOND.id)
    begin(court.others().renew([evolve(SUSPECT, renewed=renewed)]))
    assert court.judge() is (renewed == 0)  # where it wrote nothing there is nothing to look at
    assert court.judge()


def test_a_suspect_that_was_stopped_meanwhile_stays_so() -> None:
    court = Court()
    court.vote(FIRST.id, SECOND.id)
    begin(court.others().update(evolve(SUSPECT, available=False)))
    assert court.judge()
    assert not court.peers.now()[SUSPECT.id].body["voted"]


def test_who_answers_is_brought_back_only_when_most_do_not_object() -> None:
    court = Court()
    court.vote(FIRST.id, SECOND.id)
    assert court.judge()
    court.look()
    begin(court.verdicts.reach([], [SUSPECT.id]))
    assert not court.peers.now()[SUSPECT.id].body["available"]
    begin(court.votes.withdraw([(SUSPECT.id, FIRST.id)]))
    begin(court.verdicts.reach([], [SUSPECT.id]))
    assert court.peers.now()[SUSPECT.id].body["available"]


def test_who_was_brought_back_by_somebody_else_is_left_so() -> None:
    court = Court()
    court.vote(FIRST.id, SECOND.id)
    assert court.judge()
    court.look()
    begin(court.others().bring_back(SUSPECT.id))
    begin(court.votes.withdraw([(SUSPECT.id, FIRST.id)]))
    before = court.peers.now()[SUSPECT.id].rev
    begin(court.verdicts.reach([], [SUSPECT.id]))
    assert court.peers.now()[SUSPECT.id].rev == before
