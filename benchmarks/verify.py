"""Verification against `sha1sum`, its limit, and deliveries beside it."""

import hashlib
import json
import os
import re
import subprocess
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from attrs import frozen

from benchmarks.report import Row, median
from benchmarks.running import MEGABYTE, WORK, Oose, oose, post, sell
from oose.address import relative_path
from oose.cli.users import run_now
from oose.embedded import EmbeddedDatabase, EmbeddedInventory
from oose.embedded.database import FILE_NAME
from oose.metadata.documents import Write
from oose.metadata.records import InventoryRecord
from oose.pool import Inline

MIXES = ((300, 8 * MEGABYTE), (20_000, 64 * 1024))
PAIRS = 5
LIMIT = 100_000_000  # bytes a second, where a limit is measured
SECONDS = 10  # of deliveries
AT_ONCE = 4  # connections that ask for them
SETTINGS = "inventory = {'verify_frequency': None}\n"


@frozen
class Files:
    """Content on a store: `count` files of `size` bytes."""

    count: int
    size: int
    hashes: Sequence[str]
    paths: Sequence[Path]

    @property
    def name(self) -> str:
        mega = self.size >= MEGABYTE
        of = f"{self.size // MEGABYTE} MiB" if mega else f"{self.size // 1024} KiB"
        return f"{self.count:,} files of {of}"

    @property
    def bytes(self) -> int:
        return self.count * self.size


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=WORK))
    rows: list[Row] = []
    with oose(folder / "oose", SETTINGS) as server:
        for count, size in MIXES:
            files = fill(server, count, size)
            rows += speed(server, files)
            if size >= MEGABYTE:
                rows.append(limit(server, files))
                rows += deliveries(server, files)
            empty(server, files)
    return rows


def speed(server: Oose, files: Files) -> list[Row]:
    """As fast as it goes, everything in the page cache."""
    ours, theirs = [], []
    for _ in range(PAIRS):
        theirs.append(sha1sum(files))
        ours.append(verified(server, files, rate=0))
    ratio = median([t / o for t, o in zip(theirs, ours, strict=True)])
    name = f"verification, {files.name}"
    return [
        Row(f"{name}, sha1sum", f"{files.bytes / MEGABYTE / median(theirs):.0f} MiB/s"),
        Row(f"{name}, oose", f"{files.bytes / MEGABYTE / median(ours):.0f} MiB/s"),
        Row(f"{name}, ratio", f"{ratio:.2f}", "at least 0.8", ratio >= 0.8),
    ]


def limit(server: Oose, files: Files) -> Row:
    """At a limited rate, over the whole run."""
    rate = files.bytes / verified(server, files, rate=LIMIT)
    return Row(
        f"verification at {LIMIT / 1e6:.0f} MB/s",
        f"{rate / 1e6:.1f} MB/s",
        f"at most {LIMIT / 1e6:.0f} MB/s",
        LIMIT * 0.9 <= rate <= LIMIT,
    )


def deliveries(server: Oose, files: Files) -> list[Row]:
    """What viewers wait for, quiet and beside verification from the disk at its usual rate."""
    rows = []
    small = fill(server, 1, 64 * 1024)
    for what, content_hash in (("64 KiB", small.hashes[0]), ("8 MiB", files.hashes[0])):
        path = sell(server, content_hash)
        quiet, beside = [], []
        for _ in range(PAIRS):
            quiet.append(p99(server.store_port, path))
            evict(files, but=content_hash)
            ask(server, "/verification/start", {})
            beside.append(p99(server.store_port, path))
            said = ask(server, "/verification/stop", {})
            if said["seconds"] < SECONDS / 2 or said["state"] != "stopped":
                raise RuntimeError(f"nothing was verified beside it: {said}")
        ratio = median([b / q for b, q in zip(beside, quiet, strict=True)])
        name = f"p99 of GET of {what}, {AT_ONCE} at once"
        rows += [
            Row(f"{name}, quiet", f"{median(quiet):.2f} ms"),
            Row(f"{name}, beside verification", f"{median(beside):.2f} ms"),
            Row(f"{name}, ratio", f"{ratio:.2f}", "at most 2", ratio <= 2),
        ]
    empty(server, small)
    return rows


# What is measured.


def sha1sum(files: Files) -> float:
    """Seconds for all of them."""
    names = "\0".join(map(str, files.paths)).encode()
    begun = time.perf_counter()
    subprocess.run(["xargs", "-0", "sha1sum"], input=names, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def verified(server: Oose, files: Files, rate: int) -> float:
    """Seconds for the store to verify all it has, from the list of its records to the last."""
    said = ask(server, "/verification/start", {"rate": rate})
    while said["state"] == "begun":
        time.sleep(0.1)
        said = ask(server, "/verification/status", {})
    if said["ok"] < files.count or said["corrupt"] + said["missing"] + said["failed"]:
        raise RuntimeError(f"not all is well: {said}")
    return float(said["seconds"])


def p99(port: int, path: str) -> float:
    """Milliseconds in which 99 of 100 GETs are answered whole."""
    command = ["wrk", "-t1", f"-c{AT_ONCE}", f"-d{SECONDS}s", "--latency", "--timeout", "30s"]
    ended = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
    )
    found = re.search(r"^\s*99%\s+([\d.]+)(us|ms|s)$", ended.stdout, re.MULTILINE)
    if found is None or "Non-2xx" in ended.stdout or "Socket errors" in ended.stdout:
        raise RuntimeError(ended.stdout)
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def ask(server: Oose, path: str, value: object) -> Any:
    """Ask the store as a peer."""
    own = json.loads((server.root / "secrets.json").read_text())["store"]
    pair = b64encode(f"{own['username']}:{own['password']}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {pair}"}
    return post(server.store_port, path, json.dumps(value).encode(), headers)


# What there is.


def fill(server: Oose, count: int, size: int) -> Files:
    """Content as uploads leave it, the fast way: files on the disk, records in the database."""
    content = server.root / "store1" / "content"
    block, now = os.urandom(size), int(time.time() * 1000)
    records, paths = [], []
    for number in range(count):
        data = number.to_bytes(8, "big") + block[8:]
        name = hashlib.sha1(data).hexdigest()
        record = InventoryRecord(
            hash=name,
            prism="prism1",
            store="store1",
            mime_type="application/octet-stream",
            mime_extension="bin",
            relative_path=relative_path(name, "bin"),
            size=size,
            created=now,
            sha256=hashlib.sha256(data).hexdigest(),
            verified=now,
        )
        records.append(record)
        paths.append(content / record.relative_path)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        paths[-1].write_bytes(data)
    run_now(write(server, [Write(record.id, record.to_body()) for record in records]))
    os.sync()
    return Files(count, size, [record.hash for record in records], paths)


def empty(server: Oose, files: Files) -> None:
    """As it was before."""
    run_now(forget(server, [f"{each}:prism1:store1" for each in files.hashes]))
    for path in files.paths:
        path.unlink()


async def write(server: Oose, writes: Sequence[Write]) -> None:
    database = await opened(server)
    for start in range(0, len(writes), 1000):
        await EmbeddedInventory(database).put_many(writes[start : start + 1000])
    await database.close()


async def forget(server: Oose, ids: Sequence[str]) -> None:
    database = await opened(server)
    found = await EmbeddedInventory(database).get_many(ids)
    gone = [Write(each.id, None, each.rev) for each in found.values()]
    await EmbeddedInventory(database).put_many(gone)
    await database.close()


async def opened(server: Oose) -> EmbeddedDatabase:
    """The server's database, beside it."""
    here = Inline()
    database = EmbeddedDatabase(server.root / FILE_NAME, writer=here, readers=here)
    await database.open()
    return database


def evict(files: Files, but: str) -> None:
    """Take files out of the page cache."""
    for path in files.paths:
        if not path.name.startswith(but):
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
