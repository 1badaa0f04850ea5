"""What has happened to each content, and what is to come of it."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from attrs import define, field

Kind = Literal["upload", "removal", "protection", "release", "wish", "move"]
Outcome = Literal["done", "failed", "dead", "left"]
Fate = Literal["there", "gone", "either"]
RECENT = 600.0  # seconds in which a clone that was read counts as good without another look


@define(eq=False)
class Happening:
    """Somebody's wish, from one moment to another. `outcome` is what was answered."""

    kind: Kind
    begun: int
    value: int = 0
    ended: int | None = None
    outcome: Outcome | None = None

    @property
    def is_done(self) -> bool:
        return self.outcome == "done"

    def is_before(self, other: "Happening") -> bool:
        """Whether it was over when the other one began."""
        return self.ended is not None and self.ended < other.begun


@define(eq=False)
class Expected:
    """One content. With `is_destroyed` the machine has destroyed the last good copy of it."""

    data: bytes
    hash_type: str
    happenings: list[Happening] = field(factory=list)
    is_destroyed: bool = False
    harms: list[tuple[float, str, int]] = field(factory=list)  # when, where, of how many
    guarded: set[str] | None = None  # where no tool may remove it
    hash: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.hash = hashlib.new(self.hash_type, self.data).hexdigest()

    def is_good(self, data: bytes) -> bool:
        return data == self.data

    def of(self, *kinds: Kind) -> Sequence[Happening]:
        return [each for each in self.happenings if each.kind in kinds]

    @property
    def fate(self) -> Fate:
        """What has been promised."""
        uploads, removals = self.of("upload"), self.of("removal")
        kept = [each for each in uploads if each.is_done]
        if any(all(gone.is_before(each) for gone in removals) for each in kept):
            return "there"
        ended = [each for each in removals if each.is_done]
        if any(all(come.is_before(each) for come in uploads) for each in ended):
            return "gone"
        return "either" if uploads else "gone"

    @property
    def wishes(self) -> set[int | None]:
        """How many clones may be wished: None for as many as usual, as after a removal."""
        both = self.of("wish", "removal")
        found = {each.value if each.kind == "wish" else None for each in last(both)}
        return found if any(each.is_done for each in both) else found | {None}

    @property
    def protections(self) -> set[bool]:
        """Whether it may be protected."""
        both = self.of("protection", "release")
        found = {each.kind == "protection" for each in last(both)}
        return found if any(each.is_done for each in both) else found | {False}

    def harmed(self, now: float, place: str, before: int, after: int) -> None:
        """The machine has done something to a good copy of it; how many there were, and are."""
        self.harms.append((now, place, before))
        if not after:
            self.is_destroyed = True

    def is_unlucky(self, least: int, since: float) -> bool:
        """Whether as many as should stay were harmed since then, and there were more."""
        recent = [(place, before) for when, place, before in self.harms if when >= since]
        places = {place for place, _ in recent}
        return len(places) >= least and max((n for _, n in recent), default=0) > least


def last(happenings: Sequence[Happening]) -> Sequence[Happening]:
    """Those that may have had the last word: which had it among them nobody knows."""
    done = [each for each in happenings if each.is_done]
    return [
        each
        for each in happenings
        if not any(each.is_before(later) for later in done if later is not each)
    ]
