"""Which object gets which: the parts of one process, made from its settings, without any I/O."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.web.iweb import IPolicyForHTTPS

from oose import __version__
from oose.attempts import LoginAttempts
from oose.claims import Claims
from oose.contents import Contents
from oose.credentials import Credentials
from oose.databases import Cluster, Databases, OneMachine
from oose.deliver.delivery import Deliveries
from oose.disk import Disk
from oose.downloads import Downloads
from oose.existence import Existence
from oose.holdings import Holdings
from oose.imports import Imports
from oose.keepers import Keepers
from oose.logins import BELIEVED, Logins
from oose.membership import Membership
from oose.newcomers import Newcomers
from oose.peer import Peer
from oose.peers import PeerClient
from oose.peers.quarantines import Quarantines
from oose.peers.remote import ClusterKeepers
from oose.peers.sending import ClusterSender
from oose.pools import Pools
from oose.prism import Prism, PrismParts
from oose.prism_caches import PrismCaches
from oose.protection import Protection
from oose.purchasing import PurchaseDesk
from oose.quarantine import Quarantine
from oose.reachability import Reachability
from oose.readers import Readers
from oose.registry import Registry
from oose.relay import Relay
from oose.removal import Removal
from oose.restoring import Restoring
from oose.retrieve import Limits, Retriever
from oose.settings import PrismSettings, Settings, StoreSettings
from oose.stats import Stats
from oose.stewardship import Stewardship
from oose.store import Store, StoreParts
from oose.surplus import Surplus
from oose.tombstones import Tombstones
from oose.uploads import Uploads
from oose.viewing import Viewing
from oose.volume import Volume
from oose.vouchers import Vouchers
from oose.web.client import ClientAddress
from oose.web.gate import Gate
from oose.web.room import Lobby

chance = random.Random().random  # noqa: S311 # nobody gains by guessing it


class Assembly:
    """The parts of one process. `secrets` are the credentials made for `prism` and `store`.

    `policy` judges the certificates of peers and databases.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: Mapping[str, Credentials],
        policy: IPolicyForHTTPS,
        reactor: Any,
    ) -> None:
        self.settings = settings
        self.pools = Pools.make(settings, reactor)
        self._reactor = reactor
        self._secrets = secrets
        self._policy = policy
        self._peers = PeerClient(reactor, policy, self._peer_credentials())
        self._loads: dict[str, Callable[[], int]] = {}
        self._attempts = LoginAttempts()
        self.databases = self._make_databases()
        self.contents = Contents(self.databases.content)
        self.registry = Registry(self.databases.peer)
        heartbeat = settings.heartbeat
        self.reachability = Reachability(
            self._ping,
            self.registry,
            reactor,
            own=[peer_id.partition(":")[2] for peer_id in self.own],
            timeout=heartbeat.ping_response_timeout,
            concurrency=heartbeat.concurrency,
        )
        self.existence = Existence(
            self.databases.inventory,
            self.registry,
            reactor,
            settings.prism.exists_cache_life,
            serves=lambda place: not self.reachability.avoids(place),
            used=self.reachability.used,
        )
        self._make_desks()
        self.holdings = [self._make_holdings(each) for each in settings.stores]
        first_clones = self.databases.first_clones
        volumes = {each.place: each.volume for each in self.holdings}
        self._newcomers = Newcomers(volumes, first_clones) if first_clones is not None else None
        self.keepers = ClusterKeepers(
            {each.place: each for each in self.holdings},
            self.registry,
            self._peers,
            self.reachability,
            min_free=lambda peer: peer.min_free,
        )
        self.stewardship = self._make_stewardship()
        self.quarantines = [self._make_quarantine(each) for each in self.holdings]
        rooms = zip(settings.stores, self.holdings, self.quarantines, strict=True)
        self.stores = [self._make_store(*each) for each in rooms]
        self.prism = self._make_prism(settings.prism) if settings.prism.enabled else None
        self.membership = Membership(
            self.own,
            self.holdings,
            self.databases,
            self.registry,
            self.existence,
            self.reachability,
            settings,
            clock=reactor,
            now=self.now,
            chance=chance,
            tombstones=[self._make_tombstones(each) for each in self.holdings],
            loops=[each.loop(reactor, self.now) for each in self.quarantines],
            repairing=self.stewardship.repairing,
        )

    @property
    def own(self) -> Sequence[str]:
        """The ids of the peers that this process is."""
        prism = self.settings.prism
        stores = [f"store:{each.prism}:{each.name}" for each in self.settings.stores]
        return [f"prism:{prism.name}", *stores] if prism.enabled else stores

    def now(self) -> int:
        """The time in ms since 1970."""
        return int(self._reactor.seconds() * 1000)

    def credentials(self, kind: str, room: PrismSettings | StoreSettings) -> Credentials:
        """A room's own: as configured, else those made for this machine."""
        if room.username is not None and room.password is not None:
            return Credentials(room.username, room.password)
        return self._secrets[kind]

    def _peer_credentials(self) -> Credentials:
        """What we show to stores: in a cluster all peers have the same."""
        if self.settings.stores:
            return self.credentials("store", self.settings.stores[0])
        return self.credentials("prism", self.settings.prism)

    def _vouchers(self, credentials: Credentials) -> Vouchers | None:
        return Vouchers(credentials) if self.settings.is_cluster else None

    def _make_databases(self) -> Databases:
        settings, pools = self.settings, self.pools
        if settings.couchdb is None or settings.redis is None:
            return OneMachine(
                settings, pools.writer, pools.readers, pools.passwords, clock=self._reactor
            )
        afterlife = int(settings.purchase.afterlife * 1000)
        return Cluster(settings.couchdb, settings.redis, afterlife, self._policy, self._reactor)

    def _make_desks(self) -> None:
        settings, databases = self.settings, self.databases
        remembered = int(settings.prism.purchase_cache_life * 1000)
        self.desk = PurchaseDesk(databases.purchases, remembered, endings=databases.endings)
        self.logins = Logins(
            databases.accounts,
            databases.sessions,
            self._attempts,
            int(settings.session.life * 1000),
            endings=databases.endings,
            cache_life=remembered if settings.is_cluster else BELIEVED,
        )

    async def _ping(self, peer: Peer) -> None:
        await self._peers.greet(peer.url)

    def _make_lobby(self, kind: str, room: PrismSettings | StoreSettings) -> Lobby:
        clients = ClientAddress(room.trusted_proxies)
        gate = Gate(self.credentials(kind, room), self.logins, clients, self._reactor)
        stats = Stats(self._reactor.seconds(), __version__)
        if self.settings.is_cluster:
            stats.sources["databases"] = self.databases.describe
        return Lobby(kind, gate, clients, stats, self._reactor)

    def _make_uploads(
        self, keepers: Keepers | Mapping[str, Holdings], wanted: int, only: str | None = None
    ) -> Uploads:
        is_shared = self.settings.is_cluster and only is None
        return Uploads(
            keepers,
            self.databases.inventory,
            self.existence,
            self.contents,
            wanted=wanted,
            hashing=self.pools.hashing,
            clock=self._reactor,
            chance=chance,
            only=only,
            accept_fewer=self.settings.clones.accept_fewer or only is not None,
            sender=self._make_sender(),
            surplus=self._surplus(wanted) if is_shared else None,
            newcomers=self._newcomers,
            ready=self.databases.refuse_if_away,
        )

    def _make_stewardship(self) -> Stewardship:
        return Stewardship(
            self.holdings,
            self.keepers,
            self._make_sender(),
            self.databases,
            self.contents,
            self.registry,
            self.existence,
            self.settings,
            clock=self._reactor,
            now=self.now,
            chance=chance,
        )

    def _make_sender(self) -> ClusterSender:
        return ClusterSender(self.registry, self._peers, self.reachability)

    def _surplus(self, wanted: int) -> Surplus:
        return Surplus(
            keepers=self.keepers,
            registry=self.registry,
            inventory=self.databases.inventory,
            claims=Claims(self.databases.content, self._reactor, self.settings.prism.name),
            existence=self.existence,
            clock=self._reactor,
            wanted=wanted,
        )

    def _make_deliveries(self, room: PrismSettings | StoreSettings, stats: Stats) -> Deliveries:
        deliveries = Deliveries(self._reactor, room.idle_timeout)
        stats.sources["deliveries"] = deliveries.describe
        return deliveries

    # A store.

    def _make_holdings(self, settings: StoreSettings) -> Holdings:
        disk = Disk(settings.root, settings.name, settings.min_free)
        return Holdings(
            f"{settings.prism}:{settings.name}",
            Volume(disk, self.pools.disks[settings.name]),
            self.databases.inventory,
            self.existence,
            self.registry,
            self.now,
        )

    def _make_tombstones(self, holdings: Holdings) -> Tombstones:
        return Tombstones(holdings, self.contents, self.databases.inventory, self.now)

    def _make_quarantine(self, holdings: Holdings) -> Quarantine:
        life = int(self.settings.inventory.quarantine_life * 1000)
        return Quarantine(holdings.volume, life)

    def _make_store(
        self, settings: StoreSettings, holdings: Holdings, quarantine: Quarantine
    ) -> Store:
        lobby = self._make_lobby("store", settings)
        lobby.stats.sources["disk"] = holdings.volume.describe
        uploads = self._make_uploads({holdings.place: holdings}, 1, only=holdings.place)
        lobby.stats.sources["quarantine"] = quarantine.describe
        verification = self.stewardship.verifications[holdings.place]
        lobby.stats.sources["verification"] = verification.describe
        sweeps = self.stewardship.inventory.sweeps[holdings.place]
        lobby.stats.sources["inventory"] = sweeps.describe
        deliveries = self._make_deliveries(settings, lobby.stats)
        self._loads[holdings.place] = deliveries.load
        return Store(
            StoreParts(
                lobby=lobby,
                holdings=holdings,
                uploads=uploads,
                restoring=Restoring(quarantine, uploads, self.contents),
                desk=self.desk,
                deliveries=deliveries,
                registry=self.registry,
                peers=self._peers,
                deny_static=self.settings.prism.deny_static_types,
                internal=settings.accel_redirect,
                max_upload=settings.max_upload,
                vouchers=self._vouchers(self.credentials("store", settings)),
                verification=verification,
                sweeps=sweeps,
            )
        )

    # The prism.

    def _make_removal(self) -> Removal:
        return Removal(
            self.contents,
            self.databases.inventory,
            self.existence,
            self.keepers,
            self.desk,
            self.now,
        )

    def _make_prism(self, settings: PrismSettings) -> Prism:
        lobby = self._make_lobby("prism", settings)
        local = {each.place: each for each in self.holdings}
        keepers = self.keepers if self.settings.is_cluster else local
        uploads = self._make_uploads(keepers, self.settings.clones.minimum)
        readers = Readers(
            self._loads, chance, watcher=self.reachability, seconds=self._reactor.seconds
        )
        viewing = Viewing(
            self.desk,
            self.existence,
            self.registry,
            readers,
            lobby.clients,
            self._reactor,
            domain=self.settings.domain,
            deny_static=settings.deny_static_types,
            vouchers=self._vouchers(self._peer_credentials()),
            count=self.stewardship.count,
        )
        deliveries = self._make_deliveries(settings, lobby.stats)
        lobby.stats.sources["uploads"] = uploads.describe
        lobby.stats.sources.update(self.stewardship.sources)
        limits = self.settings.retrieve
        retriever = Retriever(
            self._reactor,
            self._reactor,
            Limits(
                allow_private=limits.allow_private,
                timeout=limits.timeout,
                max_size=limits.max_size,
                max_redirects=limits.max_redirects,
            ),
        )
        relay = Relay(self._reactor, self.registry, self._policy, self._peer_credentials())
        demand = self.stewardship.demand
        assert demand is not None  # a prism has one
        return Prism(
            PrismParts(
                lobby=lobby,
                logins=self.logins,
                uploads=uploads,
                existence=self.existence,
                desk=self.desk,
                viewing=viewing,
                downloads=Downloads(
                    local, self.existence, readers, deliveries, relay, self.stewardship.count
                ),
                imports=Imports(retriever, uploads),
                caches=PrismCaches(lobby.stats, viewing, self.existence, self.desk, demand.named),
                removal=self._make_removal(),
                protection=Protection(self.contents, self.existence),
                quarantines=Quarantines(self.registry, self._peers),
                max_upload=settings.max_upload,
                default_hash_type=self.settings.default_hash_type,
                purchase_life=int(self.settings.purchase.life * 1000),
            )
        )
