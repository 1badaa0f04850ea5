"""peer: the administrator's word, in the database of one machine and in that of a cluster."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose.cli.users import run_now
from oose.embedded import EmbeddedDatabase, EmbeddedDocuments
from oose.embedded.database import FILE_NAME
from oose.peer import Peer
from oose.pool import Inline
from oose.registry import Registry
from tests.cli.asking import Asking
from tests.cli.on_reactor import AskingBeside
from tests.pouchdb import start

PRISM = Peer("prism", "p1", "p1", "h", 1, "http://h:1", "a", "m1", "3", 0)
STORE = Peer("store", "s1", "p1", "h", 2, "http://h:2", "a", "m1", "3", 0, free=2 * 10**9)
DOWN = evolve(STORE, name="s2", available=False, voted=True, url="http://h:3")
STOPPED = evolve(STORE, name="s3", available=False, url="http://h:4")
TWIN = evolve(PRISM, name="s1", prism="s1", url="http://h:5")


def in_database(root: Path, work: Any) -> Any:
    """What `work` makes of the registry of one machine."""

    async def do() -> Any:
        here = Inline()
        database = EmbeddedDatabase(root / FILE_NAME, writer=here, readers=here)
        await database.open()
        registry = Registry(EmbeddedDocuments(database, "peer"))
        await registry.load()
        try:
            return await work(registry)
        finally:
            await database.close()

    work_on_it: Coroutine[Any, Any, Any] = do()
    return run_now(work_on_it)


async def register_all(registry: Registry) -> None:
    for peer in (PRISM, STORE, DOWN, STOPPED):
        await registry.register(peer)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "data"
    config = tmp_path / "local.py"
    config.write_text(f"root = {str(root)!r}\nprism = {{'enabled': True}}\n")
    monkeypatch.setenv("OOSE_CONFIG", str(config))
    return root


@pytest.fixture
def peers(root: Path) -> Path:
    root.mkdir()
    in_database(root, register_all)
    return root


def test_peers_are_listed_with_how_it_stands(oose: Asking, peers: Path) -> None:
    rows = oose("peer", "list").out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [
        "prism:p1",
        "store:p1:s1",
        "store:p1:s2",
        "store:p1:s3",
    ]
    assert "2.0 GB" in rows[1]
    assert "available" in rows[1]
    assert "voted down" in rows[2]
    assert "unavailable" in rows[3]
    assert [each["id"] for each in oose("--json", "peer", "list").json()][1] == "store:p1:s1"


def test_one_is_shown_whole(oose: Asking, peers: Path) -> None:
    shown = oose("--json", "peer", "show", "s1").json()
    assert shown["id"] == "store:p1:s1"
    assert shown["free"] == 2 * 10**9
    assert "http://h:2" in oose("peer", "show", "p1:s1").out


def test_orders_stand_in_the_database(oose: Asking, peers: Path) -> None:
    assert oose("peer", "deactivate", "s1").out == "store:p1:s1 is not active\n"
    assert "deactivated" in oose("peer", "list").out
    assert oose("peer", "activate", "s1").out == "store:p1:s1 is active\n"
    assert oose("peer", "writable", "s1", "--no").out == "store:p1:s1 takes nothing new\n"
    assert "read only" in oose("peer", "list").out
    assert oose("peer", "writable", "s1").out == "store:p1:s1 takes new content\n"


def test_who_runs_is_not_removed(oose: Asking, peers: Path) -> None:
    said = oose("peer", "remove", "s1")
    assert (said.code, said.err) == (1, "oose: store:p1:s1 is running: stop it before\n")
    assert oose("peer", "remove", "s3").out == "store:p1:s3 is removed\n"
    assert "s3" not in oose("peer", "list").out


def test_a_peer_that_is_not_there_or_not_clear_is_named(oose: Asking, peers: Path) -> None:
    said = oose("peer", "show", "s9")
    assert (said.code, said.err) == (4, "oose: There is no peer 's9': `oose peer list` has all\n")
    in_database(peers, lambda registry: registry.register(TWIN))
    said = oose("peer", "show", "s1")
    assert said.code == 1
    assert "prism:s1, store:p1:s1" in said.err


def test_where_nothing_has_run_there_are_no_peers(oose: Asking, root: Path) -> None:
    said = oose("peer", "list")
    assert said.code == 4
    assert "nothing has run here yet" in said.err


@pytest_twisted.ensureDeferred
async def test_the_peers_of_a_cluster_are_in_couchdb(
    oose: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = AskingBeside.make(oose, monkeypatch)
    with start(tmp_path) as server:
        config = tmp_path / "cluster.py"
        config.write_text(
            f"root = {str(tmp_path / 'data')!r}\n"
            "prism = {'enabled': True, 'username': 'us', 'password': 'x' * 20}\n"
            f"couchdb = {{'url': {server.url!r}, 'username': {server.username!r},"
            f" 'password': {server.password!r}}}\n"
            "redis = {'url': 'redis://127.0.0.1'}\n"
        )
        monkeypatch.setenv("OOSE_CONFIG", str(config))
        assert (await asking("couchdb", "setup")).code == 0
        server.ask("PUT", "/oose-peer/store:p1:s1", dict(STORE.to_body()))
        assert (await asking("peer", "deactivate", "s1")).code == 0
        _, document = server.ask("GET", "/oose-peer/store:p1:s1")
        assert document["active"] is False
