"""Stores that a prism reaches over real connections, with time in the test's hands."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from oose import tls
from oose.claims import Claims
from oose.clones import Clones
from oose.cloning import Sender
from oose.contents import Contents
from oose.credentials import Credentials
from oose.deliver.delivery import Deliveries
from oose.embedded import EmbeddedDocuments
from oose.holdings import Holdings
from oose.metadata.records import InventoryRecord
from oose.peers import PeerClient
from oose.peers.remote import ClusterKeepers, Judgement
from oose.peers.sending import ClusterSender
from oose.pool import Inline, Pool
from oose.quarantine import Quarantine
from oose.registry import Peer
from oose.restoring import Restoring
from oose.stats import Stats
from oose.store import Store, StoreParts
from oose.surplus import Surplus
from oose.uploads import Kept, Upload, Uploads
from oose.web.client import ClientAddress
from oose.web.gate import Gate
from oose.web.room import Lobby
from oose.web.site import RoomSite
from tests.real import reactor
from tests.unit.keeping import Keeping

CREDENTIALS = Credentials("peer", "secret")


@define
class Told(Judgement):
    """What a prism was told of stores."""

    failures: list[str] = field(factory=list)
    answers: list[str] = field(factory=list)
    avoided: set[str] = field(factory=set)

    def avoids(self, place: str) -> bool:
        return place in self.avoided

    def failed(self, place: str, why: object = None) -> None:
        self.failures.append(place)
        self.avoided.add(place)

    def answered(self, place: str) -> None:
        self.answers.append(place)


@define(eq=False)
class Elsewhere:
    """One store that listens."""

    place: str
    holdings: Holdings
    room: Store
    site: RoomSite
    port: Any

    @property
    def channels(self) -> Sequence[Any]:
        """The connections there are."""
        return list(self.site._channels)

    def files(self) -> list[Path]:
        """What is visible."""
        return [each for each in self.holdings.volume.disk.content.rglob("*") if each.is_file()]

    def leftovers(self) -> list[Path]:
        """What lies in `incoming`."""
        return list(self.holdings.volume.disk.incoming.iterdir())

    async def die(self) -> None:
        """Be gone, as after SIGKILL: no connection, nobody at the port."""
        stopping = self.port.stopListening()
        for channel in self.channels:
            channel.transport.abortConnection()
        await maybeDeferred(lambda: stopping)


@define(eq=False)
class Cluster:
    """Stores, and what prisms know of them, over one database."""

    keeping: Keeping
    pem: Path | None = None
    stores: dict[str, Elsewhere] = field(factory=dict)
    told: Told = field(factory=Told)
    claiming: Clock = field(factory=Clock)  # of who waits for a claim; the peers' is another
    peers: PeerClient = field(init=False)
    keepers: ClusterKeepers = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.peers = self.client()
        self.keepers = self.make_keepers()

    def client(self, credentials: Credentials = CREDENTIALS) -> PeerClient:
        policy = tls.client_policy(True, own=self.pem)
        return PeerClient(reactor, policy, credentials, clock=self.keeping.clock)

    def make_keepers(self, local: dict[str, Any] | None = None) -> ClusterKeepers:
        return ClusterKeepers(
            local or {}, self.keeping.registry, self.peers, self.told, min_free=lambda peer: 0
        )

    async def add(
        self, name: str, machine: str, group: str = "main", *, pool: Pool | None = None, **more: Any
    ) -> Elsewhere:
        """One more store, on `machine`."""
        keeping = self.keeping
        holdings = await keeping.start(name, pool)
        holdings._now = lambda: int(self.claiming.seconds() * 1000)  # for how long it may remove
        room = self.make_room(holdings, **more)
        site = RoomSite(room, idle_timeout=60, clock=keeping.clock)
        if self.pem is None:
            port = reactor.listenTCP(0, site, interface="127.0.0.1")
            url = f"http://127.0.0.1:{port.getHost().port}"
        else:
            port = reactor.listenSSL(0, site, tls.load(self.pem), interface="127.0.0.1")
            url = f"https://localhost:{port.getHost().port}"
        self.stores[name] = Elsewhere(holdings.place, holdings, room, site, port)
        await self.change(holdings.place, url=url, machine=machine, group=group)
        return self.stores[name]

    async def change(self, place: str, **what: Any) -> Peer:
        """Write something else of a store's peer."""
        peer = self.keeping.registry.store(place)
        assert peer is not None
        return await self.keeping.registry.update(evolve(peer, **what))

    def make_room(self, holdings: Holdings, max_upload: int | None = None) -> Store:
        keeping = self.keeping
        logins: Any = None
        desk: Any = None
        clients = ClientAddress()
        gate = Gate(CREDENTIALS, logins, clients, keeping.clock)
        uploads = Uploads(
            {holdings.place: holdings},
            keeping.inventory,
            keeping.existence,
            Contents(EmbeddedDocuments(keeping.database, "content")),
            wanted=1,
            hashing=Inline(),
            clock=keeping.clock,
            chance=lambda: 0.0,
            only=holdings.place,
        )
        quarantine = Quarantine(holdings.volume, 1000)
        contents = Contents(EmbeddedDocuments(keeping.database, "content"))
        return Store(
            StoreParts(
                lobby=Lobby("store", gate, clients, Stats(0, "3"), keeping.clock),
                holdings=holdings,
                uploads=uploads,
                restoring=Restoring(quarantine, uploads, contents),
                desk=desk,
                deliveries=Deliveries(reactor, 60),
                registry=keeping.registry,
                peers=self.peers,
                deny_static=frozenset(),
                internal=None,
                max_upload=max_upload,
            )
        )

    def surplus(self, who: str, wanted: int = 2) -> Surplus:
        keeping = self.keeping
        return Surplus(
            self.keepers,
            keeping.registry,
            keeping.inventory,
            Claims(EmbeddedDocuments(keeping.database, "content"), self.claiming, who),
            keeping.existence,
            self.claiming,
            wanted,
        )

    def clones(self, who: str = "prism1", **more: Any) -> Clones:
        """Those of a prism."""
        keeping = self.keeping
        content = EmbeddedDocuments(keeping.database, "content")
        return Clones(
            keepers=more.pop("keepers", self.keepers),
            sender=more.pop("sender", ClusterSender(keeping.registry, self.peers, self.told)),
            registry=keeping.registry,
            inventory=keeping.inventory,
            contents=Contents(content),
            claims=Claims(content, self.claiming, who),
            existence=keeping.existence,
            clock=self.claiming,
            chance=more.pop("chance", lambda: 0.0),
        )

    def uploads(self, wanted: int = 2, who: str | None = None, **more: Any) -> Uploads:
        """Those of a prism; with `who` it looks for clones too many."""
        keeping = self.keeping
        sender: Sender = ClusterSender(keeping.registry, self.peers, self.told)
        return Uploads(
            more.pop("keepers", self.keepers),
            keeping.inventory,
            keeping.existence,
            Contents(EmbeddedDocuments(keeping.database, "content")),
            wanted=wanted,
            hashing=Inline(),
            clock=keeping.clock,
            chance=more.pop("chance", lambda: 0.0),
            sender=sender,
            surplus=self.surplus(who, wanted) if who is not None else None,
            **more,
        )

    async def records(self, content_hash: str) -> Sequence[InventoryRecord]:
        return await self.keeping.existence.records(content_hash, fresh=True)


@asynccontextmanager
async def cluster(folder: Path, *stores: str, pem: Path | None = None) -> AsyncIterator[Cluster]:
    """A cluster of stores as `name:machine:group` says, over TLS with the certificate in `pem`."""
    made = Cluster(await Keeping.begin(folder), pem)
    for each in stores:
        await made.add(*each.split(":"))
    try:
        yield made
    finally:
        made.keepers.close()
        for store in made.stores.values():
            await store.die()
            store.room.arrivals.stop()


async def send(upload: Upload, data: bytes, **more: Any) -> Kept:
    """One file, fed and settled."""
    try:
        upload.sink.feed(data)
        return await upload.settle("txt", "text/plain", **more)
    finally:
        await upload.abandon()


async def turns(count: int = 20) -> None:
    """Let the reactor turn."""
    for _ in range(count):
        turn: Deferred[None] = Deferred()
        reactor.callLater(0, turn.callback, None)
        await turn


async def until(holds: Any) -> None:
    """Let the reactor turn until something is as it should be."""
    for _ in range(100_000):
        if holds():
            return
        await turns(1)
    raise AssertionError("it does not come to be")


async def passing(made: Cluster, holds: Any) -> None:
    """Let time pass until something is as it should be, from one moment that is waited for to
    the next. Only where all that are waited for are dead: it is too fast for any other.
    """
    clock = made.keeping.clock

    def comes_to_hold() -> bool:
        due = [call.getTime() for call in clock.getDelayedCalls()]
        if due and not holds():
            clock.advance(min(due) - clock.seconds())
        return bool(holds())

    await until(comes_to_hold)
