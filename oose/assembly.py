"""Which object gets which: the parts of one process, made from its settings, without any I/O."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from oose import __version__
from oose.attempts import LoginAttempts
from oose.credentials import Credentials
from oose.deliver.delivery import Deliveries
from oose.disk import Disk
from oose.downloads import Downloads
from oose.embedded import (
    EmbeddedAccounts,
    EmbeddedDatabase,
    EmbeddedDocuments,
    EmbeddedPurchases,
    EmbeddedSessions,
)
from oose.embedded.database import FILE_NAME
from oose.existence import Existence
from oose.holdings import Holdings
from oose.imports import Imports
from oose.logins import Logins
from oose.passwords import Passwords
from oose.peers import PeerClient
from oose.pool import Threads
from oose.prism import Prism, PrismParts
from oose.prism_caches import PrismCaches
from oose.purchasing import PurchaseDesk
from oose.readers import Readers
from oose.registry import Registry
from oose.retrieve import Limits, Retriever
from oose.settings import PrismSettings, Settings, StoreSettings
from oose.stats import Stats
from oose.store import Store, StoreParts
from oose.uploads import Uploads
from oose.viewing import Viewing
from oose.volume import Volume
from oose.web.client import ClientAddress
from oose.web.gate import Gate
from oose.web.room import Lobby

DISK_THREADS = 4  # one slow read must not hold up the others; more only crowd the reactor out
chance = random.Random().random  # noqa: S311 # nobody gains by guessing it


@frozen
class Pools:
    """All threads of the process. Every disk has its own beside these."""

    hashing: Threads
    writer: Threads
    readers: Threads
    passwords: Threads
    disks: Mapping[str, Threads]

    @classmethod
    def make(cls, settings: Settings, reactor: Any) -> "Pools":
        """Not started yet."""
        names = [store.name for store in settings.stores]
        return cls(
            hashing=Threads("hash", 2, reactor),
            writer=Threads("database-writer", 1, reactor),
            readers=Threads("database-reader", 2, reactor),
            passwords=Threads("password", 2, reactor),
            disks={name: Threads(f"disk-{name}", DISK_THREADS, reactor) for name in names},
        )

    def all(self) -> Sequence[Threads]:
        """Every pool."""
        return (self.hashing, self.writer, self.readers, self.passwords, *self.disks.values())


class Assembly:
    """The parts of one process. `secrets` are the credentials made for `prism` and `store`."""

    def __init__(
        self,
        settings: Settings,
        secrets: Mapping[str, Credentials],
        peers: PeerClient,
        reactor: Any,
    ) -> None:
        self.settings = settings
        self.pools = Pools.make(settings, reactor)
        self._reactor = reactor
        self._secrets = secrets
        self._peers = peers
        self._loads: dict[str, Callable[[], int]] = {}
        self._open_databases()
        self.existence = Existence(
            self.inventory, self.registry, reactor, settings.prism.exists_cache_life
        )
        self.holdings = [self._make_holdings(each) for each in settings.stores]
        self.stores = [
            self._make_store(*each) for each in zip(settings.stores, self.holdings, strict=True)
        ]
        self.prism = self._make_prism(settings.prism) if settings.prism.enabled else None

    def now(self) -> int:
        """The time in ms since 1970."""
        return int(self._reactor.seconds() * 1000)

    def credentials(self, kind: str, room: PrismSettings | StoreSettings) -> Credentials:
        """A room's own: as configured, else those made for this machine."""
        if room.username is not None and room.password is not None:
            return Credentials(room.username, room.password)
        return self._secrets[kind]

    def _open_databases(self) -> None:
        settings, pools = self.settings, self.pools
        self.database = EmbeddedDatabase(
            settings.root / FILE_NAME, writer=pools.writer, readers=pools.readers
        )
        self.accounts = EmbeddedAccounts(self.database, Passwords(pools.passwords))
        self.sessions = EmbeddedSessions(self.database)
        self.inventory = EmbeddedDocuments(self.database, "inventory")
        self.registry = Registry(EmbeddedDocuments(self.database, "peer"))
        self.desk = PurchaseDesk(
            EmbeddedPurchases(self.database), int(settings.prism.purchase_cache_life * 1000)
        )
        life = int(settings.session.life * 1000)
        self.logins = Logins(self.accounts, self.sessions, LoginAttempts(), life)

    def _make_lobby(self, kind: str, room: PrismSettings | StoreSettings) -> Lobby:
        clients = ClientAddress(room.trusted_proxies)
        gate = Gate(self.credentials(kind, room), self.logins, clients, self._reactor)
        stats = Stats(self._reactor.seconds(), __version__)
        return Lobby(kind, gate, clients, stats, self._reactor)

    def _make_uploads(
        self, holdings: Sequence[Holdings], wanted: int, only: str | None = None
    ) -> Uploads:
        return Uploads(
            {each.place: each for each in holdings},
            self.inventory,
            self.existence,
            wanted=wanted,
            hashing=self.pools.hashing,
            clock=self._reactor,
            chance=chance,
            only=only,
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
            self.inventory,
            self.existence,
            self.registry,
            self.now,
        )

    def _make_store(self, settings: StoreSettings, holdings: Holdings) -> Store:
        lobby = self._make_lobby("store", settings)
        lobby.stats.sources["disk"] = holdings.volume.describe
        deliveries = self._make_deliveries(settings, lobby.stats)
        self._loads[holdings.place] = deliveries.load
        return Store(
            StoreParts(
                lobby=lobby,
                holdings=holdings,
                uploads=self._make_uploads([holdings], 1, only=holdings.place),
                desk=self.desk,
                deliveries=deliveries,
                registry=self.registry,
                peers=self._peers,
                deny_static=self.settings.prism.deny_static_types,
                internal=settings.accel_redirect,
                max_upload=settings.max_upload,
            )
        )

    # The prism.

    def _make_prism(self, settings: PrismSettings) -> Prism:
        lobby = self._make_lobby("prism", settings)
        uploads = self._make_uploads(self.holdings, self.settings.clones.minimum)
        readers = Readers(self._loads, chance)
        viewing = Viewing(
            self.desk,
            self.existence,
            self.registry,
            readers,
            lobby.clients,
            self._reactor,
            domain=self.settings.domain,
            deny_static=settings.deny_static_types,
        )
        deliveries = self._make_deliveries(settings, lobby.stats)
        lobby.stats.sources["uploads"] = uploads.describe
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
        sources = {each.place: each for each in self.holdings}
        return Prism(
            PrismParts(
                lobby=lobby,
                logins=self.logins,
                uploads=uploads,
                existence=self.existence,
                desk=self.desk,
                viewing=viewing,
                downloads=Downloads(sources, self.existence, readers, deliveries),
                imports=Imports(retriever, uploads),
                caches=PrismCaches(lobby.stats, viewing, self.existence, self.desk),
                max_upload=settings.max_upload,
                default_hash_type=self.settings.default_hash_type,
                purchase_life=int(self.settings.purchase.life * 1000),
            )
        )
