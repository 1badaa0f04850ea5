"""Clones on demand, for an audience of three hours: see `audience.py` for where it comes from."""

from itertools import pairwise

import pytest

from oose.demand.counter import MOST
from oose.demand.note import WORD_LIFE
from oose.demand.service import REST, ROUND
from oose.settings.model import CloneSettings
from tests.simulation.audience import BEGINS, ENDS, SECONDS, SHARES, VIRAL, Audience, name_of

COOL = 1800
SOON = 2 * ROUND + 10  # seconds: what is new is half counted by then, and said and heard


def audience(exponent: float, bear: int = 600, **dies: int) -> Audience:
    settings = CloneSettings(minimum=2, maximum=6, bear=bear, cool_after=COOL)
    found = Audience(settings, exponent, dies={second: name for name, second in dies.items()})
    found.run()
    return found


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.1])
def test_what_becomes_viral_has_more_clones_soon_and_is_as_before_when_it_is_forgotten(
    exponent: float,
) -> None:
    crowd = audience(exponent)
    history = crowd.levels[VIRAL]
    *risen, (over, last) = history[1:]
    assert [level for _, level in risen] == sorted({level for _, level in risen})  # no flapping
    assert risen[0][0] <= BEGINS + SOON
    assert risen[-1][0] <= BEGINS + 2 * SOON
    assert risen[-1][1] == crowd.settings.maximum  # though 100 a second call for ten
    assert last == crowd.settings.minimum
    assert ENDS + COOL < over < ENDS + COOL + 300
    assert VIRAL not in crowd.documents.now()


def test_all_prisms_hear_the_same_and_as_soon() -> None:
    crowd = audience(1.0)
    assert crowd.told["p1"] == crowd.told["p2"] == crowd.told["p3"] != []
    heard = {when for when, each in crowd.told["p1"] if each == VIRAL}
    risen = [second for second, _ in crowd.levels[VIRAL][1:-1]]
    assert len(heard) == len(risen)
    assert all(when <= second + REST for when, second in zip(sorted(heard), risen, strict=True))


def test_a_prism_that_dies_says_nothing_more_and_the_others_go_on() -> None:
    crowd = audience(1.0, p1=(BEGINS + ENDS) // 2)
    history = crowd.levels[VIRAL]
    assert [level for _, level in history] == [2, 3, 4, 5, 6, 2]
    assert ENDS + COOL < history[-1][0] < ENDS + COOL + 300
    assert VIRAL in crowd.documents.now()  # who would tidy up is dead, and nobody has said so
    assert crowd.told["p2"] == crowd.told["p3"]


def test_when_all_prisms_die_it_cools_down_all_the_same() -> None:
    died = BEGINS + 600
    crowd = audience(1.0, p1=died - 2, p2=died - 1, p3=died)
    second, level = crowd.levels[VIRAL][-1]
    assert level == crowd.settings.minimum
    assert died + COOL < second <= died + COOL + WORD_LIFE // 1000 + 10


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.1])
def test_what_is_always_hot_has_as_many_clones_as_it_takes_and_they_stay(exponent: float) -> None:
    crowd = audience(exponent, bear=100)
    for content_hash, history in crowd.levels.items():
        levels = [level for _, level in history]
        if content_hash != VIRAL:
            assert levels == sorted(levels)
            assert history[-1][0] < 600
        assert max(levels) <= crowd.settings.maximum
        for (_, before), (second, after) in pairwise(history):
            assert after > before or second > COOL
    steep = exponent > 1
    assert (crowd.levels[name_of(1)][-1][1] == 6) == steep  # asked for 500 times a minute


def test_little_is_asked_of_the_database_and_little_is_kept_in_memory() -> None:
    crowd = audience(1.1, bear=100)
    rounds = len(SHARES) * SECONDS / ROUND
    assert crowd.documents.requests < 8 * rounds  # one in four seconds from each
    assert all(each.describe()["counted"] <= MOST for each in crowd.prisms.values())
    assert len(crowd.documents.now()) < 20
