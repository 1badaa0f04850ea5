import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from oose.contents import Content
from oose.demand.note import Note
from oose.settings.model import CloneSettings
from oose.wishes import desired, usual

HASH = "a" * 40
NOW = 1_700_000_000_000
SETTINGS = CloneSettings(minimum=2, maximum=5, bear=100)


def asked(per_minute: int, wanted: int | None = None) -> Content:
    content = Content(HASH, wanted=wanted)
    note = Note().said("p1", per_minute, SETTINGS, usual(content, SETTINGS), NOW)
    return evolve(content, demand=note.to_value())


def test_of_most_content_there_are_as_many_clones_as_usual() -> None:
    assert desired(Content(HASH), SETTINGS, NOW) == 2
    assert desired(asked(200), SETTINGS, NOW) == 2


def test_an_administrator_wishes_for_more_or_fewer_and_is_not_held_to_the_maximum() -> None:
    assert desired(Content(HASH, wanted=1), SETTINGS, NOW) == 1
    assert desired(Content(HASH, wanted=7), SETTINGS, NOW) == 7


@pytest.mark.parametrize(
    ("per_minute", "wanted", "clones"),
    [(301, None, 4), (301, 1, 4), (301, 4, 4), (301, 7, 7), (9000, None, 5), (9000, 7, 7)],
)
def test_what_is_asked_for_often_has_more_up_to_the_maximum(
    per_minute: int, wanted: int | None, clones: int
) -> None:
    assert desired(asked(per_minute, wanted), SETTINGS, NOW) == clones


def test_demand_may_be_switched_off() -> None:
    assert desired(asked(9000), evolve(SETTINGS, bear=0), NOW) == 2


@given(
    st.integers(1, 10_000),
    st.one_of(st.none(), st.integers(1, 9)),
    st.integers(0, 10**9),
    st.integers(0, 1000),
)
def test_there_are_never_fewer_than_usual_nor_more_than_the_maximum_for_demand(
    per_minute: int, wanted: int | None, after: int, bear: int
) -> None:
    settings = evolve(SETTINGS, bear=bear)
    content = asked(per_minute, wanted)
    floor = usual(content, settings)
    assert floor <= desired(content, settings, NOW + after) <= max(floor, settings.maximum)
