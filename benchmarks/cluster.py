"""A cluster of two prisms and four stores: two copies against one, and what requests cost."""

import json
import random
import secrets
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from attrs import frozen

from benchmarks.report import Row, median
from benchmarks.running import MEGABYTE, WORK, different_bytes, send_file
from benchmarks.small import wrk
from install.cluster.cluster import USER, Cluster, Ports

MEGABYTES = 1024
PAIRS = 3
TIMES = 20  # a request is made, to count what it asks of the databases
QUIET = '{"start_delay": 3600, "vote_life": 36000}'  # nothing but what is measured
AT_MOST = {
    "upload of a new file": 6,
    "exists, cached": 0,
    "purchase": 2,
    "delivery": 1,
    "exists of 1,000": 10,
}
POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["{header}"] = "{value}"
wrk.body = '{body}'
"""
GET = """
wrk.headers["Referer"] = "http://localhost/"
"""


@frozen
class Site:
    """A started cluster and a session at one of its prisms."""

    cluster: Cluster
    host: str
    port: int
    token: str
    peer: str  # basic credentials

    def ask(self, path: str, value: object, *, as_peer: bool = False) -> Any:
        header = {"Authorization": self.peer} if as_peer else {"X-OOSE-Token": self.token}
        return post(f"http://{self.host}:{self.port}{path}", value, header)

    def upload(self, megabytes: int) -> float:
        """Upload so many MiB; the seconds."""
        size = megabytes * MEGABYTE
        return send_file(self.port, self.token, different_bytes(megabytes), size, self.host)

    def newest(self) -> str:
        """The hash of any content there is."""
        return next(self.cluster.folder.glob("store*/store*/content/*/*/*")).stem

    def empty_disks(self) -> None:
        for file in self.cluster.folder.glob("store*/store*/content/*/*/*"):
            file.unlink()


def post(url: str, value: object, headers: Mapping[str, str]) -> Any:
    given = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(value).encode(), given)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@contextmanager
def running(folder: Path, clones: int) -> Iterator[Site]:
    """A cluster over plain HTTP that makes so many clones."""
    more = {"OOSE_CLUSTER_PLAIN": "yes", "OOSE_CLUSTER_CLONES": str(clones)}
    net = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}"
    cluster = Cluster(folder, Ports(net=net), QUIET, more)
    try:
        cluster.start()
        password = (cluster.folder / "user-password").read_text().strip()
        who = {"username": USER, "password": password}
        session = post(f"{cluster.url('prism1')}/user/login", who, {})["session"]
        pair = b64encode(f"peer:{cluster.password}".encode()).decode()
        yield Site(cluster, *cluster.ports.of("prism1"), session["token"], f"Basic {pair}")
    finally:
        cluster.stop()


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=WORK))
    with running(folder / "two", 2) as two:
        with running(folder / "one", 1) as one:
            rows = copies(one, two)
        two.upload(1)
        return rows + requests(two, folder) + questions(two)


def copies(one: Site, two: Site) -> list[Row]:
    """One upload to two stores at once, against one to one store."""
    single: list[float] = []
    double: list[float] = []
    for _ in range(PAIRS):
        for site, seconds in ((one, single), (two, double)):
            seconds.append(site.upload(MEGABYTES))
            site.empty_disks()
    ratio = median([s / d for s, d in zip(single, double, strict=True)])
    return [
        Row("upload of 1 GiB, one copy elsewhere", f"{MEGABYTES / median(single):.0f} MiB/s"),
        Row("upload of 1 GiB, two copies elsewhere", f"{MEGABYTES / median(double):.0f} MiB/s"),
        Row("ratio", f"{ratio:.2f}", "at least 0.6", ratio >= 0.6),
    ]


def requests(site: Site, folder: Path) -> list[Row]:
    """Small requests to a prism, 32 connections."""
    content = site.newest()
    asked = {"hash": content, "ext": "mp4", "referrer": "localhost"}
    token = site.ask("/content/purchase", asked)["token"]
    script = folder / "request.lua"

    def rate(path: str, text: str) -> float:
        script.write_text(text)
        return wrk(site.port, path, 32, script, host=site.host)

    def posted(path: str, value: object, header: str, given: str) -> float:
        return rate(path, POST.format(header=header, value=given, body=json.dumps(value)))

    ping, redirect = [], []
    for _ in range(PAIRS):
        ping.append(rate("/ping", GET))
        redirect.append(rate(f"/{token}/film.mp4", GET))
    ratio = median([r / p for r, p in zip(redirect, ping, strict=True)])
    session = ("X-OOSE-Token", site.token)
    figures = {
        "GET /ping": median(ping),
        "POST /content/detail": posted("/content/detail", {"hash": content}, *session),
        "POST /content/exists, cached": posted(
            "/content/exists", {"hash": content}, "Authorization", site.peer
        ),
        "POST /content/purchase": posted("/content/purchase", asked, *session),
        "redirect of a purchased URL": median(redirect),
    }
    rows = [Row(f"{what}, 32 connections", f"{each:.0f} /s") for what, each in figures.items()]
    return [*rows, Row("redirect against /ping", f"{ratio:.2f}", "at least 0.5", ratio >= 0.5)]


def questions(site: Site) -> list[Row]:
    """What a request asks of the databases, on all peers together; the session check apart."""
    content = site.newest()
    token = site.ask("/content/purchase", {"hash": content, "ext": "mp4", "referrer": "*"})["token"]
    host = f"http://{site.host}:{site.port}"

    def deliver() -> None:
        with urllib.request.urlopen(f"{host}/{token}/film.mp4", timeout=60) as answer:
            answer.read()

    calls: dict[str, Callable[[], object]] = {
        "upload of a new file": lambda: site.upload(1),
        "exists, cached": lambda: site.ask("/content/exists", {"hash": content}, as_peer=True),
        "purchase": lambda: site.ask(
            "/content/purchase", {"hash": content, "ext": "mp4", "referrer": "*"}
        ),
        "delivery": deliver,
        "exists of 1,000": lambda: site.ask(
            "/content/exists", {"hash": [secrets.token_hex(20) for _ in range(1000)]}, as_peer=True
        ),
    }
    rows = []
    for what, call in calls.items():
        session = session_checks(site) if what in {"upload of a new file", "purchase"} else 0
        call()
        before = asked(site)
        for _ in range(TIMES):
            call()
        each = (asked(site) - before) / TIMES - session
        most = AT_MOST[what]
        name = f"questions to databases: {what}"
        rows.append(Row(name, f"{each:.1f}", f"at most {most}", each <= most))
    return rows


def session_checks(site: Site) -> float:
    """What the check of a session alone asks, for each request that has one."""
    before = asked(site)
    for _ in range(TIMES):
        site.ask("/user/session/validate", {})
    return (asked(site) - before) / TIMES


def asked(site: Site) -> int:
    """Questions so far, of all peers to all databases."""
    count = 0
    for name in site.cluster.peers:
        with urllib.request.urlopen(f"{site.cluster.url(name)}/stats", timeout=60) as answer:
            count += sum(json.load(answer)["databases"].values())
    return count
