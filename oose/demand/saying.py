"""What a prism has to say of demand now: what is news, and what would be forgotten."""

from collections.abc import Mapping, Sequence

from oose.demand.counter import Rate
from oose.demand.note import Word

RENEWAL = 80_000  # ms after which a word is said again, in time for a second try
CHANGE = 1.5  # times more or less is news
AT_ONCE = 100  # words in one round
QUIET = 0.5  # of what is worth saying; below it is withdrawn what was said

Words = Mapping[str, int | None]  # viewers a minute, by hash; None: no word any more


def due(hottest: Sequence[Rate], said: Mapping[str, Word], share: float, now: int) -> Words:
    """The words to say now, at most `AT_ONCE`, on what is asked for most often first.

    `hottest` is all that is asked for `share * QUIET` times a minute or more, the most often
    first; from `share` on it is worth saying. `said` is what was said before.
    """
    words: dict[str, int | None] = {}
    for rate in hottest:
        word = said.get(rate.hash)
        if is_news(rate, word, now) if word is not None else rate.per_minute >= share:
            words[rate.hash] = max(1, round(rate.per_minute))
    known = {rate.hash for rate in hottest}
    words |= dict.fromkeys(said.keys() - known)
    return dict(list(words.items())[:AT_ONCE])


def is_news(rate: Rate, word: Word, now: int) -> bool:
    """Whether the rate is another than was said, or that was said long ago."""
    grown = rate.per_minute / word.per_minute
    return now - word.at >= RENEWAL or not 1 / CHANGE < grown < CHANGE


def still_counting(said: Mapping[str, Word], now: int) -> dict[str, Word]:
    """Without what counts no more, whatever becomes of it."""
    return {content_hash: word for content_hash, word in said.items() if word.counts(now)}
