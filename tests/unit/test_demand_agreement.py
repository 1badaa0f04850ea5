"""What prisms say in content documents, when others write there too."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.task import Clock

from oose.contents import Content
from oose.demand.agreement import TRIES, Agreement
from oose.demand.counter import Rate
from oose.demand.hearing import AT_ONCE, REMEMBERED, Hearing
from oose.demand.note import WORD_LIFE, Note
from oose.demand.tidying import PAGE, Tidying
from oose.metadata.documents import Stale, Write
from oose.settings.model import CloneSettings
from tests.simulation.memory import MemoryDocuments
from tests.unit.at_once import at_once

A, B = "a" * 40, "b" * 40
NOW = 1_700_000_000_000
SETTINGS = CloneSettings(bear=100, maximum=6, cool_after=600.0)
SHARE = 50.0
OVER = NOW + WORD_LIFE + 600_000


class Busy(MemoryDocuments):
    """Where somebody else writes just before the next writes, once for each of `edits`."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.edits: list[Mapping[str, Any]] = []

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        if self.edits:
            edit = self.edits.pop()
            for write in writes:
                before = self.now().get(write.id)
                await self.put(write.id, edit, before.rev if before is not None else None)
        return await super().put_many(writes)


def body(documents: MemoryDocuments, content_hash: str = A) -> Any:
    document = documents.now().get(content_hash)
    return document.body if document is not None else None


def agreement(documents: MemoryDocuments, name: str = "p1") -> Agreement:
    return Agreement(name, documents, SETTINGS)


def say(prism: Agreement, now: int = NOW, **rates: float) -> list[str]:
    hottest = [Rate(name[0] * 40, rate) for name, rate in rates.items()]
    return [content.hash for content in at_once(prism.say(hottest, SHARE, now))]


def test_what_is_hot_is_in_the_content_document_until_it_is_not() -> None:
    documents = Busy()
    prism = agreement(documents)
    assert say(prism, a=120) == [A]
    assert body(documents) == {"demand": {"prisms": {"p1": {"perMinute": 120, "at": NOW}}}}
    assert len(prism) == 1
    assert say(prism, NOW + 1, a=130) == []
    assert say(prism, NOW + 2) == [A]
    assert body(documents) is None
    assert len(prism) == 0


def test_a_round_is_two_requests_and_none_where_there_is_nothing_to_say() -> None:
    documents = Busy()
    prism = agreement(documents)
    say(prism, a=120, b=300)
    assert documents.requests == 2
    say(prism, a=120, b=300)
    assert documents.requests == 2


def test_words_and_notes_of_others_are_left_alone() -> None:
    documents = Busy()
    claim = {"claim": {"by": "p9", "until": 1}, "protected": True}
    at_once(documents.put(A, claim))
    say(agreement(documents), a=250)
    say(agreement(documents, "p2"), a=100)
    demand = body(documents).pop("demand")
    assert body(documents) | {"demand": 0} == claim | {"demand": 0}
    assert {name: word["perMinute"] for name, word in demand["prisms"].items()} == {
        "p1": 250,
        "p2": 100,
    }
    assert demand["level"] == 4


def test_who_was_slower_reads_again() -> None:
    documents = Busy()
    documents.edits = [{"protected": True}]
    assert say(agreement(documents), a=120) == [A]
    assert body(documents).keys() == {"protected", "demand"}


def test_who_is_always_slower_says_it_in_the_next_round() -> None:
    documents = Busy()
    prism = agreement(documents)
    documents.edits = [{"wanted": n} for n in range(TRIES)]
    assert say(prism, a=120) == []
    assert len(prism) == 0
    assert body(documents) == {"wanted": 0}
    assert say(prism, a=120) == [A]


def test_a_word_that_is_there_already_need_not_be_written() -> None:
    documents = Busy()
    say(agreement(documents), a=120)
    restarted = agreement(documents)
    assert say(restarted, a=120) == []
    assert len(restarted) == 1
    say(agreement(documents, "p2"), a=60)
    assert say(restarted) == [A]
    assert body(documents)["demand"]["prisms"].keys() == {"p2"}
    at_once(documents.delete(A, documents.now()[A].rev))
    prism = agreement(documents)
    say(prism, a=120)
    at_once(documents.delete(A, documents.now()[A].rev))
    assert say(prism) == []
    assert body(documents) is None


# Hearing of it.


class Heard:
    """A prism that hears what is in `documents`."""

    def __init__(self, documents: MemoryDocuments, now: Callable[[], int] = lambda: NOW) -> None:
        self.told: list[str] = []
        self.hearing = Hearing(documents, SETTINGS, self.told.extend, now)

    def changed(self, *hashes: str) -> list[str]:
        self.told.clear()
        at_once(self.hearing.changed(hashes))
        return list(self.told)


def test_only_that_there_should_be_more_clones_is_passed_on() -> None:
    documents = Busy()
    heard = Heard(documents)
    prism = agreement(documents)
    say(prism, a=60, b=500)
    assert heard.changed(A, B) == [B]
    assert heard.changed(B) == []
    say(prism, a=301, b=500)
    assert heard.changed(A) == [A]
    assert heard.hearing.desired(A) == 4
    say(prism, a=301, b=5000)
    assert heard.changed(B) == [B]
    assert heard.hearing.desired("c" * 40) == 2


def test_a_wish_of_an_administrator_is_heard_as_well() -> None:
    documents = Busy()
    heard = Heard(documents)
    rev = at_once(documents.put(A, {"wanted": 1}))
    assert heard.changed(A) == []
    assert isinstance(rev, str)
    at_once(documents.put(A, {"wanted": 2}, rev))
    assert heard.changed(A) == [A]
    at_once(documents.delete(A, documents.now()[A].rev))
    assert heard.changed(A) == []
    assert heard.hearing.desired(A) == 2


def test_what_has_cooled_down_unnoticed_is_heard_of_when_it_is_hot_again() -> None:
    documents, times = Busy(), [NOW]
    heard = Heard(documents, lambda: times[-1])
    say(agreement(documents), a=500)
    assert heard.changed(A) == [A]
    times.append(OVER)
    assert heard.hearing.desired(A) == 2
    say(agreement(documents), OVER, a=300)
    assert heard.changed(A) == [A]
    assert heard.hearing.desired(A) == 3


def test_many_changes_are_read_in_parts_and_not_all_of_them_remembered() -> None:
    documents = Busy()
    heard = Heard(documents)
    heard.changed(*[f"{n:040x}" for n in range(2 * AT_ONCE + 1)])
    assert documents.requests == 3
    wishes = [Content(f"{n:040x}", wanted=5) for n in range(REMEMBERED + 2)]
    heard.hearing.saw(wishes)
    assert [heard.hearing.desired(each.hash) for each in wishes[:3]] == [2, 2, 5]


def test_after_changes_were_missed_all_is_heard_anew() -> None:
    documents = Busy()
    heard = Heard(documents)
    say(agreement(documents), a=500)
    assert heard.changed(A) == [A]
    at_once(heard.hearing.missed())
    assert heard.changed(A) == [A]


# Tidying up.


def tidy(tidying: Tidying, now: int) -> list[str]:
    return [content.hash for content in at_once(tidying.step(now))]


def test_words_of_prisms_that_are_gone_are_taken_away_when_it_has_cooled_down() -> None:
    documents = Busy()
    say(agreement(documents), a=500, b=60)
    at_once(documents.put("c" * 40, {"protected": True}))
    tidying = Tidying(documents, SETTINGS)
    assert tidy(tidying, NOW + WORD_LIFE - 1) == []
    assert tidy(tidying, NOW + WORD_LIFE) == [B]
    assert tidy(tidying, OVER - 1) == []
    assert tidy(tidying, OVER) == [A]
    assert documents.now().keys() == {"c" * 40}


def test_what_else_is_noted_stays() -> None:
    documents = Busy()
    at_once(documents.put(A, {"wanted": 1, "claim": {"by": "x", "until": 5}}))
    say(agreement(documents), a=500)
    assert tidy(Tidying(documents, SETTINGS), OVER) == [A]
    assert body(documents) == {"wanted": 1, "claim": {"by": "x", "until": 5}}


def test_demand_that_makes_no_sense_is_tidied_up_and_none_at_all_is_not() -> None:
    documents = Busy()
    at_once(documents.put(A, {"demand": {"prisms": 5}}))
    at_once(documents.put(B, {"demand": {}, "protected": True}))
    assert tidy(Tidying(documents, SETTINGS), NOW) == [A]


def test_a_document_that_is_written_meanwhile_is_left_for_the_next_time() -> None:
    documents = Busy()
    say(agreement(documents), a=500)
    documents.edits = [{"demand": Note().said("p2", 90, SETTINGS, 2, OVER).to_value()}]
    tidying = Tidying(documents, SETTINGS)
    assert tidy(tidying, OVER) == []
    assert tidy(tidying, OVER) == []
    assert body(documents)["demand"]["prisms"].keys() == {"p2"}


def test_many_documents_are_looked_at_a_page_at_a_time_and_then_from_the_start() -> None:
    documents = Busy()
    for n in range(PAGE):
        at_once(documents.put(f"{n:040x}", {"protected": True}))
    say(agreement(documents), f=500)
    tidying = Tidying(documents, SETTINGS)
    assert tidy(tidying, OVER) == []
    assert tidy(tidying, OVER) == ["f" * 40]
    say(agreement(documents), OVER, f=60)
    assert tidy(tidying, 2 * OVER) == []
    assert tidy(tidying, 2 * OVER) == ["f" * 40]
