"""A cluster of processes that share one database and ping each other, all in memory."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from oose.contact import Contact
from oose.errors import Unavailable
from oose.following import Following
from oose.heartbeat import Heartbeat
from oose.metadata.documents import Changes, Document, Stale, Write
from oose.peer import Peer
from oose.registry import Registry
from oose.settings.model import HeartbeatSettings
from oose.upkeep import Upkeep
from oose.votes import Votes
from tests.simulation.memory import MemoryDocuments
from tests.simulation.time import MachineClock, Turned

T = TypeVar("T")
SETTINGS = HeartbeatSettings()
RENEWAL = SETTINGS.vote_life / 3
ROUND = SETTINGS.frequency
VOTED = SETTINGS.start_delay + (SETTINGS.retries + 4) * ROUND  # by then the dead are voted down
TIMEOUT = 1.5  # seconds after which a database that is away is given up


@define
class Network:
    """What comes through. `sides` tells apart those who cannot reach each other."""

    random: Random
    loss: float = 0.0
    latency: float = 0.01
    sides: dict[str, int] = field(factory=dict)
    slow: dict[str, float] = field(factory=dict)
    cut: set[str] = field(factory=set)
    pairs: set[tuple[str, str]] = field(factory=set)
    cut_from_database: set[str] = field(factory=set)

    def passes(self, source: str, target: str) -> bool:
        """Whether one message arrives."""
        if (source, target) in self.pairs:
            return False
        if source in self.cut or target in self.cut:
            return False
        if self.sides.get(source, 0) != self.sides.get(target, 0):
            return False
        return not self.loss or self.random.random() >= self.loss


class Line:
    """The database as one process reaches it."""

    def __init__(
        self, documents: MemoryDocuments, clock: MachineClock, reaches: Callable[[], bool]
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._reaches = reaches
        self._polling: Deferred[Changes] | None = None

    async def get(self, document_id: str) -> Document | None:
        return await self._through(self._documents.get(document_id))

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Document]:
        return await self._through(self._documents.get_many(ids))

    async def range(self, start: str, end: str, *, limit: int | None = None) -> Sequence[Document]:
        return await self._through(self._documents.range(start, end, limit=limit))

    async def under(self, prefixes: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        return await self._through(self._documents.under(prefixes))

    async def put(
        self, document_id: str, body: Mapping[str, Any], rev: str | None = None
    ) -> str | Stale:
        return await self._through(self._documents.put(document_id, body, rev))

    async def delete(self, document_id: str, rev: str) -> str | Stale:
        return await self._through(self._documents.delete(document_id, rev))

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        return await self._through(self._documents.put_many(writes))

    async def changes(self, since: str | None, patience: float) -> Changes:
        self._polling = Deferred.fromCoroutine(self._documents.changes(since, patience))
        try:
            return await self._through(_waited(self._polling))
        except CancelledError:
            if self._reaches():
                raise
            raise Unavailable("The connection was lost") from None

    def hang_up(self) -> None:
        if self._polling is not None:
            self._polling.cancel()

    async def _through(self, request: Coroutine[Deferred[Any], Any, T]) -> T:
        if not self._reaches():
            request.close()
            await deferLater(self._clock, TIMEOUT)
            raise Unavailable("The database is away")
        answer = await request
        if self._clock.is_frozen:
            running: Deferred[None] = Deferred()
            self._clock.hold(lambda: running.callback(None))
            await running
        return answer


async def _waited(deferred: Deferred[T]) -> T:
    return await deferred


class View:
    """What one process, or some that share it, knows of the peers."""

    def __init__(self, line: Line, clock: MachineClock, rest: float = 0.0) -> None:
        self.line = line
        self.registry = Registry(line)
        self.following = Following(
            "Peers",
            line,
            clock,
            on_changes=self.registry.apply,
            on_everything=self.registry.load,
            patience=RENEWAL,
            rest=rest,
        )


class Process:
    """One process that speaks for the peers `peers`, from its start to its end."""

    def __init__(self, cluster: "Cluster", peers: Sequence[Peer], view: View | None) -> None:
        self.cluster = cluster
        self.peers = peers
        self.ids = [peer.id for peer in peers]
        self.clock = MachineClock(cluster.clock, 1000.0 * len(cluster.processes))
        self.hours = 0.0
        self.is_dead = False
        self._is_alone = view is None
        if view is None:
            view = View(Line(cluster.peers, self.clock, self.reaches_database), self.clock)
        self.view = view
        self.registry = view.registry
        self.votes = Votes(Line(cluster.heartbeat, self.clock, self.reaches_database))
        self.upkeep = Upkeep(self.ids, [], self.registry, self.now)
        self._loops = self.upkeep.loops(self.clock, ROUND, RENEWAL)
        self.heartbeat = cluster.heartbeat_of(
            self.ids,
            self.registry,
            self.votes,
            self.clock,
            [view.following.contact, self.upkeep.contact],
            self.now,
        )

    @property
    def name(self) -> str:
        return self.ids[0]

    def reaches_database(self) -> bool:
        network = self.cluster.network
        return not self.cluster.database_is_away and self.name not in network.cut_from_database

    def now(self) -> int:
        """What its clock on the wall says."""
        return int(1.7e12 + self.cluster.clock.seconds() * 1000 + self.hours * 3_600_000)

    async def start(self) -> None:
        if self._is_alone:
            await self.registry.load()
            self.view.following.start()
        await self.votes.clear(self.ids)
        for peer in self.peers:
            await self.registry.register(evolve(peer, renewed=self.now()))
        for loop in self._loops:
            loop.start()
        self.heartbeat.start()

    async def stop(self) -> None:
        """Go down as told to."""
        await self.heartbeat.stop()
        for loop in self._loops:
            await loop.stop()
        await self.view.following.stop()
        for each in self.ids:
            peer = self.registry.peer(each)
            assert peer is not None
            await self.registry.update(evolve(peer, available=False))
        self.is_dead = True

    def kill(self) -> None:
        self.is_dead = True
        self.clock.is_frozen = True

    def freeze(self) -> None:
        self.clock.is_frozen = True

    def thaw(self) -> None:
        self.clock.thaw()


class Cluster:
    """`sizes` says how many peers each of its processes speaks for.

    They are started one after the other, up to `apart` seconds later each.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        seed: int = 1,
        settings: HeartbeatSettings = SETTINGS,
        views: int = 0,
        apart: float = 0.0,
    ) -> None:
        self.clock = Turned()
        self.random = Random(seed)
        self.network = Network(self.random)
        self.settings = settings
        self.database_is_away = False
        self.voted_down: list[str] = []
        self.pings = 0
        self.pinged: Callable[[], object] = lambda: None
        self.most_pings = 0  # of one peer at once
        self._asking: dict[str, tuple[float, int]] = {}
        self.peers = MemoryDocuments(self.clock, self._written)
        self.heartbeat = MemoryDocuments(self.clock)
        self.processes: list[Process] = []
        self._hosts: dict[str, Process] = {}
        clock = MachineClock(self.clock, 0.0)
        self._views = [
            View(Line(self.peers, clock, lambda: True), clock, rest=1.0) for _ in range(views)
        ]
        for view in self._views:
            view.following.start()
        for number, size in enumerate(sizes):
            self.run(self.random.random() * apart)
            self.begin([peer(number, each) for each in range(size)], number)

    def begin(self, peers: Sequence[Peer], number: int) -> Process:
        """Start a process, in place of one with the same peers."""
        view = self._views[number % len(self._views)] if self._views else None
        process = Process(self, peers, view)
        self.processes = [each for each in self.processes if each.ids != process.ids]
        self.processes.insert(number, process)
        self._hosts |= dict.fromkeys(process.ids, process)
        begin(process.start())
        return process

    def restart(self, process: Process) -> Process:
        """Start it again."""
        return self.begin(process.peers, self.processes.index(process))

    def heartbeat_of(
        self,
        ids: Sequence[str],
        registry: Registry,
        votes: Votes,
        clock: MachineClock,
        contacts: Sequence[Contact],
        now: Callable[[], int],
    ) -> Heartbeat:
        async def ping(peer: Peer) -> None:
            await self._ping(ids[0], clock, peer)

        return Heartbeat(
            ids,
            registry,
            votes,
            ping,
            contacts,
            self.settings,
            clock=clock,
            now=now,
            chance=self.random.random,
        )

    async def _ping(self, source: str, clock: MachineClock, peer: Peer) -> None:
        self.pings += 1
        self.pinged()
        at, number = self._asking.get(source, (0.0, 0))
        now = self.clock.seconds()
        self._asking[source] = (now, number + 1 if at == now else 1)
        self.most_pings = max(self.most_pings, self._asking[source][1])
        host = self._hosts[peer.id]
        target = host.name
        if not self.network.passes(source, target) or (host.clock.is_frozen and not host.is_dead):
            await Deferred()
        seconds = self.network.latency + self.network.slow.get(target, 0.0)
        if seconds:
            await deferLater(clock, seconds)
        if host.is_dead:
            raise ConnectionRefusedError("Connection refused")
        if not self.network.passes(target, source):
            await Deferred()

    # What happens.

    def run(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def database_goes(self) -> None:
        self.database_is_away = True
        for process in self.processes:
            process.view.line.hang_up()

    def database_comes_back(self) -> None:
        self.database_is_away = False

    def cut_from_database(self, process: Process) -> None:
        self.network.cut_from_database.add(process.name)
        process.view.line.hang_up()

    # What is to be seen.

    def document(self, peer_id: str) -> Mapping[str, Any]:
        return self.peers.now()[peer_id].body

    def unavailable(self) -> set[str]:
        return {key for key, row in self.peers.now().items() if not row.body["available"]}

    def votes(self) -> set[str]:
        return set(self.heartbeat.now())

    def _written(self, document: Document) -> None:
        if document.body["voted"] and not document.body["available"]:
            self.voted_down.append(document.id)


def begin(work: Coroutine[Deferred[Any], Any, object]) -> None:
    """Begin `work`; what goes wrong in it before it waits is raised."""
    failures: list[Any] = []
    _ = Deferred.fromCoroutine(work).addErrback(failures.append)
    if failures:
        failures[0].raiseException()


def peer(number: int, each: int = 0) -> Peer:
    """The first of a process is its prism, the others are its stores."""
    is_prism = each == 0
    return Peer(
        kind="prism" if is_prism else "store",
        name=f"p{number}" if is_prism else f"s{number}-{each}",
        prism=f"p{number}",
        host=f"10.0.{number // 250}.{number % 250}",
        port=5971 + each,
        url="",
        group="main",
        machine=f"m{number}",
        version="3",
        created=0,
    )


def ids(processes: Iterable[Process]) -> set[str]:
    return {each for process in processes for each in process.ids}
