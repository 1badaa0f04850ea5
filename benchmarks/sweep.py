"""Sweeps against what find and the database do alone, and their memory.

`OOSE_SWEEP_FILES` and `OOSE_SWEEP_MANY` say how many files, where fewer are to do.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks.report import Row, median
from benchmarks.running import REPOSITORY, WORK
from oose.address import old_relative_path, relative_path
from oose.disk import Disk
from tests.pouchdb import Pouchdb, start

FILES = int(os.environ.get("OOSE_SWEEP_FILES", "200000"))
MANY = int(os.environ.get("OOSE_SWEEP_MANY", "1000000"))
FEW = min(FILES, 20_000)  # in a CouchDB, or what speaks so
OLD = 4  # one file of so many lies where version 2.x put it
PAIRS = 3


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=WORK))
    rows = on_file(folder)
    rows += on_couchdb(folder)
    shutil.rmtree(folder / "s1")
    return rows + memory(folder)


def on_file(folder: Path) -> list[Row]:
    """On the embedded database."""
    lay(folder, FILES)
    found: dict[str, list[float]] = {}
    for _ in range(PAIRS):
        for each in folder.glob("*.sqlite*"):
            each.unlink()
        note(found, "bulk", measure("bulk", folder)["took"])
        note(found, "find", find(folder))
        said = measure("sweep", folder)
        check(said, FILES)
        note(found, "first", said["first"]["took"])
        note(found, "again", said["again"]["took"])
        for each in folder.glob("sweep.sqlite*"):
            each.rename(folder / each.name.replace("sweep", "held"))
        note(found, "held", measure("held", folder)["took"])
    return table("embedded", FILES, found)


def on_couchdb(folder: Path) -> list[Row]:
    """On a server that speaks CouchDB's protocol, with fewer files."""
    shutil.rmtree(folder / "s1")
    lay(folder, FEW)
    found: dict[str, list[float]] = {}
    with start(folder) as server:
        for number in range(PAIRS):
            note(found, "bulk", measure("bulk", folder, couchdb(server, f"bulk{number}"))["took"])
            note(found, "find", find(folder))
            database = couchdb(server, f"sweep{number}")
            said = measure("sweep", folder, database)
            check(said, FEW)
            note(found, "first", said["first"]["took"])
            note(found, "again", said["again"]["took"])
            note(found, "held", measure("held", folder, database)["took"])
    return table("pouchdb-server", FEW, found)


def table(database: str, files: int, found: dict[str, list[float]]) -> list[Row]:
    """The first sweep against the database alone, the next against find and a pass."""
    first, rate = median(found["first"]), files / median(found["first"])
    share = median([b / f for b, f in zip(found["bulk"], found["first"], strict=True)])
    plain = [f + h for f, h in zip(found["find"], found["held"], strict=True)]
    again = median([p / a for p, a in zip(plain, found["again"], strict=True)])
    name = f"sweep of {files:,} files, {database}"
    holds = rate >= 5000 or share >= 0.5
    return [
        Row(f"{name}: bulk alone", f"{files / median(found['bulk']):,.0f} records/s"),
        Row(f"{name}: find and a pass", f"{files / median(plain):,.0f} files/s"),
        Row(f"{name}: the first", f"{rate:,.0f} files/s", "5,000, or half of bulk", holds),
        Row(f"{name}: the first against bulk", f"{share:.2f} ({first:.1f} s)"),
        Row(f"{name}: nothing changed", f"{files / median(found['again']):,.0f} files/s"),
        Row(f"{name}: against find and a pass", f"{again:.2f}", "at least 0.5", again >= 0.5),
    ]


def memory(folder: Path) -> list[Row]:
    """Above idle, in a process that does nothing else."""
    lay(folder, MANY, old=0)
    for each in folder.glob("*.sqlite*"):
        each.unlink()
    said = measure("sweep", folder)
    check(said, MANY)
    more = said["memory"]
    rate = MANY / said["first"]["took"]
    return [
        Row(f"memory: sweep of {MANY:,} files", f"{more:.0f} MB", "at most 60 MB", more <= 60),
        Row(f"sweep of {MANY:,} files, embedded: the first", f"{rate:,.0f} files/s"),
    ]


# Behind it.


def lay(folder: Path, count: int, old: int = OLD) -> None:
    """A store's disk with so many empty files; one of `old` in the layout of version 2.x."""
    disk = Disk(folder / "s1", "s1", 0)
    disk.enroll(None, may_create=True)
    made: set[str] = set()
    for number in range(count):
        content_hash = hashlib.sha1(b"%d" % number).hexdigest()
        form = old_relative_path if old and number % old == 0 else relative_path
        path = f"{disk.content}/{form(content_hash, 'mp4')}"
        parent = path.rpartition("/")[0]
        if parent not in made:
            Path(parent).mkdir(parents=True, exist_ok=True)
            if form is relative_path:
                made.add(parent)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def find(folder: Path) -> float:
    """The seconds of a plain find."""
    command = ["find", str(folder / "s1" / "content"), "-type", "f", "-printf", "%s %p\\n"]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def couchdb(server: Pouchdb, database: str) -> Sequence[str]:
    return (server.url, server.username, server.password, database)


def measure(deed: str, folder: Path, couch: Sequence[str] = ()) -> Any:
    """What the other process says."""
    command = [sys.executable, "-m", "benchmarks.sweeping", deed, str(folder), *couch]
    ended = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True)
    return json.loads(ended.stdout)


def check(said: Any, files: int) -> None:
    """`RuntimeError` unless all of it was swept."""
    for name, made in (("first", files), ("again", 0)):
        report = said[name]
        if (report["state"], report["files"], report["made"]) != ("finished", files, made):
            raise RuntimeError(str(report))


def note(found: dict[str, list[float]], what: str, seconds: float) -> None:
    found.setdefault(what, []).append(seconds)
