"""How much content there is, and how much of it is not as it should be."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from oose.repairing.need import Need


@define(eq=False)
class Tally:
    """Counts contents by what they need; `size` and `to_do` are bytes.

    `endangered` counts those with fewer clones than wanted by the number there is; of these `lost`
    have none left, and for those `stuck` no other store can take one. Of those `unverified` no
    clone was ever hashed.
    """

    contents: int = 0
    size: int = 0
    endangered: Counter[int] = field(factory=Counter)
    lost: int = 0
    stuck: int = 0
    unverified: int = 0
    surplus: int = 0
    to_do: int = 0

    def add(self, need: Need, times: int = 1) -> None:
        """One more content; with `times` -1 one less."""
        if not need.wanted:
            return
        self.contents += times
        self.size += need.size * times
        if need.is_endangered:
            self.endangered[need.live] += times
        self.lost += times * need.is_lost
        self.stuck += times * need.is_stuck
        self.unverified += times * (need.live > 0 and not need.verified)
        self.surplus += times * need.surplus
        self.to_do += times * need.bytes

    def worsened(self, need: Need) -> None:
        """A content that was counted as it should be is not any more."""
        self.add(need)
        self.contents -= 1
        self.size -= need.size

    def became(self, before: Need, after: Need) -> None:
        """A content that was counted is another now."""
        self.add(before, -1)
        self.add(after)

    def describe(self) -> Mapping[str, Any]:
        """For `/stats`."""
        return {
            "contents": self.contents,
            "bytes": self.size,
            "endangered": {str(n): c for n, c in sorted(self.endangered.items()) if c > 0},
            "lost": self.lost,
            "stuck": self.stuck,
            "unverified": self.unverified,
            "surplus": self.surplus,
        }
