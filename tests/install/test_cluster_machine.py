"""A machine of a cluster: a prism, and stores that are processes of their own."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import pouchdb
from tests.install.debian import Debian, debian
from tests.ports import free_port
from tests.pouchdb import Pouchdb
from tests.redis_server import RedisServer

DISKS = ("/srv/om101", "/srv/om102")
PRISM = "prism1"
CONFIG = ("--config", "/etc/oose/prism.py")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pouchdb, RedisServer]]:
    folder = tmp_path_factory.mktemp("databases")
    redis = RedisServer(folder / "redis")
    redis.start()
    try:
        with pouchdb.start(folder) as couchdb:
            yield couchdb, redis
    finally:
        redis.kill()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    with debian(tmp_path_factory.mktemp("debian"), apart=False) as system:
        yield system


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


def administrator(couchdb: Pouchdb) -> dict[str, str]:
    return {
        "OOSE_COUCHDB_ADMIN": couchdb.username,
        "OOSE_COUCHDB_ADMIN_PASSWORD": couchdb.password,
    }


def peers(system: Debian) -> dict[str, bool]:
    said = json.loads(system.good("oose", "peer", "list", *CONFIG, "--json"))
    return {each["name"]: each["available"] for each in said}


def test_a_prism_joins_its_cluster_in_one_command(
    system: Debian, databases: tuple[Pouchdb, RedisServer], port: int
) -> None:
    couchdb, redis = databases
    tree = system.bring("tree")
    system.at("/root/secret").write_text("a password of the whole cluster\n")
    where = ["--couchdb-url", couchdb.url, "--redis-url", f"redis://127.0.0.1:{redis.port}"]
    own = ["--name", PRISM, "--listen", "127.0.0.1", "--port", str(port), "--group", "rack1"]
    said = system.run(
        "bash", f"{tree}/install/install.sh", "prism", *where, *own,
        "--url", f"http://127.0.0.1:{port}", "--password-file", "/root/secret",
        environment=administrator(couchdb),
    )  # fmt: skip
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert "- make the databases and the account of the cluster in CouchDB" in lines
    assert peers(system) == {PRISM: True}


def test_each_disk_gets_a_process_of_its_own(system: Debian) -> None:
    for disk in DISKS:
        system.at(disk).mkdir()
        more = ["--no-mount-check", "--listen", "127.0.0.1", "--port", str(free_port())]
        system.good("oose", "install", "store", "--disk", disk, *more)
        name = Path(disk).name
        assert f"start oose-store@{name}.service" in system.service_commands()
        own = f"etc/systemd/system/oose-store@{name}.service.d/oose-install.conf"
        assert f"RequiresMountsFor={disk}" in system.at(own).read_text().splitlines()
        assert system.at(f"/var/lib/oose/store/{name}").is_dir()
    assert peers(system) == {PRISM: True, "om101": True, "om102": True}


def test_what_is_uploaded_is_on_both(
    system: Debian, databases: tuple[Pouchdb, RedisServer], port: int
) -> None:
    system.at("/root/password").write_text("alice's password\n")
    add = f"oose user add alice {' '.join(CONFIG)} --password-stdin </root/password"
    assert system.run("sh", "-c", add, environment=administrator(databases[0])).code == 0
    login = f'url = "http://127.0.0.1:{port}"\nusername = "alice"\npassword = "alice\'s password"\n'
    system.at("/root/login.toml").write_text(login)
    data = bytes(range(256)) * 4096
    system.at("/root/film.bin").write_bytes(data)
    profile = ["--profile", "/root/login.toml"]
    said = system.good("oose", *profile, "upload", "/root/film.bin", "--json")
    (hash_,) = set(re.findall(r"[0-9a-f]{40}", said))
    for disk in DISKS:
        (path,) = system.at(f"{disk}/content").rglob(f"{hash_}.*")
        assert path.read_bytes() == data
    system.good("oose", *profile, "download", hash_, "-o", "/root/back")
    assert system.at("/root/back").read_bytes() == data


def test_a_second_run_of_everything_changes_nothing(system: Debian) -> None:
    system.service_commands()
    for command in (["prism"], *(["store", "--disk", disk, "--no-mount-check"] for disk in DISKS)):
        said = system.good("oose", "install", *command)
        assert said == "Nothing to change: all is as it should be\n"
    assert system.service_commands() == []


def test_the_firewall_knows_the_peers_that_the_cluster_knows(system: Debian) -> None:
    said = system.good("oose", "install", "host", "--pretend")
    assert "- write /etc/oose/firewall.nft (root:root 0640)" in said.splitlines()


def test_a_new_version_takes_over_one_process_after_the_other(system: Debian, port: int) -> None:
    new = system.bring("new", {"oose/__init__.py": ('"3.', '"4.')})
    system.service_commands()
    system.good("oose", "upgrade", new)
    again = [each for each in system.service_commands() if each.startswith("restart")]
    assert again == [
        "restart oose-prism.service",
        "restart oose-store@om101.service",
        "restart oose-store@om102.service",
    ]
    said = json.loads(system.good("oose", "peer", "list", *CONFIG, "--json"))
    assert {each["version"][0] for each in said} == {"4"}


def test_uninstalling_stops_all_of_them(system: Debian) -> None:
    said = system.run("oose", "uninstall", "--yes")
    assert said.code == 0, said
    assert list(system.at("/etc/systemd/system").glob("oose-*")) == []
    for disk in DISKS:
        assert (
            len([path for path in system.at(f"{disk}/content").rglob("*") if path.is_file()]) == 1
        )
