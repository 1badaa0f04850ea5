"""Configurations for commands: of one machine, and of a cluster with real servers."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.pouchdb import Pouchdb, start
from tests.redis_server import RedisServer, running


@frozen
class Alone:
    """One machine, nothing of which is there yet."""

    config: Path
    root: Path

    @classmethod
    def make(cls, folder: Path, more: str = "") -> "Alone":
        config, root = folder / "local.py", folder / "data"
        config.write_text(f"root = {str(root)!r}\nprism = {{'enabled': True}}\n{more}\n")
        return cls(config, root)


@frozen
class Together:
    """A cluster's configuration and its servers, whose databases are not there yet."""

    config: Path
    root: Path
    couchdb: Pouchdb
    redis: RedisServer

    def forget(self) -> None:
        """As it was when it was made."""
        _, names = self.couchdb.ask("GET", "/_all_dbs")
        for name in names:
            if not name.startswith("_"):
                self.couchdb.ask("DELETE", f"/{name}")
        self.redis.cli("FLUSHALL")


@contextmanager
def together(folder: Path) -> Iterator[Together]:
    """Start them; they are stopped after."""
    for name in ("pouchdb", "redis", "data"):
        (folder / name).mkdir()
    with start(folder / "pouchdb") as couchdb, running(folder / "redis") as redis:
        config = folder / "cluster.py"
        config.write_text(
            f"root = {str(folder / 'data')!r}\n"
            "prism = {'enabled': True, 'username': 'us', 'password': 'x' * 20}\n"
            f"couchdb = {{'url': {couchdb.url!r}, 'username': {couchdb.username!r},"
            f" 'password': {couchdb.password!r}, 'database': 'new'}}\n"
            f"redis = {{'url': 'redis://127.0.0.1:{redis.port}'}}\n"
        )
        yield Together(config, folder / "data", couchdb, redis)


def write_lines(path: Path, documents: Sequence[object]) -> Path:
    """A file of JSON, one on each line."""
    path.write_text("".join(json.dumps(each) + "\n" for each in documents))
    return path
