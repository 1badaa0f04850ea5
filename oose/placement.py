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
    among: Collection[str] | None = None,
) -> tuple[Candidate, ...]:
    """Up to `count` stores with room for `size` bytes, none of those `holding` a copy already.

    Groups that have no copy come first. A machine gets a second copy only where all candidates
    are on one, whether the others have room or not. Among equals the emptier and less loaded is
    likelier. `among` says which may be chosen at all, where not every one may.
    """
    chosen: list[Candidate] = []
    held = [each for each in candidates if each.name in holding]
    left = [
        each
        for each in candidates
        if each.name not in holding
        and each.has_room(size)
        and (among is None or each.name in among)
    ]
    is_one_machine = len({each.machine for each in candidates}) == 1
    while len(chosen) < count:
        taken = [*held, *chosen]
        if not is_one_machine:
            machines = {each.machine for each in taken}
            left = [each for each in left if each.machine not in machines]
        if not left:
            break
        groups = {each.group for each in taken}
        elsewhere = [each for each in left if each.group not in groups]
        chosen.append(_draw(elsewhere or left, chance))
        left.remove(chosen[-1])
    return tuple(chosen)


def share_a_machine(candidates: Sequence[Candidate], places: Collection[str]) -> bool:
    """Whether two of `places`, as far as they are candidates, fail together."""
    machines = [each.machine for each in candidates if each.name in places]
    return len(set(machines)) < len(machines)


def _draw(equals: Sequence[Candidate], chance: Chance) -> Candidate:
    if len(equals) == 1:
        return equals[0]
    weights = [(each.free - each.min_free) / (1 + each.load) for each in equals]
    point = chance() * sum(weights)
    for each, weight in zip(equals, weights, strict=True):
        point -= weight
        if point < 0:
            return each
    return equals[-1]
