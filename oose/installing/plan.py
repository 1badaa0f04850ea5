"""A plan: steps in their order, each of which knows what it would change, and how."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from attrs import field, frozen

from oose.installing.machine import Machine


@frozen
class Change:
    """One thing that is not as it should be.

    `said` is a line for an operator, in the imperative; `shown` more of it, a diff. `touches` is
    the path that others look at who depend on it.
    """

    said: str
    do: Callable[[], object]
    shown: str = ""
    touches: str = field(default="", converter=str)


class Step(Protocol):
    """Something that should be so."""

    def changes(self, machine: Machine) -> Iterator[Change]:
        """What is not so now: nothing, where nothing is to be done.

        Each change is made before the next is asked for, or none at all where that is only
        pretended; so one that looks at what others make has to do without.
        """
        ...


def carry_out(
    steps: Iterable[Step],
    machine: Machine,
    tell: Callable[[Change], None],
    *,
    pretend: bool = False,
) -> Sequence[Change]:
    """Tell of every change, then make it; all that there were. `Refused` where one cannot be."""
    made = []
    for step in steps:
        for change in step.changes(machine):
            tell(change)
            if not pretend:
                change.do()
            made.append(change)
            if change.touches:
                machine.touched.add(change.touches)
    return made
