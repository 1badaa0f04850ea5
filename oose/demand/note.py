"""The word on demand in a content document, and how many clones it calls for.

It holds what each prism counts, and the number of clones that was called for (`level`), with when
it was last (`since`). More are called for at once; fewer only after `cool_after` seconds without a
moment at which one clone less would have been busy. Whoever reads the same document at the same
time takes the same from it: nobody has to decide for the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from oose.settings.model import CloneSettings

WORD_LIFE = 150_000  # ms for which a prism's word counts: it may have died since
CALM = 70  # % of what they bear, from which on clones are busy


@frozen
class Word:
    """That a prism sent so many viewers a minute, as of `at` (ms since 1970)."""

    per_minute: int
    at: int

    def counts(self, now: int) -> bool:
        """Whether it is from now, more or less: neither old nor of a clock that goes wrong."""
        return abs(now - self.at) < WORD_LIFE


@frozen
class Note:
    """What prisms say, by name; `level` is 0 where no more clones were called for than usual."""

    words: Mapping[str, Word] = field(factory=dict)
    level: int = 0
    since: int = 0

    @classmethod
    def parse(cls, demand: Any) -> "Note":
        """From a document; what makes no sense there is left out."""
        if not isinstance(demand, Mapping):
            return cls()
        prisms = demand.get("prisms")
        words = {}
        for name, said in prisms.items() if isinstance(prisms, Mapping) else ():
            if isinstance(said, Mapping):
                words[name] = Word(_number(said.get("perMinute")), _number(said.get("at")))
        return cls(words, _number(demand.get("level")), _number(demand.get("since")))

    def to_value(self) -> Mapping[str, Any]:
        """As the document has it; empty where there is nothing to say."""
        value: dict[str, Any] = {}
        if self.words:
            value["prisms"] = {
                name: {"perMinute": word.per_minute, "at": word.at}
                for name, word in sorted(self.words.items())
            }
        if self.level:
            value |= {"level": self.level, "since": self.since}
        return value

    def asked(self, now: int) -> int:
        """Viewers a minute, of all prisms."""
        return sum(word.per_minute for word in self.words.values() if word.counts(now))

    def clones(self, settings: CloneSettings, now: int) -> int:
        """How many clones demand calls for; at most `settings.maximum`, 0 where it is off."""
        return self.standing(settings, now)[0]

    def is_over(self, settings: CloneSettings, floor: int, now: int) -> bool:
        """Whether nobody says anything, and no more clones are called for than `floor`."""
        is_silent = not any(word.counts(now) for word in self.words.values())
        return is_silent and self.clones(settings, now) <= floor

    def said(
        self, name: str, per_minute: int | None, settings: CloneSettings, floor: int, now: int
    ) -> "Note":
        """With the word of the prism `name` (None: it has none any more).

        A level of `floor` clones or fewer, which there are anyway, is not noted.
        """
        words = {each: word for each, word in self.words.items() if word.counts(now)}
        words.pop(name, None)
        if per_minute is not None:
            words[name] = Word(per_minute, now)
        level, since = self.standing(settings, now)
        level, since = Note(words, level, since).standing(settings, now)
        return Note(words, level, since) if level > floor else Note(words)

    def standing(self, settings: CloneSettings, now: int) -> tuple[int, int]:
        """The level, and until when it was called for: `now` where it is."""
        bear = settings.bear
        if not bear:
            return 0, 0
        level = min(self.level, settings.maximum)
        until = self.since if self.since < now + WORD_LIFE else 0
        words = [word for word in self.words.values() if word.at < now + WORD_LIFE]
        words.sort(key=lambda word: word.at, reverse=True)
        while level:
            until = max(until, busy_until(words, bear * CALM * (level - 1)))
            end = until + int(settings.cool_after * 1000)
            if now < end:
                break
            level, until = min(level - 1, _up(self.asked(end) * 100, bear * CALM)), end
        needed = min(_up(self.asked(now), bear), settings.maximum)
        return (needed, now) if needed > level else (level, min(now, until))


def busy_until(words: Sequence[Word], calm: int) -> int:
    """Until when more than `calm` hundredths are asked for, of words of which the last is first."""
    asked = 0
    for word in words:
        asked += word.per_minute * 100
        if asked > calm:
            return word.at + WORD_LIFE
    return 0


def _up(count: int, each: int) -> int:
    """A division, rounded up."""
    return -(-count // each)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
