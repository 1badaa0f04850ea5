"""What one content needs, from what is known of it: a pure function."""

from collections.abc import Sequence
from typing import Literal, Protocol

from attrs import frozen

from oose.cloning import shortage
from oose.contents import Content
from oose.repairing.fleet import Fleet
from oose.settings.model import CloneSettings
from oose.tombstones import is_buried
from oose.wishes import desired, usual

Kind = Literal["clones", "demand", "spread", "surplus", "note"]
KINDS: Sequence[Kind] = ("clones", "demand", "spread", "surplus", "note")
Rank = tuple[int, int, int, int]


class Clone(Protocol):
    """What has to be known of a clone: an inventory record, or less. Times in ms."""

    @property
    def place(self) -> str:
        """Where it is."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def created(self) -> int:
        """When it was made."""
        ...

    @property
    def verified(self) -> int | None:
        """When it was last hashed; None for never."""
        ...

    @property
    def note(self) -> str | None:
        """What an operator should know."""
        ...


@frozen
class Need:
    """How it is with one content of `size` bytes, and what is to be done about it.

    Clones are `live` where their stores are there (`verified` of them were hashed some time) and
    `waiting` where these are away for a while; `usual` are wanted anyway and `wanted` are with
    what viewers demand. `missing` are to be made now, as far as there are stores for them, and
    `surplus` to be removed. With `is_shared` two are on one machine and one more is to be made
    on another. `has_wrong_note`: a record says something of them that is not so.
    """

    size: int = 0
    live: int = 0
    verified: int = 0
    waiting: int = 0
    usual: int = 0
    wanted: int = 0
    missing: int = 0
    surplus: int = 0
    is_shared: bool = False
    has_wrong_note: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether no clone is left, nor waited for."""
        return self.wanted > 0 and self.live + self.waiting == 0

    @property
    def is_endangered(self) -> bool:
        """Whether there are fewer than there should be, now or for good."""
        return self.live < self.usual

    @property
    def is_stuck(self) -> bool:
        """Whether some are missing, and no other store can take one."""
        return self.live > 0 and self.missing == 0 and self.live + self.waiting < self.usual

    @property
    def bytes(self) -> int:
        """How many have to be sent."""
        return self.size * (self.missing or int(self.is_shared))

    @property
    def kind(self) -> Kind | None:
        """What is to be done first."""
        if self.missing:
            return "clones" if self.is_endangered else "demand"
        if self.is_shared:
            return "spread"
        if self.surplus:
            return "surplus"
        return "note" if self.has_wrong_note else None

    @property
    def rank(self) -> Rank:
        """The lower, the more urgent: fewest clones first, and fewest that were ever hashed."""
        kind = KINDS.index(self.kind) if self.kind is not None else len(KINDS)
        return kind, self.live, self.verified, -self.missing


NOTHING = Need()


def need_of(
    clones: Sequence[Clone], content: Content, fleet: Fleet, settings: CloneSettings, now: int
) -> Need:
    """What content with these clones needs at `now` (ms since 1970).

    Clones from before it was removed are none; with no other it needs nothing.
    """
    clones = [each for each in clones if not is_buried(content, each.created)]
    if not clones:
        return NOTHING
    live = [each for each in clones if fleet.standing(each.place) == "there"]
    waiting = sum(fleet.standing(each.place) == "away" for each in clones)
    least, wanted = usual(content, settings), desired(content, settings, now)
    size = clones[0].size
    places = [each.place for each in live]
    machines = {fleet.machine(place) for place in places}
    missing = surplus = 0
    is_shared = False
    if live and len(live) + waiting < wanted:
        missing = min(wanted - len(live) - waiting, fleet.targets(places, size))
    elif live and not waiting:
        is_shared = len(machines) < min(len(live), wanted) and (
            fleet.other_machines(places, size) > 0
        )
        surplus = 0 if content.protected else max(0, len(live) - wanted)
    note = shortage(len(live), least, shares_a_machine=len(machines) < len(live))
    return Need(
        size=size,
        live=len(live),
        verified=sum(each.verified is not None for each in live),
        waiting=waiting,
        usual=least,
        wanted=wanted,
        missing=missing,
        surplus=surplus,
        is_shared=is_shared,
        has_wrong_note=not waiting and any(each.note not in {None, note} for each in live),
    )
