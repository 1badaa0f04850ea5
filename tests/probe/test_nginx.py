"""nginx before two prisms and their stores: the Node.js client, viewers, and a prism that dies."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define

from install.cluster.cluster import PRISMS, STORES, USER, Cluster, Ports
from oose.disk import OPEN
from oose.installing.nginx.fronts import PrismFront, StoreFront
from oose.installing.nginx.rendering import render_prism, render_store
from tests.nginx import DOMAIN, Nginx
from tests.probe.client import Client
from tests.probe.conftest import free_net
from tests.probe.running import SOON, TEMPO, Running, within
from tests.process.test_conformance import SDK

# Names of this domain are this machine's; a client asks the system for any other.
RESOLVE = """
const dns = require('dns')
const lookup = dns.lookup
dns.lookup = (name, options, callback) => {
  if (!name.endsWith('.DOMAIN')) return lookup(name, options, callback)
  if (typeof options === 'function') return options(null, 'ADDRESS', 4)
  if (options.all) return callback(null, [{ address: 'ADDRESS', family: 4 }])
  return callback(null, 'ADDRESS', 4)
}
"""


@define
class Fronted:
    """A cluster with an nginx before all of it."""

    running: Running
    nginx: Nginx

    @property
    def client(self) -> Client:
        """A user's way in, past nginx."""
        return self.running.settled("prism1")


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    folder = tmp_path_factory.mktemp("fronted")
    ports = Ports(net=free_net())
    nginx = Nginx(folder / "nginx", f"{ports.net}.1")
    trusted = {"trusted_proxies": [f"{ports.net}.0/24", "127.0.0.1"]}
    settings = {
        "domain": f"{DOMAIN}:{nginx.https_port}",
        "prism": trusted,
        "store": {**trusted, "accel_redirect": True},
    }
    more = {"OOSE_CLUSTER_SETTINGS": json.dumps(settings)}
    cluster = Cluster(folder / "cluster", ports, TEMPO, more)
    where = {name: "{}:{}".format(*ports.of(name)) for name in (*PRISMS, *STORES)}
    for name in PRISMS:
        others = [where[each] for each in PRISMS if each != name]
        prisms = (where[name], *others)
        values = {**nginx.values(name), "upstream_tls": True, "burst": 10_000}
        nginx.write(name, render_prism(PrismFront(**values, prisms=prisms)))
    for name in STORES:
        values = {**nginx.values(name), "upstream_tls": True}
        root = cluster.folder / name / name
        nginx.write(name, render_store(StoreFront(**values, upstream=where[name], root=root)))
    try:
        cluster.start()
        with nginx.started():
            yield Fronted(Running(cluster), nginx)
    finally:
        cluster.stop()


@pytest.mark.parametrize(("first", "second"), [("prism1", "prism2"), ("prism2", "prism1")])
def test_the_nodejs_client_finds_everything_as_the_contract_says(
    fronted: Fronted, tmp_path: Path, first: str, second: str
) -> None:
    cluster, nginx = fronted.running.cluster, fronted.nginx
    fronted.running.settled(first)
    password = (cluster.folder / "user-password").read_text().strip()
    film = tmp_path / "large.txt"
    film.write_bytes(f"{first}{second}".encode() * 300_000)
    resolve = tmp_path / "resolve.js"
    resolve.write_text(RESOLVE.replace("DOMAIN", DOMAIN).replace("ADDRESS", nginx.address))
    where = {name: f"{name}.{DOMAIN}:{nginx.https_port}" for name in (first, second)}
    arguments = ["--prism", where[first], "--then", where[second], "--copies", "2"]
    arguments += ["--user", USER, "--password", password, "--file", str(film)]
    run = subprocess.run(
        ["node", SDK, *arguments],
        env={**os.environ, "NODE_OPTIONS": f"--require={resolve}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert ", 0 failed" in run.stdout
    for name in (first, second):
        assert nginx.log(name)
    sent = [line for store in STORES for line in nginx.log(store)]
    assert any(line["path"].startswith("/play/") and line["status"] == "200" for line in sent)


def test_static_content_comes_straight_from_each_stores_disk(fronted: Fronted) -> None:
    nginx, client = fronted.nginx, fronted.client
    folder = fronted.running.cluster.folder

    def are_open() -> None:
        assert all((folder / name / name / OPEN).exists() for name in STORES)

    within(SOON, are_open)
    data = os.urandom(100_000)
    content_hash = client.upload(data)["hash"]
    first = nginx.ask(f"/static/{content_hash}/a.txt", name="prism2")
    answer = nginx.ask(first.headers["location"])
    assert (answer.status, answer.body) == (200, data)
    store = answer.headers["x-peer"]
    assert store in STORES
    path = f"/static/{content_hash[:2]}/{content_hash[2:4]}/{content_hash}.txt"
    assert nginx.logged(store, path)["upstream"] == ""


def test_what_is_sold_at_one_prism_ends_at_the_other_for_everybody(fronted: Fronted) -> None:
    nginx, client = fronted.nginx, fronted.client
    token = client.purchase(client.upload(b"to be watched")["hash"])
    page = {"Referer": "http://localhost/"}
    target = f"/{token}/a.txt"
    locations = [nginx.ask(target, headers=page, name=name).headers["location"] for name in PRISMS]
    for location in locations:
        assert nginx.ask(location).body == b"to be watched"
    client.post("/content/purchase/remove", {"token": token})
    for name in PRISMS:
        assert nginx.ask(target, headers=page, name=name).status == 404
    for location in locations:
        assert nginx.ask(location).status == 404


def test_viewers_and_users_of_a_prism_that_dies_are_served_by_the_next(fronted: Fronted) -> None:
    nginx, client = fronted.nginx, fronted.client
    token = client.purchase(client.upload(b"watched all the time")["hash"])
    page = {"Referer": "http://localhost/"}
    fronted.running.cluster.peers["prism1"].kill()

    def watch() -> None:
        first = nginx.ask(f"/{token}/a.txt", headers=page, name="prism1")
        assert first.status == 302
        assert nginx.ask(first.headers["location"]).body == b"watched all the time"

    watch()  # at once, before anybody has voted
    asked = json.dumps({"username": USER, "password": "wrong"}).encode()
    headers = {"Content-Type": "application/json"}
    refused = nginx.ask("/user/login", "POST", headers, asked, name="prism1")
    assert refused.status == 401
    assert "Invalid username or password" in refused.error
