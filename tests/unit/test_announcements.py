"""What others have changed of peers is in every process's log, once."""

from collections.abc import Iterator

import pytest
from attrs import evolve, field, mutable
from twisted.internet.task import Clock

from oose.announcements import Announcements
from oose.peer import Peer
from oose.registry import Registry
from tests.simulation.cluster import begin, peer
from tests.simulation.memory import MemoryDocuments
from tests.unit.logged import logged

STORE = evolve(peer(1, 1), url="http://192.0.2.1:5972")


@mutable
class News:
    """What a process that follows the peers has in its log, and another that changes them."""

    own: list[str] = field(factory=list)
    documents: MemoryDocuments = field(factory=lambda: MemoryDocuments(Clock()))
    registry: Registry = field(init=False)
    other: Registry = field(init=False)
    warnings: list[str] = field(factory=list)
    notes: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.other = Registry(self.documents)
        begin(self.other.register(STORE))
        self.registry = Registry(self.documents)
        self.registry.watch(Announcements(self.own).tell)
        begin(self.registry.load())

    def follow(self) -> tuple[list[str], list[str]]:
        """What is told of what has changed: warnings and the rest."""
        for log in (self.warnings, self.notes):
            log.clear()
        for _ in range(2):
            begin(self.registry.apply([STORE.id]))
        return list(self.warnings), list(self.notes)

    def known(self) -> Peer:
        found = self.other.peer(STORE.id)
        assert found is not None
        return found


@pytest.fixture
def news() -> Iterator[News]:
    yield from listening(News())


@pytest.fixture
def at_home() -> Iterator[News]:
    yield from listening(News([STORE.id]))


def listening(news: News) -> Iterator[News]:
    with logged("warn") as news.warnings, logged("info") as news.notes:
        yield news


def test_a_vote_and_its_end_are_told_by_everybody(news: News) -> None:
    begin(news.other.vote_down(STORE.id))
    assert news.follow() == ([f"{STORE.id} is down (voted)"], [])
    begin(news.other.bring_back(STORE.id))
    assert news.follow() == ([], [f"{STORE.id} is back"])


def test_who_was_voted_down_hears_of_it(at_home: News) -> None:
    begin(at_home.other.vote_down(STORE.id))
    called = f"{STORE.id}, which is here,"
    why = f"others have no answer from it. Can they reach {STORE.url}?"
    assert at_home.follow() == ([f"{called} is down (voted): {why}"], [])
    begin(at_home.other.bring_back(STORE.id))
    assert at_home.follow() == ([], [f"{called} is back"])


def test_an_administrators_words_are_told(news: News) -> None:
    begin(news.other.deactivate(STORE.id))
    begin(news.other.set_writable(STORE.id, False))
    told = [f"{STORE.id} was deactivated by an administrator", f"{STORE.id} takes nothing new"]
    assert news.follow() == ([], told)
    begin(news.other.activate(STORE.id))
    begin(news.other.set_writable(STORE.id, True))
    told = [f"{STORE.id} was activated by an administrator", f"{STORE.id} takes new content again"]
    assert news.follow() == ([], told)


def test_who_stops_and_comes_back_is_told(news: News) -> None:
    begin(news.other.update(evolve(STORE, available=False)))
    assert news.follow() == ([], [f"{STORE.id} has stopped, or its disk is gone"])
    begin(news.other.update(evolve(STORE, available=True)))
    assert news.follow() == ([], [f"{STORE.id} is back"])


def test_a_renewal_is_nothing_to_tell(news: News) -> None:
    begin(news.other.update(evolve(news.known(), renewed=5, free=7)))
    assert news.follow() == ([], [])


def test_what_a_process_has_written_itself_it_has_told_already(news: News) -> None:
    begin(news.registry.vote_down(STORE.id))
    assert news.follow() == ([], [])
    begin(news.registry.bring_back(STORE.id))
    assert news.follow() == ([], [])


def test_who_comes_too_late_with_its_vote_tells_that_of_the_other(news: News) -> None:
    begin(news.other.vote_down(STORE.id))
    begin(news.registry.vote_down(STORE.id))
    assert news.warnings == [f"{STORE.id} is down (voted)"]


def test_who_is_new_is_only_known(news: News) -> None:
    begin(news.other.register(peer(2)))
    begin(news.registry.load())
    assert (news.warnings, news.notes) == ([], [])
    assert news.registry.peer(peer(2).id) is not None
