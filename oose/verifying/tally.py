"""What verification has come to since the start of a process."""

from collections import Counter
from collections.abc import Mapping

from attrs import define, field

OUTCOMES = ("ok", "corrupt", "missing", "failed")


@define
class Tally:
    """How many `files` came to which of `OUTCOMES`, and how many `bytes` were read.

    Of those that `failed` could not be told how they are.
    """

    files: Counter[str] = field(factory=Counter)
    bytes: int = 0

    def read(self, count: int) -> None:
        """So many bytes more were read."""
        self.bytes += count

    def counts(self) -> Mapping[str, int]:
        """By name, for `/stats`."""
        return {**{each: self.files[each] for each in OUTCOMES}, "bytes": self.bytes}
