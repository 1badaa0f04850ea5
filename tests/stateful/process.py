"""One process of the cluster: the real engine and assembly, on threads and lines of ours."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oose.assembly import Assembly
from oose.engine import Engine
from oose.listening import Bound
from oose.pool import Inline
from oose.purchases import OneProcess
from oose.settings import PrismSettings, Settings, StoreSettings
from oose.settings.model import (
    CloneSettings,
    CouchSettings,
    HeartbeatSettings,
    InventorySettings,
    RedisSettings,
)
from oose.systemd.supervision import supervision
from tests.stateful.database import Reached, Shared
from tests.stateful.hops import Hops, Life, LifeClock, Threads
from tests.stateful.network import Client, Listener, Network
from tests.unit.kept import MemoryPurchases, MemorySessions, OneUser

DAY = 86_400.0
WORDS: Any = {"username": "peer", "password": "secret"}
CLONES = CloneSettings(minimum=2, maximum=4, repair_rate=None)
SETTINGS = Settings(
    path=None,
    root=Path("/"),
    machine="m",
    prism=PrismSettings(),
    stores=(),
    couchdb=CouchSettings("http://couch", "u", "p"),
    redis=RedisSettings("redis://redis"),
    heartbeat=HeartbeatSettings(enabled=False),
    clones=CLONES,
    inventory=InventorySettings(
        driver="native", files=None, requests=None, verify_frequency=DAY, verify_rate=None
    ),
)


@frozen
class Role:
    """What a process is each time it is started: its prism's name, if any, and its stores'.

    `skew` is how far ahead its clock is, in seconds.
    """

    name: str
    machine: str
    group: str
    stores: Sequence[str]
    prism: str | None = None
    skew: float = 0.0

    def settings(self, folder: Path) -> Settings:
        """Its configuration."""
        stores = []
        for place in self.stores:
            prism, _, name = place.partition(":")
            url = f"http://store:{place}"
            stores.append(StoreSettings(folder / name, name, prism, url=url, min_free=0, **WORDS))
        prism = self.prism or "none"
        enabled = self.prism is not None
        return evolve(
            SETTINGS,
            machine=self.machine,
            group=self.group,
            prism=PrismSettings(enabled, prism, url=f"http://prism:{prism}", **WORDS),
            stores=tuple(stores),
        )


@define(eq=False)
class Place:
    """What all processes share: the folder with all disks, the database, the network, the time."""

    folder: Path
    hops: Hops
    shared: Shared
    network: Network
    random: Random
    is_dull: Callable[[Sequence[Any]], bool]


class Databases:
    """Meets `oose.databases.Databases`, as one process reaches them."""

    def __init__(self, shared: Shared, life: Life) -> None:
        self.peer = Reached(shared, shared.peer, life)
        self.inventory = Reached(shared, shared.inventory, life)
        self.content = Reached(shared, shared.content, life)
        self.heartbeat = Reached(shared, shared.heartbeat, life)
        self.accounts = OneUser()
        self.own_accounts = None
        self.first_clones = None
        self.sessions = MemorySessions()
        self.purchases = MemoryPurchases()
        self.endings = OneProcess()

    async def open(self) -> None:
        """They are open."""

    async def close(self) -> None:
        """They stay open."""

    def refuse_if_away(self) -> None:
        """They are there, as far as anybody knows."""

    def describe(self) -> Mapping[str, int]:
        return {}


@frozen
class Pools:
    """Takes the place of `oose.pools.Pools`."""

    disks: Mapping[str, Threads]
    hashing: Inline = field(factory=Inline)

    def all(self) -> Sequence[Any]:
        return ()


class Wired(Assembly):
    """The parts of one process."""

    def __init__(self, settings: Settings, place: Place, life: Life) -> None:
        self._reached: Any = Databases(place.shared, life)
        incomings = {each.name: each.root / "incoming" for each in settings.stores}
        pools = Pools({n: Threads(life, dating(f), place.is_dull) for n, f in incomings.items()})
        client = Client(place.network, life)
        policy: Any = None
        with (
            patch("oose.assembly.PeerClient", lambda *_: client),
            patch("oose.assembly.Pools.make", lambda *_: pools),
            patch("oose.assembly.chance", place.random.random),
        ):
            super().__init__(settings, {}, policy, LifeClock(life))

    def _make_databases(self) -> Any:
        return self._reached


def dating(incoming: Path) -> Callable[[float], None]:
    """What sees to it that what was written just now was written at our time."""

    def date(now: float) -> None:
        try:
            with os.scandir(incoming) as entries:
                for entry in entries:
                    if entry.stat().st_mtime > now:
                        os.utime(entry.path, (now, now))
        except OSError:
            return

    return date


class Driven(Engine):
    """The engine without sockets."""

    def __init__(self, assembly: Wired, place: Place, life: Life) -> None:
        policy: Any = None
        clock = LifeClock(life)
        super().__init__(assembly, None, None, supervision({}, 0, clock), clock, self._give_up)
        self._place = place
        self._life = life
        self.has_failed = policy

    def _give_up(self) -> None:
        self.has_failed = True

    def _failed(self, failure: Failure) -> None:
        if not self._life.is_over:
            self._life.hops.bugs.append(failure.getTraceback())

    def claim(self) -> None:
        """Nobody else is on this machine."""
        rooms = [*self._settings.stores]
        anything: Any = None
        self._bound = [Bound(room, anything, 1) for room in rooms]
        if self._settings.prism.enabled:
            self._bound.append(Bound(self._settings.prism, anything, 1))
        self._lock = Locked()  # type: ignore[assignment]

    def release(self) -> None:
        """Whoever comes next may have the disks."""
        for holdings in self._assembly.holdings:
            holdings.volume.release()

    def _listen(self) -> None:
        rooms = [*self._assembly.stores, self._assembly.prism]
        for room, bound in zip(rooms, self._bound, strict=False):
            port: Any = Port(self._place.network, self._url(bound))
            port.network.listeners[port.url] = Listener(self._life, room)
            self._ports.append(port)


@frozen
class Port:
    """Where a process listens."""

    network: Network
    url: str

    def stopListening(self) -> None:  # noqa: N802 # Twisted's name
        self.network.listeners.pop(self.url, None)


class Locked:
    """The lock on a root that nobody else wants."""

    def sign(self) -> None:
        """Nobody reads it."""


@define(eq=False)
class Process:
    """One run of a process."""

    role: Role
    place: Place
    life: Life = field(init=False)
    assembly: Wired = field(init=False)
    engine: Driven = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.life = Life(self.role.name, self.place.hops, self.role.skew)
        self.assembly = Wired(self.role.settings(self.place.folder), self.place, self.life)
        self.engine = Driven(self.assembly, self.place, self.life)
        self.life.ends.append(self.engine.release)

    def start(self) -> None:
        self.engine.privilegedStartService()
        self.engine.startService()

    def stop(self) -> "Deferred[None]":
        """As SIGTERM does it, but that nothing is waited for that others have asked for."""
        return self.engine.stopService()

    @property
    def is_up(self) -> bool:
        """Whether it is ready and alive."""
        starting = self.engine.starting
        is_ready = starting is not None and starting.called
        return is_ready and bool(self.engine.running) and not self.life.is_over

    def kill(self) -> None:
        """As SIGKILL does it."""
        self.life.hops.graveyard.append(self)
        self.life.end()
