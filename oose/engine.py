"""One process of oose: it binds its ports, comes up, listens, and stops in order."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from oose import __version__
from oose.assembly import Assembly
from oose.counting import some
from oose.errors import OoseError, Unavailable
from oose.first_start import make_first_user
from oose.holdings import Holdings
from oose.listening import Bound, CannotListen, RoomSettings, bind_all, is_every_address
from oose.locks import InUse, Lock, lock
from oose.log import part
from oose.loop import Loop
from oose.peer import Peer
from oose.settings import PrismSettings, Settings
from oose.systemd.supervision import Supervision
from oose.together import together
from oose.web.intake import Room
from oose.web.site import RoomSite

DRAIN = 30.0  # seconds that what is under way may take after SIGTERM
OPEN = 0o022  # umask: nginx and people may read content; what is secret has a mode of its own
UPKEEP = 300.0  # seconds between two rounds of forgetting what has expired
BACKLOG = 512
LOCK = "oose.lock"  # in the root
WAIT = 2.0  # seconds between two attempts to reach databases that are away
ATTEMPT = 60.0  # seconds within which the next has failed too, or systemd may give this start up
SAY_AGAIN = 15  # attempts after which the same is said again
_log = part("start")


class CannotStart(Exception):
    """The process cannot do its work here; the message is for whoever started it."""


class Engine(Service):
    """Runs `assembly`, and tells systemd of it by `supervision`.

    `fail` is called when the start cannot be completed.
    """

    def __init__(
        self,
        assembly: Assembly,
        tls: Any,
        certificate: Path | None,
        supervision: Supervision,
        reactor: Any,
        fail: Callable[[], None],
    ) -> None:
        self._assembly = assembly
        self._settings: Settings = assembly.settings
        self._tls = tls
        self._certificate = certificate
        self._supervision = supervision
        self._reactor = reactor
        self._fail = fail
        self._lock: Lock | None = None
        self._bound: list[Bound] = []
        self._sites: list[RoomSite] = []
        self._ports: list[IListeningPort] = []
        self.starting: Deferred[None] | None = None
        self._forgetting = Loop(
            "Forgetting what has expired", self._forget_expired, UPKEEP, reactor
        )

    # Start.

    def claim(self) -> None:
        """Take what only one process can have, the root and the ports; `CannotStart`.

        twistd calls it while a daemon can still tell its operator what is wrong.
        """
        try:
            self._lock = lock(self._settings.root / LOCK)
            rooms: list[RoomSettings] = list(self._settings.stores)
            if self._settings.prism.enabled:
                rooms.append(self._settings.prism)
            self._bound = bind_all(rooms, self._supervision.sockets)
        except (InUse, CannotListen) as error:
            raise CannotStart(str(error)) from None

    def release(self) -> None:
        """Give back what was claimed."""
        for bound in self._bound:
            bound.socket.close()
        for holdings in self._assembly.holdings:
            holdings.volume.release()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def privilegedStartService(self) -> None:
        """Claim what was not claimed before."""
        super().privilegedStartService()
        if self._lock is None:
            self.claim()
        else:
            self._lock.sign()  # a daemon has got another number

    def startService(self) -> None:
        """Come up; the ports answer once everything is ready."""
        super().startService()
        os.umask(OPEN)
        for pool in self._assembly.pools.all():
            pool.start()
        self._supervision.watchdog.start()
        self.starting = Deferred.fromCoroutine(self._come_up()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) and not self.running:
            return  # stopped while it was waiting
        if failure.check(OoseError, CannotStart):
            _log.error("Cannot start: {why}", why=failure.getErrorMessage())
        else:
            _log.failure("Cannot start", failure)
        self._fail()

    async def _come_up(self) -> None:
        assembly = self._assembly
        await self._be_ready()
        lines: Sequence[str] = ()
        if assembly.databases.own_accounts is not None:
            lines = await make_first_user(
                assembly.databases.own_accounts,
                self._settings.root,
                self.url,
                self._certificate,
                assembly.credentials("prism", self._settings.prism),
                assembly.now(),
            )
        self._listen()
        assembly.membership.join()
        assembly.stewardship.start()
        self._forgetting.start()
        for line in lines:
            _log.info("{line}", line=line)
        _log.info("OOSE {version} is ready", version=__version__)
        self._supervision.notifier.ready(f"OOSE {__version__} is ready")

    async def _be_ready(self) -> None:
        """Open the databases and say there that we are here; a cluster's are waited for."""
        assembly = self._assembly
        said, tries = "", 0
        while True:
            try:
                await assembly.databases.open()
                await assembly.registry.load()
                await assembly.membership.come_back()
                await self._register()
            except Unavailable as error:
                if not self._settings.is_cluster:
                    raise
                if error.message != said or tries % SAY_AGAIN == 0:
                    said = error.message
                    _log.warn("Waiting for the databases: {why}", why=said)
                tries += 1
                self._supervision.notifier.waiting(f"Waiting for the databases: {said}", ATTEMPT)
                await deferLater(self._reactor, WAIT)
            else:
                return

    @property
    def url(self) -> str:
        """Where the prism is, or else the first store."""
        return self._url(self._bound[-1])

    def _url(self, bound: Bound) -> str:
        if bound.settings.url is not None:
            return bound.settings.url
        scheme = "https" if self._tls is not None else "http"
        host = bound.settings.listen
        if is_every_address(host):
            host = self._settings.machine
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{bound.port}"

    async def _register(self) -> None:
        registry = self._assembly.registry
        for bound in reversed(self._bound):  # the prism before its stores
            if isinstance(bound.settings, PrismSettings):
                await registry.register(self._peer(bound))
        for bound, holdings in zip(self._bound, self._assembly.holdings, strict=False):
            registry.check_name(self._peer(bound))  # before anything is said of its disk
            try:
                await holdings.enroll()
            except InUse as error:
                raise CannotStart(str(error)) from None
            await registry.register(self._store_peer(bound, holdings))

    def _peer(self, bound: Bound) -> Peer:
        settings = bound.settings
        is_prism = isinstance(settings, PrismSettings)
        return Peer(
            kind="prism" if is_prism else "store",
            name=settings.name,
            prism=settings.name if isinstance(settings, PrismSettings) else settings.prism,
            host=settings.listen,
            port=bound.port,
            url=self._url(bound),
            group=self._settings.group,
            machine=self._settings.machine,
            version=__version__,
            created=self._assembly.now(),
            renewed=self._assembly.now(),
        )

    def _store_peer(self, bound: Bound, holdings: Holdings) -> Peer:
        volume = holdings.volume
        return evolve(
            self._peer(bound),
            available=volume.usable,
            capacity=volume.space.capacity,
            free=volume.space.free,
            min_free=volume.disk.min_free,
            identity=volume.identity,
        )

    def _listen(self) -> None:
        assembly = self._assembly
        rooms: list[Room] = list(assembly.stores)
        if assembly.prism is not None:
            rooms.append(assembly.prism)
        for room, bound in zip(rooms, self._bound, strict=True):
            site = RoomSite(room, idle_timeout=bound.settings.idle_timeout, clock=self._reactor)
            factory: Any = site
            if self._tls is not None:
                factory = TLSMemoryBIOFactory(self._tls, False, site, self._reactor)
            if not bound.listens:
                bound.socket.listen(BACKLOG)
            self._ports.append(
                self._reactor.adoptStreamPort(bound.socket.fileno(), bound.socket.family, factory)
            )
            bound.socket.close()
            self._sites.append(site)
            _log.info("{name} listens on {url}", name=bound.settings.name, url=self._url(bound))

    async def _forget_expired(self) -> None:
        now = self._assembly.now()
        afterlife = int(self._settings.purchase.afterlife * 1000)
        await self._assembly.desk.prune(now - afterlife)
        await self._assembly.databases.sessions.prune(now)

    # Stop.

    def stopService(self) -> "Deferred[None]":
        """Accept nothing more, let what is under way finish for a while, then stop."""
        super().stopService()
        under_way = f"Lets what is under way finish, for up to {DRAIN:g} s"
        self._supervision.notifier.stopping(under_way)
        return Deferred.fromCoroutine(self._go_down())

    async def _go_down(self) -> None:
        assembly = self._assembly
        if self.starting is not None:
            self.starting.cancel()
        await assembly.stewardship.stop()
        await assembly.membership.leave()
        await self._forgetting.stop()
        if self._settings.is_cluster:
            await self._say_that_we_go()  # first, so that nobody is sent here any more
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        cut = await together(site.drain(DRAIN) for site in self._sites)
        if sum(cut):
            _log.warn("Cut after {s:g} s: {what}", what=some(sum(cut), "connection"), s=DRAIN)
        if not self._settings.is_cluster:
            await self._say_that_we_go()
        for store in assembly.stores:
            store.arrivals.stop()
        assembly.keepers.close()
        await together(each.volume.settled() for each in assembly.holdings)
        await assembly.databases.close()
        for pool in assembly.pools.all():
            pool.stop()
        self.release()
        await self._supervision.watchdog.stop()
        self._supervision.notifier.close()
        _log.info("Stopped")

    async def _say_that_we_go(self) -> None:
        """None of our peers is available from now on."""
        registry = self._assembly.registry
        known = [peer for each in self._assembly.own if (peer := registry.peer(each)) is not None]
        try:
            await registry.renew([evolve(peer, available=False) for peer in known])
        except OoseError as error:
            _log.warn("That we stop could not be written down: {why}", why=error.message)
