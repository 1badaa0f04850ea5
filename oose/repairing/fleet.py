"""The stores as repair sees them: there, away for a while, or gone.

One that is away is waited for: its clones come back with it. One that an administrator has
deactivated or removed is not, nor one that is away for too long.
"""

from collections.abc import Collection, Mapping
from typing import Literal

from attrs import field, frozen

from oose.peer import Peer
from oose.registry import Registry

Standing = Literal["there", "away", "gone"]


@frozen
class Room:
    """What a store that takes content could take: `free` bytes."""

    machine: str
    free: int


@frozen
class Fleet:
    """All stores at one moment, by place; one that is not among them is gone.

    `rooms` are those that take something.
    """

    standings: Mapping[str, Standing] = field(factory=dict)
    machines: Mapping[str, str] = field(factory=dict)
    rooms: Mapping[str, Room] = field(factory=dict, eq=False)

    def standing(self, place: str) -> Standing:
        """How it is with the store at `place`."""
        return self.standings.get(place, "gone")

    def machine(self, place: str) -> str:
        """What it fails together with."""
        return self.machines.get(place, place)

    def targets(self, holding: Collection[str], size: int) -> int:
        """How many more clones could be made, as placement would: see `oose.placement.choose`."""
        held = {self.machine(each) for each in holding}
        if len(held | {each.machine for each in self.rooms.values()}) > 1:
            return self.other_machines(holding, size)
        return sum(room.free > size for place, room in self.rooms.items() if place not in holding)

    def other_machines(self, holding: Collection[str], size: int) -> int:
        """How many machines without a clone could take one of `size` bytes."""
        machines = {each.machine for each in self.rooms.values() if each.free > size}
        return len(machines - {self.machine(each) for each in holding})


class Absences:
    """Remembers since when stores are away, and waits for them `patience` seconds."""

    def __init__(self, registry: Registry, patience: float) -> None:
        self._registry = registry
        self._patience = int(patience * 1000)
        self._since: dict[str, int] = {}

    def fleet(self, now: int) -> Fleet:
        """The stores as they are at `now` (ms since 1970)."""
        standings: dict[str, Standing] = {}
        machines: dict[str, str] = {}
        rooms: dict[str, Room] = {}
        for store in self._registry.peers():
            if store.kind != "store":
                continue
            place = store.place
            machines[place] = store.machine
            standings[place] = self._standing(store, now)
            if standings[place] == "there" and store.writable:
                rooms[place] = Room(store.machine, store.free - store.min_free)
        for place in self._since.keys() - standings.keys():
            del self._since[place]
        return Fleet(standings, machines, rooms)

    def _standing(self, store: Peer, now: int) -> Standing:
        prism = self._registry.peer(f"prism:{store.prism}")
        both = [store] if prism is None else [store, prism]
        away = [each for each in both if not each.available]
        if not away:
            self._since.pop(store.place, None)
        if not all(each.active for each in both):
            return "gone"
        if not away:
            return "there"
        # What does not renew its document any more is away since it did last.
        last = min((each.renewed for each in away if each.renewed), default=now)
        since = self._since.setdefault(store.place, min(last, now))
        return "away" if now - since < self._patience else "gone"
