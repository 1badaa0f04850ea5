"""Repair of small clones that a killed store takes with it, and what limits it.

`OOSE_BENCHMARK_CLONES` says how many, where it is to be another number than that of the table.
"""

import hashlib
import json
import os
import random
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from attrs import frozen

from benchmarks.report import Row
from benchmarks.running import WORK, Running
from install.cluster.cluster import PRISMS, Cluster, Ports
from install.cluster.servers import Server
from oose.address import relative_path
from oose.metadata.records import InventoryRecord

CLONES = 10_000
SIZE = 64 * 1024
AGE = 86_400_000  # ms since all was verified: it is read again before it is sent
MANY = 1000  # records in one request
PATIENCE = 900.0  # seconds
QUIET = 4.0  # seconds in which what goes on anyway is counted
INVENTORY = "oose-inventory"
LOST = "store4"
LEFT = {"store1": "prism1", "store2": "prism1", "store3": "prism2"}
OTHERS, IDLE, WAITING = "all others", "nobody", "nobody, for a disk"
HEARTBEAT = '{"start_delay": 1, "frequency": 1, "retries": 2, "vote_life": 10}'
SETTINGS = {
    "clones": {"repair_after": "1s", "repair_rate": None},
    "inventory": {"enabled": False, "files": None, "requests": None, "verify_frequency": None},
}


@frozen
class Moment:
    """What was used so far: `asked` of the databases and CPU `seconds`, by process.

    `idle` is how long cores had nothing to do, and `waiting` how long that was for a disk.
    """

    at: float
    asked: Mapping[str, int]
    seconds: Mapping[str, float]
    idle: float
    waiting: float

    def rate_since(self, before: "Moment") -> float:
        """Questions a second."""
        return self.asked_since(before) / (self.at - before.at)

    def asked_since(self, before: "Moment") -> int:
        return sum(count - before.asked[name] for name, count in self.asked.items())

    def shares_since(self, before: "Moment") -> Mapping[str, float]:
        """Of one core, by process; and what is left of all cores."""
        used = {name: now - before.seconds[name] for name, now in self.seconds.items()}
        idle, waiting = self.idle - before.idle, self.waiting - before.waiting
        cores = (os.cpu_count() or 1) * (self.at - before.at)
        others = cores - sum(used.values()) - idle - waiting
        all_used = {**used, OTHERS: others, IDLE: idle, WAITING: waiting}
        return {name: each / (self.at - before.at) for name, each in all_used.items()}


def run() -> list[Row]:
    count = int(os.environ.get("OOSE_BENCHMARK_CLONES", CLONES))
    WORK.mkdir(parents=True, exist_ok=True)
    with tending(Path(mkdtemp(dir=WORK)), count) as cluster:
        return repaired(cluster, count)


@contextmanager
def tending(folder: Path, count: int) -> Iterator[Cluster]:
    """A started cluster with so many contents, each with a clone on the store to be lost."""
    more = {"OOSE_CLUSTER_PLAIN": "yes", "OOSE_CLUSTER_SETTINGS": json.dumps(SETTINGS)}
    net = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}"
    cluster = Cluster(folder, Ports(net=net), HEARTBEAT, more)
    try:
        cluster.start()  # so that the disks are known
        for peer in cluster.peers.values():
            peer.stop()
        fill(cluster, count)
        for peer in cluster.peers.values():
            peer.start()
        for peer in cluster.peers.values():
            peer.wait()
        until(lambda: is_counted(cluster, count))
        yield cluster
    finally:
        cluster.stop()


def fill(cluster: Cluster, count: int) -> None:
    """Content as uploads have left it a day ago, the fast way."""
    block, before = os.urandom(SIZE), int(time.time() * 1000) - AGE
    documents = []
    for number in range(count):
        data = number.to_bytes(8, "big") + block[8:]
        name = hashlib.sha1(data).hexdigest()
        store = list(LEFT)[number % len(LEFT)]
        record = InventoryRecord(
            hash=name,
            prism=LEFT[store],
            store=store,
            mime_type="application/octet-stream",
            mime_extension="bin",
            relative_path=relative_path(name, "bin"),
            size=SIZE,
            created=before,
            sha256=hashlib.sha256(data).hexdigest(),
            verified=before,
        )
        path = content(cluster, store) / record.relative_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        other = content(cluster, LOST) / record.relative_path
        other.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, other)
        both = (record, record.on("prism2", LOST, record.relative_path))
        documents += [{"_id": each.id, **each.to_body()} for each in both]
    for start in range(0, len(documents), MANY):
        answers = cluster.couch.ask(
            "POST", f"/{INVENTORY}/_bulk_docs", {"docs": documents[start : start + MANY]}
        )
        if any("error" in each for each in answers):
            raise RuntimeError(f"not written: {answers[:3]}")
    os.sync()


def repaired(cluster: Cluster, count: int) -> list[Row]:
    """Kill the store, and look on until all is as it should be."""
    records = recorded(cluster)
    quiet = moment(cluster)
    time.sleep(QUIET)
    anyway = moment(cluster).rate_since(quiet)
    cluster.peers[LOST].kill()
    killed = time.monotonic()
    until(lambda: recorded(cluster) > records)
    begun, done = moment(cluster), recorded(cluster) - records
    until(lambda: recorded(cluster) >= records + count)
    ended = moment(cluster)
    check(cluster, count)
    seconds, clones = ended.at - begun.at, count - done
    each = (ended.asked_since(begun) - anyway * seconds) / clones
    shares = ended.shares_since(begun)
    name = f"repair of {count} clones of {SIZE // 1024} KiB"
    limit = max(processes(cluster), key=lambda each: shares[each])
    if shares[IDLE] + shares[WAITING] < 0.2:
        limits = f"the cores, of which {limit} uses most"
    elif shares[limit] > 0.8:
        limits = f"{limit}, one core"
    else:
        limits = "waiting"
    return [
        Row(name, f"{clones / seconds:.0f} clones/s"),
        Row(f"{name}, bytes", f"{clones * SIZE / seconds / 1e6:.1f} MB/s"),
        Row(f"{name}, until it begins", f"{begun.at - killed:.1f} s"),
        Row(f"{name}, questions to databases", f"{each:.1f} each"),
        *[Row(f"{name}, CPU: {key}", f"{share:.0%} of a core") for key, share in shares.items()],
        Row(f"{name}, limited by", limits),
    ]


# What there is.


def content(cluster: Cluster, store: str) -> Path:
    return cluster.peers[store].folder / store / "content"


def recorded(cluster: Cluster) -> int:
    """How many documents the inventory has."""
    return int(cluster.couch.ask("GET", f"/{INVENTORY}")["doc_count"])


def is_counted(cluster: Cluster, count: int) -> bool:
    """Whether the prisms have looked at all of it, and are content."""
    repair = stats(cluster, "prism1")["repair"]
    return bool(repair["contents"] == count and not repair["endangered"] and not repair["tasks"])


def check(cluster: Cluster, count: int) -> None:
    """All contents have two clones beside those that were lost, and as many files."""
    rows = cluster.couch.ask("GET", f"/{INVENTORY}/_all_docs")["rows"]
    places: dict[str, int] = {}
    for row in rows:
        name, colon, place = row["id"].partition(":")
        if colon and not place.endswith(LOST):
            places[name] = places.get(name, 0) + 1
    files = sum(1 for store in LEFT for _ in content(cluster, store).glob("*/*/*"))
    if list(places.values()) != [2] * count or files != 2 * count:
        raise RuntimeError(f"of {count} contents {len(places)} have clones, {files} in all")


def processes(cluster: Cluster) -> Mapping[str, Server]:
    """Those that are at work."""
    peers = {name: peer for name, peer in cluster.peers.items() if name != LOST}
    return {**peers, "couchdb": cluster.couchdb, "redis": cluster.redis}


def moment(cluster: Cluster) -> Moment:
    servers = processes(cluster)
    asked = {name: sum(stats(cluster, name)["databases"].values()) for name in (*PRISMS, *LEFT)}
    seconds = {}
    for name, server in servers.items():
        if server.process is None:
            raise RuntimeError(f"{name} does not run")
        seconds[name] = Running(server.process, 0).cpu_seconds()
    cores = Path("/proc/stat").read_text().splitlines()[0].split()
    idle, waiting = (int(cores[field]) / os.sysconf("SC_CLK_TCK") for field in (4, 5))
    return Moment(time.monotonic(), asked, seconds, idle, waiting)


def stats(cluster: Cluster, name: str) -> Mapping[str, Mapping[str, int]]:
    with urllib.request.urlopen(f"{cluster.url(name)}/stats", timeout=60) as answer:
        found: Mapping[str, Mapping[str, int]] = json.load(answer)
        return found


def until(holds: Callable[[], bool]) -> None:
    """Wait for it, looking seldom."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("repair takes too long")
        time.sleep(0.5)
