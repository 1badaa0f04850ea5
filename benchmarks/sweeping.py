"""A process that does nothing but sweep, or one thing that sweeps are compared with.

`python -m benchmarks.sweeping DEED FOLDER [COUCHDB]`: what it prints is JSON.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from oose.contents import Contents
from oose.couchdb import CouchClient, CouchDocuments, CouchInventory, ensure_databases
from oose.disk import Disk
from oose.embedded import EmbeddedDatabase, EmbeddedDocuments, EmbeddedInventory
from oose.existence import Existence
from oose.holdings import Holdings
from oose.metadata.documents import Documents, Inventory, Write
from oose.metadata.records import InventoryRecord
from oose.pool import Threads
from oose.registry import Registry
from oose.settings.model import CouchSettings, InventorySettings
from oose.sweeping.disk_sweeps import DiskSweeps, Means
from oose.sweeping.layout import SLICES, Seen
from oose.sweeping.native import NativeLister
from oose.tls import client_policy
from oose.volume import Volume

reactor: Any = installed
BATCH = 1000
NO_LIMIT = InventorySettings(files=None, requests=None)


@frozen
class Bench:
    """A store's disk and databases."""

    inventory: Inventory
    content: Documents
    peer: Documents
    volume: Volume


def now() -> int:
    return int(time.time() * 1000)


def memory(what: str) -> float:
    """MB of this process: `VmRSS` now, `VmHWM` the most since it was last forgotten."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(what)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


# Deeds.


async def sweep(bench: Bench) -> Mapping[str, Any]:
    """Twice: into an empty inventory, and with nothing changed."""
    registry = Registry(bench.peer)
    existence = Existence(bench.inventory, registry, reactor, 30.0)
    store = Holdings("p1:s1", bench.volume, bench.inventory, existence, registry, now)
    await bench.volume.enroll(None, may_create=True)
    contents = Contents(bench.content)
    means = Means(bench.inventory, contents, existence, NO_LIMIT, reactor, now)
    sweeps = DiskSweeps(store, means)
    sweeps.start()
    idle = memory("VmRSS")
    forget_peak()
    said: dict[str, Any] = {}
    for name in ("first", "again"):
        begun = time.perf_counter()
        await sweeps.scan("auto", fast=True)
        await sweeps.ended()
        said[name] = {**await sweeps.status(), "took": time.perf_counter() - begun}
    return {**said, "memory": memory("VmHWM") - idle}


async def bulk(bench: Bench) -> Mapping[str, Any]:
    """What the database takes of the same records."""
    writes = [write_of(each) for each in files(bench.volume.disk.content)]
    begun = time.perf_counter()
    for start in range(0, len(writes), BATCH):
        await bench.inventory.put_many(writes[start : start + BATCH])
    return {"took": time.perf_counter() - begun, "records": len(writes)}


async def held(bench: Bench) -> Mapping[str, Any]:
    """A plain pass over the records."""
    begun, after, count = time.perf_counter(), "", 0
    while rows := await bench.inventory.held("p1:s1", after=after, limit=BATCH):
        after, count = rows[-1].hash, count + len(rows)
    return {"took": time.perf_counter() - begun, "records": count}


def files(content: Path) -> Sequence[Seen]:
    """All that is there."""
    lister, found = NativeLister(content), []
    for part in SLICES:
        while True:
            page = lister.read(part)
            found += page.files
            if page.is_last:
                break
    return found


def write_of(seen: Seen) -> Write:
    """The record that a sweep makes."""
    record = InventoryRecord(
        seen.hash, "p1", "s1", "video/mp4", seen.ext, seen.path, seen.size, seen.created
    )
    return Write(record.id, record.to_body())


# On databases.

Deed = Callable[[Bench], Awaitable[Mapping[str, Any]]]
DEEDS: Mapping[str, Deed] = {"sweep": sweep, "bulk": bulk, "held": held}


async def on_file(deed: Deed, volume: Volume, path: Path) -> Mapping[str, Any]:
    writer, readers = Threads("writer", 1, reactor), Threads("readers", 2, reactor)
    writer.start()
    readers.start()
    database = EmbeddedDatabase(path, writer=writer, readers=readers)
    await database.open()
    content, peer = EmbeddedDocuments(database, "content"), EmbeddedDocuments(database, "peer")
    try:
        return await deed(Bench(EmbeddedInventory(database), content, peer, volume))
    finally:
        await database.close()
        writer.stop()
        readers.stop()


async def on_couchdb(deed: Deed, volume: Volume, settings: CouchSettings) -> Mapping[str, Any]:
    client = CouchClient(reactor, client_policy(verify=True, own=None), settings)
    try:
        await ensure_databases(client)
        content, peer = CouchDocuments(client, "content"), CouchDocuments(client, "peer")
        return await deed(Bench(CouchInventory(client), content, peer, volume))
    finally:
        await client.close()


def main() -> None:
    name, folder, *couchdb = sys.argv[1:]

    async def work() -> None:
        disk = Threads("disk", 4, reactor)
        disk.start()
        volume = Volume(Disk(Path(folder) / "s1", "s1", 0), disk)
        try:
            if couchdb:
                url, username, password, database = couchdb
                settings = CouchSettings(url, username, password, database, timeout=60)
                said = await on_couchdb(DEEDS[name], volume, settings)
            else:
                said = await on_file(DEEDS[name], volume, Path(folder) / f"{name}.sqlite")
        finally:
            disk.stop()
        print(json.dumps(said))

    react(lambda _: Deferred.fromCoroutine(work()))


if __name__ == "__main__":
    main()
