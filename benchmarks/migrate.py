"""`oose migrate`: a million keys of version 2.0.x, from a file into the embedded database."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

from attrs import frozen

from benchmarks.report import Row
from benchmarks.running import REPOSITORY, WORK
from tests import generated_2x

KEYS = 1_000_000
FEW = 1000


@frozen
class Migrated:
    """How long it took, and the most memory it had."""

    seconds: float
    megabytes: float


def run(keys: int = KEYS) -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=WORK))
    few = migrate(folder, FEW)
    many = migrate(folder, keys)
    size = (folder / f"{keys}" / "data" / "oose.sqlite").stat().st_size / 2**20
    return [
        Row(f"migrate: {keys:,} keys from a file", f"{keys / many.seconds:,.0f} keys/s"),
        Row("migrate: memory, the most", f"{many.megabytes:.0f} MB"),
        Row(f"migrate: more than with {FEW:,} keys", f"{many.megabytes - few.megabytes:.0f} MB"),
        Row("migrate: the database after", f"{size:.0f} MB"),
    ]


def migrate(folder: Path, keys: int) -> Migrated:
    """Migrate so many into a database of its own."""
    own = folder / f"{keys}"
    own.mkdir()
    config, file = own / "config.py", own / "old.jsonl"
    config.write_text(f"root = {str(own / 'data')!r}\nprism = {{'enabled': True}}\n")
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(documents(keys))
    sort = ["sort", "-o", str(file), str(file)]  # in the order of their ids, as CouchDB has them
    subprocess.run(sort, check=True, env={**os.environ, "LC_ALL": "C"})
    command = [sys.executable, "-m", "oose", "--json", "migrate", "--from", str(file)]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--config", str(config)], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert process.stdout is not None
    said = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or said["counts"]["read"] < keys:
        raise RuntimeError(said)
    return Migrated(seconds, usage.ru_maxrss / 1024)


def documents(keys: int) -> Iterator[str]:
    """At least so many lines."""
    made = generated_2x.everything(keys * 4 // 9)  # 9 keys for 4 contents
    for each in generated_2x.as_of(int(time.time() * 1000), made):
        yield json.dumps(each) + "\n"
