"""Which clones to move so that stores are equally full: no I/O, and content one after the other.

A store is fuller or emptier than the mean by the difference of two fractions, used to capacity.
Those that differ by more than the tolerance are uneven. A move takes a clone from a store that is
fuller to one that is emptier, where one of them is uneven, and never spreads content worse: no two
clones on one machine that were on two, nor in fewer groups than before.
"""

import math
from collections.abc import Collection, Mapping, Sequence

from attrs import define, evolve, field, frozen


@frozen
class Level:
    """How full a store is, in bytes."""

    place: str
    machine: str
    group: str
    capacity: int
    used: int
    min_free: int = 0


@frozen
class Move:
    """A clone of `size` bytes is to go from one place to another."""

    source: str
    target: str
    size: int


@define(eq=False)
class _Store:
    level: Level
    used: int
    mean: float

    @property
    def over(self) -> float:
        """By how much it is fuller than the mean; below 0 it is emptier."""
        return self.used / self.level.capacity - self.mean

    def beyond(self, tolerance: float, more: int = 0) -> float:
        """How many bytes it has beyond what is tolerated, or lacks (below 0), with so many `more`.

        Less than one is none.
        """
        over = (self.used + more) / self.level.capacity - self.mean
        found = max(0.0, abs(over) - tolerance) * self.level.capacity
        return 0.0 if found < 1 else math.copysign(found, over)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes fit without touching what it keeps free."""
        return self.level.capacity - self.used - size > self.level.min_free


@define(eq=False)
class Balance:
    """Levels stores out, whose fill may differ from the mean by `tolerance` (a fraction).

    All that is looked at once is to be looked at again until nothing more moves: at first only what
    makes no store uneven and no way longer than it has to be (`strict`), then all that helps.
    """

    levels: Sequence[Level]
    tolerance: float
    strict: bool = True
    mean: float = field(init=False)
    moves: int = field(default=0, init=False)
    _stores: dict[str, _Store] = field(init=False)
    _out: set[str] = field(factory=set, init=False)
    _sources: Mapping[str, _Store] = field(init=False)
    _targets: Sequence[_Store] = field(init=False)
    _surplus: float = field(init=False)  # bytes that uneven stores have too many
    _lack: float = field(init=False)  # and too few
    _is_one_machine: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        levels = [each for each in self.levels if each.capacity > 0]
        capacity = sum(each.capacity for each in levels)
        self.mean = sum(each.used for each in levels) / capacity if capacity else 0.0
        self._stores = {each.place: _Store(each, each.used, self.mean) for each in levels}
        self._is_one_machine = len({each.machine for each in levels}) < 2
        self._look()

    @property
    def is_even(self) -> bool:
        """Whether no store differs by more than the tolerance."""
        return not self._surplus and not self._lack

    def leave_out(self, places: Collection[str]) -> None:
        """These stores give and take nothing until further notice."""
        if self._out != set(places):
            self._out = set(places)
            self._look()

    def now(self) -> Sequence[Level]:
        """How full the stores are with what was moved."""
        return [evolve(each.level, used=each.used) for each in self._stores.values()]

    def concerns(self, places: Collection[str]) -> bool:
        """Whether content with clones at these places may have to move."""
        return any(place in self._sources for place in places)

    def consider(
        self, size: int, places: Collection[str], sites: Mapping[str, tuple[str, str]]
    ) -> Move | None:
        """The move that content with clones at `places` is to make, if any; it is counted as made.

        `sites` are machine and group of places that are not among the stores.
        """
        sources = [each for place in places if (each := self._sources.get(place)) is not None]
        for source in sorted(sources, key=lambda each: each.over, reverse=True):
            others = [self._site(place, sites) for place in places if place != source.level.place]
            for target in self._targets:
                if (
                    target.level.place not in places
                    and target.has_room(size)
                    and self._helps(source, target, size)
                    and self._is_as_spread(source.level, target.level, others)
                ):
                    move = Move(source.level.place, target.level.place, size)
                    self._note(move.source, -size, move.target, size)
                    self.moves += 1
                    return move
        return None

    def undo(self, move: Move, *, is_copied: bool = False) -> None:
        """A move was not made after all; with `is_copied` it is at both places now."""
        self._note(move.source, move.size, move.target, 0 if is_copied else -move.size)
        self.moves -= 1

    def _note(self, source: str, more: int, target: str, less: int) -> None:
        self._stores[source].used += more
        self._stores[target].used += less
        self._look()

    def _look(self) -> None:
        """Who gives and who takes as it is now."""
        tolerance = self.tolerance
        stores = [each for place, each in self._stores.items() if place not in self._out]
        beyond = [each.beyond(tolerance) for each in stores]
        self._surplus = sum(each for each in beyond if each > 0)
        self._lack = -sum(each for each in beyond if each < 0)
        self._sources = {
            each.level.place: each
            for each in stores
            if each.over > 0 and (self._lack or each.beyond(tolerance))
        }
        targets = [
            each for each in stores if each.over < 0 and (self._surplus or each.beyond(tolerance))
        ]
        self._targets = sorted(targets, key=lambda each: each.over)

    def _helps(self, source: _Store, target: _Store, size: int) -> bool:
        """Whether it makes the two more alike, and serves one that is uneven."""
        tolerance = self.tolerance
        gives, takes = source.beyond(tolerance) > 0, target.beyond(tolerance) < 0
        per_byte = 1 / source.level.capacity + 1 / target.level.capacity
        if not (gives or takes) or size * per_byte >= 2 * (source.over - target.over):
            return False
        if not self.strict:
            return True
        if source.beyond(tolerance, -size) < 0 or target.beyond(tolerance, size) > 0:
            return False
        # Who is even gives or takes only what no uneven store could.
        if gives and takes:
            return True
        mine, others = (self._surplus, self._lack) if gives else (self._lack, self._surplus)
        return not others or mine - others >= size

    def _is_as_spread(
        self, source: Level, target: Level, others: Sequence[tuple[str, str]]
    ) -> bool:
        machines = {machine for machine, _ in others}
        if target.machine in machines and not self._is_one_machine:
            return False
        groups = {group for _, group in others}
        return len(groups | {target.group}) >= len(groups | {source.group})

    def _site(self, place: str, sites: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
        store = self._stores.get(place)
        if store is not None:
            return store.level.machine, store.level.group
        return sites.get(place, (place, place))
