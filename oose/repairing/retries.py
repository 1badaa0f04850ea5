"""What failed, and when to look at it again: after a minute, then later and later, but soon after
stores have come or gone.
"""

from attrs import define, evolve, field, frozen

FIRST = 60.0  # seconds
LONGEST = 6 * 3600.0
MOST = 10_000


@frozen
class _Failed:
    """How often something failed in a row, and until when (s) it is left alone."""

    times: int
    until: float
    is_due: bool = False


@define(eq=False)
class Retries:
    """Remembers what failed, at most `most` of it: what is forgotten is found again anyway."""

    most: int = MOST
    _failed: dict[str, _Failed] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._failed)

    def __contains__(self, key: str) -> bool:
        return key in self._failed

    def failed(self, key: str, now: float) -> None:
        """It has failed once more."""
        known = self._failed.pop(key, None)
        times = 1 if known is None else known.times + 1
        wait = min(FIRST * 2.0 ** min(times - 1, 20), LONGEST)
        self._failed[key] = _Failed(times, now + wait)
        if len(self._failed) > self.most:
            del self._failed[next(iter(self._failed))]

    def succeeded(self, key: str) -> None:
        """There is nothing to be done for it any more."""
        self._failed.pop(key, None)

    def waits(self, key: str, now: float) -> bool:
        """Whether it is to be left alone."""
        known = self._failed.get(key)
        return known is not None and known.until > now

    def hurry(self, until: float) -> None:
        """What stood in their way may be gone: none is left alone for longer than that."""
        for key, each in self._failed.items():
            if each.until > until:
                self._failed[key] = evolve(each, until=until)

    def due(self, now: float) -> list[str]:
        """What is to be looked at again; each is told once."""
        found = [key for key, each in self._failed.items() if each.until <= now and not each.is_due]
        for key in found:
            self._failed[key] = evolve(self._failed[key], is_due=True)
        return found
