"""Which stores get a copy: pure functions, chance comes in as an argument."""

from collections.abc import Callable, Collection, Sequence

from attrs import frozen

Chance = Callable[[], float]


@frozen
class Candidate:
    """A store that could take a copy; sizes in bytes, `load` is what it is receiving now."""

    name: str
    machine: str
    group: str
    free: int
    capacity: int
    min_free: int
    load: int
    writable: bool

    def has_room(self, size: int | None) -> bool:
        """Whether `size` bytes, or an unknown number, fit without touching `min_free`."""
        return self.writable and self.free - (size or 0) > self.min_free


def choose(
    candidates: Sequence[Candidate],
    count: int,
    size: int | None,
    holding: Collection[str],
    chance: Chance,
) -> tuple[Candidate, ...]:
    """Up to `count` stores with room for `size` bytes, none of those `holding` a copy already.

    Groups that have no copy come first, then machines that have none; a machine gets a second
    copy only where no other is left. Among equals the emptier and less loaded is likelier.
    """
    chosen: list[Candidate] = []
    held = [each for each in candidates if each.name in holding]
    left = [each for each in candidates if each.name not in holding and each.has_room(size)]
    while left and len(chosen) < count:
        taken = [*held, *chosen]
        groups = {each.group for each in taken}
        machines = {each.machine for each in taken}
        best = min(_nearness(each, groups, machines) for each in left)
        equals = [each for each in left if _nearness(each, groups, machines) == best]
        chosen.append(_draw(equals, chance))
        left.remove(chosen[-1])
    return tuple(chosen)


def _nearness(candidate: Candidate, groups: Collection[str], machines: Collection[str]) -> int:
    """How much a candidate shares with copies there are: 0 nothing, 1 a group, 2 a machine."""
    if candidate.machine in machines:
        return 2
    return 1 if candidate.group in groups else 0


def _draw(equals: Sequence[Candidate], chance: Chance) -> Candidate:
    weights = [(each.free - each.min_free) / (1 + each.load) for each in equals]
    point = chance() * sum(weights)
    for each, weight in zip(equals, weights, strict=True):
        point -= weight
        if point < 0:
            return each
    return equals[-1]
