"""couchdb setup, and user in a cluster: against a real server of CouchDB's protocol and a Redis."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted

from oose.cli import reacting
from oose.cli.session_ends import end_sessions
from oose.purchases import Session, token_digest
from oose.redis import RedisSessions
from oose.settings.model import RedisSettings
from tests.cli.asking import Asking
from tests.cli.on_reactor import AskingBeside
from tests.ports import free_port
from tests.pouchdb import ADMIN, Pouchdb, start
from tests.pouchdb import PASSWORD as ADMIN_PASSWORD
from tests.process.twistd import REPOSITORY
from tests.redis_server import RedisServer, connected, running

PASSWORD = "a good password"
NOW = 4_000_000_000_000
DATABASES = ["films-peer", "films-inventory", "films-content", "films-heartbeat"]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def pouchdb(tmp_path: Path) -> Iterator[Pouchdb]:
    folder = tmp_path / "pouchdb"
    folder.mkdir()
    with start(folder) as server:
        yield server


def write_config(folder: Path, couchdb: str, redis: str, more: str = "") -> Path:
    path = folder / "cluster.py"
    path.write_text(
        f"root = {str(folder / 'data')!r}\n"
        "prism = {'enabled': True, 'username': 'us', 'password': 'x' * 20}\n"
        f"couchdb = {{'url': {couchdb!r}, 'username': 'oose', 'password': 'oose at couchdb',"
        " 'database': 'films'}\n"
        f"redis = {{'url': {redis!r}}}\n{more}\n"
    )
    return path


@pytest.fixture
def bare(oose: Asking, monkeypatch: pytest.MonkeyPatch) -> AskingBeside:
    """The command, with nobody in the environment."""
    for name in ("OOSE_COUCHDB_ADMIN", "OOSE_COUCHDB_ADMIN_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return AskingBeside.make(oose, monkeypatch)


@pytest.fixture
def config(
    tmp_path: Path, pouchdb: Pouchdb, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Path:
    path = write_config(tmp_path, pouchdb.url, f"redis://127.0.0.1:{redis.port}")
    monkeypatch.setenv("OOSE_CONFIG", str(path))
    return path


@pytest.fixture
def as_admin(bare: AskingBeside, config: Path, monkeypatch: pytest.MonkeyPatch) -> AskingBeside:
    monkeypatch.setenv("OOSE_COUCHDB_ADMIN", ADMIN)
    monkeypatch.setenv("OOSE_COUCHDB_ADMIN_PASSWORD", ADMIN_PASSWORD)
    return bare


# Setup


@pytest_twisted.ensureDeferred
async def test_setup_makes_what_is_missing_and_then_nothing(
    bare: AskingBeside, config: Path, pouchdb: Pouchdb
) -> None:
    arguments = ("couchdb", "setup", "--admin", ADMIN, "--password-stdin")
    made = await bare(*arguments, "--config", str(config), stdin=ADMIN_PASSWORD + "\n")
    assert made.code == 0, made.err
    index = "the index of what stores have"
    assert made.out == f"Made {', '.join(DATABASES)}, {index}, the account oose\n"
    for name in DATABASES:
        _, rights = pouchdb.ask("GET", f"/{name}/_security")
        assert rights["members"] == {"names": ["oose"], "roles": ["_admin"]}
    assert (await bare(*arguments, stdin=ADMIN_PASSWORD)).out == "All of it is there already\n"


@pytest_twisted.ensureDeferred
async def test_setup_makes_what_is_not_there_any_more(
    as_admin: AskingBeside, pouchdb: Pouchdb
) -> None:
    assert (await as_admin("couchdb", "setup")).code == 0
    pouchdb.ask("DELETE", "/films-content")
    said = await as_admin("--json", "couchdb", "setup")
    assert said.json() == {"databases": ["films-content"], "account": False, "index": False}
    _, design = pouchdb.ask("GET", "/films-inventory/_design/oose")
    pouchdb.ask("PUT", "/films-inventory/_design/oose", {"_rev": design["_rev"], "views": {}})
    assert (await as_admin("couchdb", "setup")).out == "Made the index of what stores have\n"
    _, again = pouchdb.ask("GET", "/films-inventory/_design/oose")
    assert again["views"] == design["views"]


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_refused(bare: AskingBeside, config: Path) -> None:
    said = await bare("couchdb", "setup", "--admin", ADMIN, "--password-stdin", stdin="guessed it")
    assert (said.code, said.out) == (3, "")
    assert "administrator" in said.err
    assert "guessed" not in said.err


@pytest_twisted.ensureDeferred
async def test_setup_needs_an_administrator(bare: AskingBeside, config: Path) -> None:
    said = await bare("couchdb", "setup")
    assert said.code == 3
    assert "administrator" in said.err


@pytest_twisted.ensureDeferred
async def test_setup_says_where_there_is_no_couchdb(
    bare: AskingBeside, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = f"127.0.0.1:{free_port()}"
    path = write_config(tmp_path, f"http://oose:secret@{server}", "redis://127.0.0.1:1")
    said = await bare("couchdb", "setup", "--config", str(path))
    assert said.code == 5
    assert said.err == (
        f"oose: The database (CouchDB) does not answer ({server}: it refused the connection)\n"
    )


@pytest_twisted.ensureDeferred
async def test_setup_is_for_clusters(bare: AskingBeside, tmp_path: Path) -> None:
    path = tmp_path / "alone.py"
    path.write_text("prism = {'enabled': True}\n")
    said = await bare("couchdb", "setup", "--config", str(path))
    assert said.code == 78
    assert "couchdb" in said.err


@pytest_twisted.ensureDeferred
async def test_certificates_that_are_none_are_named(bare: AskingBeside, tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("nothing")
    path = write_config(
        tmp_path, "https://127.0.0.1:1", "redis://127.0.0.1:1", f"ssl = {{'verify': {str(pem)!r}}}"
    )
    said = await bare("couchdb", "setup", "--config", str(path))
    assert said.code == 78
    assert str(pem) in said.err


def test_setup_runs_in_a_process_of_its_own(config: Path, pouchdb: Pouchdb) -> None:
    environment = {
        **os.environ,
        "OOSE_COUCHDB_ADMIN": ADMIN,
        "OOSE_COUCHDB_ADMIN_PASSWORD": ADMIN_PASSWORD,
    }
    done = subprocess.run(
        [sys.executable, "-m", "oose", "couchdb", "setup", "--config", str(config)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Made films-peer")


def test_a_command_that_is_interrupted_has_no_result() -> None:
    with pytest.raises(KeyboardInterrupt):
        reacting.outcome([], [])


# Users


@pytest_twisted.ensureDeferred
async def test_users_are_added_changed_and_removed_in_couchdb(as_admin: AskingBeside) -> None:
    assert (await as_admin("couchdb", "setup")).code == 0
    added = await as_admin("user", "add", "anna", "--password-stdin", stdin=PASSWORD)
    assert (added.code, added.out) == (0, "User anna added\n")
    assert (await as_admin("user", "add", "anna", "--password-stdin", stdin=PASSWORD)).code == 1
    users = (await as_admin("--json", "user", "list")).json()
    assert [(user["username"], user["enabled"]) for user in users] == [("anna", True)]
    assert (
        await as_admin("user", "password", "anna", "--password-stdin", stdin=PASSWORD + "!")
    ).code == 0
    assert (await as_admin("user", "disable", "anna")).code == 0
    assert not (await as_admin("--json", "user", "list")).json()[0]["enabled"]
    assert (await as_admin("user", "enable", "anna")).code == 0
    assert (await as_admin("user", "remove", "anna")).code == 0
    assert (await as_admin("user", "remove", "anna")).code == 4


@pytest_twisted.ensureDeferred
async def test_users_are_for_administrators(
    as_admin: AskingBeside, monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    assert (await as_admin("couchdb", "setup")).code == 0
    monkeypatch.delenv("OOSE_COUCHDB_ADMIN_PASSWORD")
    half = await as_admin("user", "list")
    assert (half.code, half.err) == (
        1,
        "oose: OOSE_COUCHDB_ADMIN is set, but not OOSE_COUCHDB_ADMIN_PASSWORD\n",
    )
    monkeypatch.delenv("OOSE_COUCHDB_ADMIN")
    said = await as_admin("user", "add", "anna", "--password-stdin", stdin=PASSWORD)
    assert said.code == 3
    assert "OOSE_COUCHDB_ADMIN" in said.err


@pytest_twisted.ensureDeferred
async def test_a_user_who_is_shut_out_has_no_session_left(
    as_admin: AskingBeside, redis: RedisServer, pouchdb: Pouchdb
) -> None:
    redis.cli("FLUSHALL")
    await log_in(redis.settings, 30)
    assert (await as_admin("user", "add", "anna", "--password-stdin", stdin=PASSWORD)).code == 0
    assert (await as_admin("user", "disable", "anna")).code == 0
    assert redis.cli("DBSIZE") == "30"  # those of others, and what is no session


@pytest_twisted.ensureDeferred
async def test_a_change_whose_sessions_cannot_be_ended_says_so(
    as_admin: AskingBeside, config: Path, pouchdb: Pouchdb, tmp_path: Path
) -> None:
    assert (await as_admin("user", "add", "anna", "--password-stdin", stdin=PASSWORD)).code == 0
    write_config(tmp_path, pouchdb.url, f"redis://127.0.0.1:{free_port()}")
    said = await as_admin("user", "remove", "anna")
    assert said.code == 5
    assert "Redis is away" in said.err
    write_config(tmp_path, pouchdb.url, "redis://127.0.0.1:1")
    assert (await as_admin("--json", "user", "list")).json()[0]["enabled"] is False


async def log_in(settings: RedisSettings, each: int) -> None:
    connection = await connected(settings)
    sessions = RedisSessions(connection, "oose")
    for number in range(each):
        for name in ("anna", "ben"):
            digest = token_digest(f"{name} {number}")
            await sessions.add(Session(digest, name, "::1", NOW - 10, NOW))
    await connection.close()


@pytest_twisted.ensureDeferred
async def test_a_thousand_sessions_are_ended_and_none_of_another_prefix(
    redis: RedisServer,
) -> None:
    redis.cli("FLUSHALL")
    connection = await connected(redis.settings)
    for prefix in ("a*", "ab"):
        sessions = RedisSessions(connection, prefix)
        for number in range(600):
            await sessions.add(Session(f"{number}", "anna", "::1", NOW - 10, NOW))
    assert await end_sessions(connection, "a*", "anna") == 600
    assert await end_sessions(connection, "a*", "anna") == 0
    assert redis.cli("DBSIZE") == "600"
    await connection.close()
