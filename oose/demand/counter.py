"""How often content is asked for lately, counted in bounded memory.

Of all that is asked for only what is asked for often matters, and a few thousand counters find it
(J. Misra, D. Gries: Finding repeated elements, 1982): when there are too many, all are lowered by
so much that half of them go. What is long ago weighs less and less: a request of now weighs more
than those before it, so that nothing has to be lowered for its age (forward decay, G. Cormode et
al., 2009).
"""

from collections.abc import Sequence

from attrs import frozen

HALF_LIFE = 60.0  # seconds after which a request weighs half
TICK = 5.0  # seconds between two calls of `age`
MOST = 10_000  # counters
HEAVY = 2.0**200  # the weight of a request at which all weights are scaled down
LONG = 200.0  # half-lives, after which nothing is left


def uncounted(content_hash: str) -> None:
    """Who counts what is asked for: nobody."""


@frozen
class Rate:
    """That `hash` was asked for so many times a minute lately."""

    hash: str
    per_minute: float


class Counter:
    """Counts requests, in at most `most` counters; `age` has to be called every `TICK` seconds.

    A rate that is told is never too high. It is too low by at most `error`, which is at most
    `2 / most` of the rate of all requests together, and next to nothing where few hashes make up
    most of them.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._weights: dict[str, float] = {}
        self._one = 1.0  # what a request weighs now
        self._lowered = 0.0  # by how much, in all

    def __len__(self) -> int:
        return len(self._weights)

    def count(self, content_hash: str) -> None:
        """One request. It costs less than a microsecond, averaged over many."""
        weights = self._weights
        weights[content_hash] = weights.get(content_hash, 0.0) + self._one
        if len(weights) > self._most:
            self._make_room()

    def age(self, seconds: float) -> None:
        """So much time has passed."""
        self._one *= 2.0 ** min(max(seconds / HALF_LIFE, 0.0), LONG)
        if self._one > HEAVY:
            self._scale(1 / self._one)

    def hottest(self, least: float, most: int | None = None) -> Sequence[Rate]:
        """What is asked for at least so many times a minute, the most often first."""
        unit = self._per_minute()
        found = [
            Rate(content_hash, weight * unit)
            for content_hash, weight in self._weights.items()
            if weight * unit >= least
        ]
        return sorted(found, key=lambda rate: rate.per_minute, reverse=True)[:most]

    def rate(self, content_hash: str) -> float:
        """How many times a minute something is asked for."""
        return self._weights.get(content_hash, 0.0) * self._per_minute()

    @property
    def error(self) -> float:
        """By how many a minute a rate may be too low."""
        return self._lowered * self._per_minute()

    def _per_minute(self) -> float:
        """The rate that a unit of weight is.

        Requests that come evenly, `TICK` after `TICK`, weigh in sum, measured by that of the next,
        so much as a geometric series has it.
        """
        decay: float = 0.5 ** (TICK / HALF_LIFE)
        return (1 - decay) / decay / TICK * 60 / self._one

    def _make_room(self) -> None:
        """Lower all by the median: half of them are gone."""
        weights = self._weights
        lower = sorted(weights.values())[len(weights) // 2]
        self._weights = {key: each - lower for key, each in weights.items() if each > lower}
        self._lowered += lower

    def _scale(self, factor: float) -> None:
        self._weights = {key: each * factor for key, each in self._weights.items()}
        self._one *= factor
        self._lowered *= factor
