"""What works on clones in a command's own process, beside the services whose stores it asks."""

import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from attrs import define, field

from oose.claims import Claims
from oose.cli.desk import Desk
from oose.cli.exits import UNAVAILABLE, CommandFailed
from oose.cli.opened import Opened, on_databases
from oose.cli.stores import peers_of
from oose.clones import Clones
from oose.contents import Contents
from oose.errors import OoseError
from oose.existence import Existence
from oose.loop import Loop
from oose.moving.patience import insist
from oose.pace import Pace
from oose.peer import Peer
from oose.peers import PeerClient
from oose.peers.remote import ClusterKeepers
from oose.peers.sending import ClusterSender
from oose.reachability import Reachability
from oose.registry import Registry
from oose.repairing.fleet import Absences, Fleet
from oose.repairing.repair import Repair
from oose.settings import Settings
from oose.tending.picking import Picking
from oose.together import together
from oose.turns import Turns

T = TypeVar("T")
LOOK = 5.0  # seconds between two looks at the peers
NOBODY = "0" * 32  # a hash that stores are asked for, to see whether they know us
chance = random.Random().random  # noqa: S311 # nobody gains by guessing it


@define(eq=False)
class Books:
    """What the databases say of content, and of the stores as they were when it was asked."""

    opened: Opened
    registry: Registry = field(init=False)
    contents: Contents = field(init=False)
    existence: Existence = field(init=False)

    def __attrs_post_init__(self) -> None:
        databases = self.opened.databases
        self.registry = Registry(databases.peer)
        self.contents = Contents(databases.content)
        self.existence = Existence(
            databases.inventory, self.registry, self.opened.reactor, 0.0, serves=self.serves
        )

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self.opened.settings

    def serves(self, place: str) -> bool:
        """Whether a store that the registry has as available is so, as far as is known here."""
        return True

    def now(self) -> int:
        """The time in ms since 1970."""
        return int(self.opened.reactor.seconds() * 1000)

    def picking(self, block: int) -> Picking:
        """Reads content, `block` at a time."""
        inventory = self.opened.databases.inventory
        return Picking(inventory, self.contents, self.existence, self.opened.reactor, block)


@define(eq=False)
class Workshop(Books):
    """The same, and what works on clones within `tended`."""

    peers: PeerClient = field(init=False)
    reachability: Reachability = field(init=False)
    keepers: ClusterKeepers = field(init=False)
    clones: Clones = field(init=False)
    repair: Repair = field(init=False)
    fleet: Fleet = field(factory=Fleet, init=False)
    _absences: Absences = field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        settings, reactor, databases = self.settings, self.opened.reactor, self.opened.databases
        heartbeat = settings.heartbeat
        self.peers = peers_of(self.opened)
        self.reachability = Reachability(
            self._ping,
            self.registry,
            reactor,
            timeout=heartbeat.ping_response_timeout,
            concurrency=heartbeat.concurrency,
        )
        self.keepers = ClusterKeepers(
            {}, self.registry, self.peers, self.reachability, min_free=lambda peer: peer.min_free
        )
        self.clones = Clones(
            keepers=self.keepers,
            sender=ClusterSender(self.registry, self.peers, self.reachability),
            registry=self.registry,
            inventory=databases.inventory,
            contents=self.contents,
            claims=Claims(databases.content, reactor, who()),
            existence=self.existence,
            clock=reactor,
            chance=chance,
        )
        self._absences = Absences(self.registry, settings.clones.repair_after)
        self.repair = Repair(
            self.clones, lambda: self.fleet, settings.clones, Pace(None, reactor), self.now
        )

    def serves(self, place: str) -> bool:
        """See `Books.serves`."""
        return not self.reachability.avoids(place)

    @asynccontextmanager
    async def tended(self, desk: Desk, *, asks_stores: bool) -> AsyncIterator[None]:
        """Within, stores are looked at again and again; `CommandFailed` where none answers.

        Only once, in the database, where none is to be asked for anything.
        """
        await self._know()
        if not asks_stores:
            yield
            return
        for why in await self._knock():
            desk.warn(why)
        loop = Loop("Looking at peers", self._look, LOOK, self.opened.reactor)
        loop.start()
        try:
            yield
        finally:
            await loop.stop()
            self.keepers.close()

    async def _ping(self, peer: Peer) -> None:
        await self.peers.greet(peer.url)

    async def _know(self) -> None:
        await self.registry.load()
        self.fleet = self._absences.fleet(self.now())

    async def _look(self) -> None:
        await insist(self._know, self.opened.reactor)
        await self.reachability.look()

    async def _knock(self) -> Sequence[str]:
        """What is wrong with stores that do not answer us."""
        registry = self.registry
        stores = [each for each in registry.peers() if each.kind == "store"]
        serving = [each for each in stores if registry.serving(each.place) is not None]
        if not serving:
            raise CommandFailed(
                "No store is available: does the service run? `oose peer list` says how it is",
                UNAVAILABLE,
            )
        turns = Turns(self.settings.heartbeat.concurrency)
        found = await together(self._knock_at(each, turns) for each in serving)
        wrong = [why for why in found if why is not None]
        if len(wrong) == len(serving):
            raise CommandFailed(f"No store answers: {wrong[0]}. Does the service run?", UNAVAILABLE)
        return [f"Nothing is done on a store that does not answer: {why}" for why in wrong]

    async def _knock_at(self, peer: Peer, turns: Turns) -> str | None:
        try:
            async with turns.of(""):
                await self._ping(peer)
                await self.peers.ask(peer.url, "/content/exists", {"hash": NOBODY})
        except OoseError as error:
            self.reachability.failed(peer.place, error)
            return f"{peer.place}: {error.message}"
        return None


def who() -> str:
    """This process, in claims."""
    return f"oose clones on {socket.gethostname()}:{os.getpid()}"


def on_books(config: str | None, work: Callable[[Books], Awaitable[T]]) -> T:
    """Do `work` with what the databases say now; no store is asked."""

    async def run(opened: Opened) -> T:
        books = Books(opened)
        await books.registry.load()
        return await work(books)

    return on_databases(config, run)


def on_workshop(
    config: str | None,
    desk: Desk,
    work: Callable[[Workshop], Awaitable[T]],
    *,
    asks_stores: bool = True,
) -> T:
    """Do `work`, with stores that answer unless none is to be asked."""

    async def run(opened: Opened) -> T:
        workshop = Workshop(opened)
        async with workshop.tended(desk, asks_stores=asks_stores):
            return await work(workshop)

    return on_databases(config, run)
