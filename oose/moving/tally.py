"""What became of so many things, and the first of those that failed."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field

NAMED = 20  # failures that are kept to be shown


@define
class Tally:
    """Counts by name, and `failures`: which, and why, the first few."""

    counts: Counter[str] = field(factory=Counter)
    failures: list[tuple[str, str]] = field(factory=list)

    def add(self, name: str, more: int = 1) -> None:
        """So many more of a name."""
        self.counts[name] += more

    def fail(self, which: str, why: str) -> None:
        """One that failed."""
        self.add("failed")
        if len(self.failures) < NAMED:
            self.failures.append((which, why))

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.counts["failed"]

    def to_json(self) -> Mapping[str, Any]:
        """All of it, to keep or to print."""
        return {"counts": dict(self.counts), "failures": [list(each) for each in self.failures]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Tally":
        """Read it back; one that makes no sense counts nothing."""
        try:
            counts = Counter({str(name): int(each) for name, each in value["counts"].items()})
            failures = [(str(which), str(why)) for which, why in value["failures"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls()
        return cls(counts, failures)
