"""What follows from words on demand, against a model that is turned on ten seconds at a time."""

from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from oose.demand.note import WORD_LIFE, Note, Word
from oose.settings.model import CloneSettings

START = 1_700_000_000_000
SETTINGS = CloneSettings(bear=100, maximum=6, cool_after=600.0)
COOL = 600_000
MINUTE = 60_000
STEP = 10_000  # ms; the lives of words and levels are so many of them


def up(count: float) -> int:
    return -int(-count // 1)


@define
class Model:
    """The rule as it is told to people: the same words, and time that passes."""

    settings: CloneSettings
    words: dict[str, Word] = field(factory=dict)
    level: int = 0
    quiet_since: int | None = None

    def look(self, now: int) -> int:
        """The level at this moment; every moment has to be looked at."""
        asked = sum(w.per_minute for w in self.words.values() if now - w.at < WORD_LIFE)
        needed = min(up(asked / self.settings.bear), self.settings.maximum)
        if needed > self.level:
            self.level, self.quiet_since = needed, None
        self.note_whether_it_is_quiet(asked, now)
        quiet_since = self.quiet_since
        if quiet_since is not None and now - quiet_since >= self.settings.cool_after * 1000:
            self.level = max(0, min(self.level - 1, up(asked * 10 / (7 * self.settings.bear))))
            self.quiet_since = None
            self.note_whether_it_is_quiet(asked, now)
        return self.level

    def note_whether_it_is_quiet(self, asked: int, now: int) -> None:
        if asked * 10 > 7 * self.settings.bear * (self.level - 1):
            self.quiet_since = None
        elif self.quiet_since is None:
            self.quiet_since = now


def say(note: Note, name: str, per_minute: int | None, now: int, floor: int = 2) -> Note:
    return note.said(name, per_minute, SETTINGS, floor, now)


def hot(per_minute: int, now: int = START) -> Note:
    return say(Note(), "p1", per_minute, now)


words = st.tuples(
    st.sampled_from(["p1", "p2", "p3"]),
    st.one_of(st.none(), st.integers(1, 400)),
    st.sampled_from([0, 1, 3, 9, 15, 30, 70]),  # steps until the next
)


@given(st.lists(words, max_size=12), st.integers(0, 3), st.sampled_from([0.0, 10.0, 100.0, 600.0]))
def test_a_level_is_what_the_rule_says_whoever_writes_and_whenever_it_is_read(
    said: list[tuple[str, int | None, int]], floor: int, cool_after: float
) -> None:
    settings = evolve(SETTINGS, cool_after=cool_after)
    model, note, now = Model(settings), Note(), START
    for name, per_minute, steps in [*said, ("p1", None, 100)]:
        model.look(now)
        model.words.pop(name, None)
        if per_minute is not None:
            model.words[name] = Word(per_minute, now)
        note = Note.parse(note.said(name, per_minute, settings, floor, now).to_value())
        for _ in range(steps + 1):
            level = note.clones(settings, now)
            assert max(level, floor) == max(model.look(now), floor)
            assert level <= settings.maximum
            now += STEP
        now -= STEP


@given(st.lists(words, max_size=8))
def test_to_write_what_was_said_already_changes_nothing(
    said: list[tuple[str, int | None, int]],
) -> None:
    note, now = Note(), START
    for name, per_minute, steps in said:
        note = say(note, name, per_minute, now)
        again = say(note, name, per_minute, now)
        assert again.clones(SETTINGS, now) == note.clones(SETTINGS, now)
        assert again.words == note.words
        now += steps * STEP


def test_as_many_clones_as_bear_it_all_rounded_up_and_no_more_than_the_maximum() -> None:
    note = say(hot(201), "p2", 100, START)
    assert note.asked(START) == 301
    assert note.clones(SETTINGS, START) == 4
    assert hot(200).clones(SETTINGS, START) == 2
    assert hot(201).clones(SETTINGS, START) == 3
    assert hot(100_000).clones(SETTINGS, START) == 6


def test_no_more_for_demand_where_a_clone_bears_anything() -> None:
    off = evolve(SETTINGS, bear=0)
    note = hot(1000)
    assert note.level == 6
    assert note.clones(off, START) == 0
    assert note.said("p1", 5, off, 2, START).level == 0


def test_a_prism_that_is_silent_for_a_few_rounds_counts_no_more() -> None:
    note = say(hot(300), "p2", 300, START + MINUTE)
    assert note.asked(START + WORD_LIFE - 1) == 600
    assert note.asked(START + WORD_LIFE) == 300
    assert "p1" not in say(note, "p2", 300, START + WORD_LIFE).words


def test_fewer_are_called_for_only_when_it_has_been_quiet_for_long() -> None:
    note = say(hot(600), "p1", 10, START + MINUTE)
    quiet = START + MINUTE
    assert note.clones(SETTINGS, quiet + COOL - 1) == 6
    assert note.clones(SETTINGS, quiet + COOL) == 0
    # That it still says so makes no difference.
    later = say(note, "p1", 10, quiet + COOL - 1)
    assert later.clones(SETTINGS, quiet + COOL - 1) == 6
    assert later.clones(SETTINGS, quiet + COOL) == 1
    assert say(note, "p1", 10, quiet + COOL).level == 0  # fewer than usual


def test_one_clone_less_that_were_nearly_busy_is_no_reason_for_fewer() -> None:
    note, now = hot(410), START
    for _ in range(40):  # 4 clones bear 281 at 70 %, of which the fifth would not be needed
        now += MINUTE
        note = say(note, "p1", 281, now)
    assert note.clones(SETTINGS, now) == 5
    for _ in range(11):
        now += MINUTE
        note = say(note, "p1", 280, now)
    assert note.clones(SETTINGS, now) == 4


def test_a_quiet_time_that_ends_begins_anew() -> None:
    note = say(hot(600), "p1", 10, START + MINUTE)
    note = say(note, "p1", 360, START + 10 * MINUTE)
    note = say(note, "p1", 10, START + 11 * MINUTE)
    assert note.clones(SETTINGS, START + 11 * MINUTE + COOL - 1) == 6
    assert note.clones(SETTINGS, START + 11 * MINUTE + COOL) == 0


def test_when_all_prisms_are_gone_it_cools_from_when_their_words_count_no_more() -> None:
    note = hot(600)
    quiet = START + WORD_LIFE
    assert note.clones(SETTINGS, quiet + COOL - 1) == 6
    assert note.clones(SETTINGS, quiet + COOL) == 0
    assert not note.is_over(SETTINGS, 2, quiet + COOL - 1)
    assert note.is_over(SETTINGS, 2, quiet + COOL)


def test_words_that_still_count_are_not_over_however_little_they_say() -> None:
    note = hot(10)
    assert note.level == 0
    assert not note.is_over(SETTINGS, 2, START)
    assert note.is_over(SETTINGS, 2, START + WORD_LIFE)


def test_a_clock_that_goes_wrong_keeps_no_clones() -> None:
    tomorrow = START + 86_400_000
    note = hot(600, tomorrow)
    assert note.clones(SETTINGS, START) == 0
    assert say(note, "p2", 10, START).words.keys() == {"p2"}


def test_a_maximum_that_is_less_now_is_kept() -> None:
    assert hot(600).clones(evolve(SETTINGS, maximum=3), START) == 3


def test_a_note_is_read_back_from_a_document() -> None:
    note = say(hot(300), "p2", 20, START + 1)
    value = {
        "prisms": {"p1": {"perMinute": 300, "at": START}, "p2": {"perMinute": 20, "at": START + 1}},
        "level": 4,
        "since": START + 1,
    }
    assert note.to_value() == value
    assert Note.parse(value) == note
    assert Note().to_value() == {}


@pytest.mark.parametrize(
    "demand",
    [
        {"prisms": [1, 2], "level": "x", "since": None},
        {"prisms": {"p1": 5, "p2": {"perMinute": -3, "at": "now"}}},
        {"level": -1, "since": 1.5},
        {"others": 1},
        5,
    ],
)
def test_what_makes_no_sense_in_a_document_calls_for_nothing(demand: Any) -> None:
    note = Note.parse(demand)
    assert note.clones(SETTINGS, START) == 0
    assert note.is_over(SETTINGS, 2, START)
