"""The databases that a configuration names, for a command."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from oose.cli.exits import CommandFailed
from oose.cli.opened import Opened, on_databases
from oose.databases import Cluster, OneMachine
from oose.embedded.database import FILE_NAME
from oose.errors import Conflict
from tests.cli.on_reactor import react_here
from tests.ports import free_port
from tests.pouchdb import Pouchdb, start
from tests.redis_server import RedisServer, running


@pytest.fixture
def reacting(monkeypatch: pytest.MonkeyPatch) -> None:
    react_here(monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def alone(tmp_path: Path, root: Path) -> str:
    config = tmp_path / "local.py"
    config.write_text(f"root = {str(root)!r}\nprism = {{'enabled': True}}\n")
    return str(config)


@pytest.fixture
def pouchdb(tmp_path: Path) -> Iterator[Pouchdb]:
    folder = tmp_path / "pouchdb"
    folder.mkdir()
    with start(folder) as server:
        yield server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with running(folder) as server:
        yield server


def cluster(folder: Path, couchdb: str, username: str, password: str, redis_port: int) -> str:
    config = folder / "cluster.py"
    config.write_text(
        f"root = {str(folder / 'data')!r}\n"
        "prism = {'enabled': True, 'username': 'us', 'password': 'x' * 20}\n"
        f"couchdb = {{'url': {couchdb!r}, 'username': {username!r}, 'password': {password!r}}}\n"
        f"redis = {{'url': 'redis://127.0.0.1:{redis_port}'}}\n"
    )
    return str(config)


async def leave_a_mark(opened: Opened) -> str:
    await deferLater(opened.reactor, 0)
    await opened.databases.content.put("mark", {"by": "us"})
    return type(opened.databases).__name__


async def find_mark(opened: Opened) -> bool:
    return await opened.databases.content.get("mark") is not None


@pytest.mark.usefixtures("reacting")
@pytest_twisted.ensureDeferred
async def test_one_machine_has_its_file(alone: str, root: Path) -> None:
    made = await deferToThread(on_databases, alone, leave_a_mark, make=True)
    assert made == OneMachine.__name__
    assert stat.S_IMODE((root / FILE_NAME).stat().st_mode) == 0o600
    assert await deferToThread(on_databases, alone, find_mark)


def test_a_file_that_is_not_there_is_not_made_by_who_only_looks(alone: str, root: Path) -> None:
    with pytest.raises(CommandFailed, match="nothing has run here yet"):
        on_databases(alone, find_mark)
    assert not root.exists()


@pytest.mark.usefixtures("reacting")
@pytest_twisted.ensureDeferred
async def test_what_is_refused_is_said_and_the_databases_are_closed(alone: str) -> None:
    seen: list[Opened] = []

    async def refuse(opened: Opened) -> None:
        seen.append(opened)
        raise Conflict("not so")

    with pytest.raises(CommandFailed, match="not so"):
        await deferToThread(on_databases, alone, refuse, make=True)
    with pytest.raises(Exception, match="closed"):
        await seen[0].databases.content.get("mark")


@pytest.mark.usefixtures("reacting")
@pytest_twisted.ensureDeferred
async def test_a_cluster_has_couchdb_and_redis(
    tmp_path: Path, pouchdb: Pouchdb, redis: RedisServer
) -> None:
    config = cluster(tmp_path, pouchdb.url, pouchdb.username, pouchdb.password, redis.port)
    assert await deferToThread(on_databases, config, leave_a_mark) == Cluster.__name__
    status, _ = pouchdb.ask("GET", "/oose-content/mark")
    assert status == 200


@pytest.mark.usefixtures("reacting")
@pytest_twisted.ensureDeferred
async def test_databases_that_are_away_are_said(tmp_path: Path) -> None:
    config = cluster(tmp_path, f"http://127.0.0.1:{free_port()}", "oose", "x", free_port())
    with pytest.raises(CommandFailed, match="CouchDB") as caught:
        await deferToThread(on_databases, config, find_mark)
    assert caught.value.code == 5
