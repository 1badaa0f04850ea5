"""Purchased files that nginx sends by X-Accel-Redirect against the same files plainly from it.

The front is the one that `oose install` renders, but for TLS, which would hide what lies beside it.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.delivery import MEGABYTES, speed
from benchmarks.report import Row, median
from benchmarks.running import (
    WORK,
    Oose,
    Running,
    free_port,
    oose,
    sell,
    send_file,
    started,
    upload_one,
)
from benchmarks.small import wrk
from oose.installing.nginx.fronts import StoreFront
from oose.installing.nginx.rendering import render_store

PAIRS = 5
SMALL = 16 * 1024
CONNECTIONS = 64
SECONDS = 5
AROUND = """
user root; worker_processes auto; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
    sendfile on; tcp_nopush on; access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{plain}; root {disk}/content; }}
    include {folder}/store.conf;
}}
"""


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=WORK))
    more = "store['accel_redirect'] = True\nstore['trusted_proxies'] = ['127.0.0.1']\n"
    with oose(folder / "oose", more) as server, fronted(folder / "nginx", server) as front:
        plain, nginx = front
        content_hash = upload_one(server, MEGABYTES)
        path = sell(server, content_hash)
        ours, theirs = [], []
        for _ in range(PAIRS):
            theirs.append(speed(plain, place(content_hash), 1))
            ours.append(speed(nginx.port, path, 1))
        ratio = median([o / t for o, t in zip(ours, theirs, strict=True)])
        name = "GET of 1 GiB from nginx"
        rows = [
            Row(f"{name}, plainly", f"{median(theirs):.0f} MiB/s"),
            Row(f"{name}, purchased", f"{median(ours):.0f} MiB/s"),
            Row(f"{name}, ratio", f"{ratio:.2f}", "at least 0.95", ratio >= 0.95),
        ]
        return rows + small(server, plain, nginx)


def small(server: Oose, plain: int, nginx: Running) -> list[Row]:
    """Requests a second for 16 KiB, and how long each process computes for one."""
    content_hash = upload_small(server)
    path = sell(server, content_hash)
    name = f"16 KiB, {CONNECTIONS} at once"
    ways = {
        "plainly from nginx": (plain, place(content_hash)),
        "purchased from nginx": (nginx.port, path),
        "purchased from oose": (server.store_port, path),
    }
    figures: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
    for _ in range(PAIRS):
        for way, (port, target) in ways.items():
            figures[way].append(one_way(server, nginx, port, target))
    rows = []
    for way, found in figures.items():
        rates, by_nginx, by_oose = (median(each) for each in zip(*found, strict=True))
        rows += [
            Row(f"{name}, {way}", f"{rates:.0f} /s"),
            Row(f"{name}, {way}: nginx", f"{by_nginx:.0f} us of CPU"),
            Row(f"{name}, {way}: oose", f"{by_oose:.0f} us of CPU"),
        ]
    pairs = zip(figures["purchased from nginx"], figures["plainly from nginx"], strict=True)
    ratio = median([ours[0] / theirs[0] for ours, theirs in pairs])
    return [*rows, Row(f"{name}, purchased against plainly", f"{ratio:.2f}")]


def one_way(server: Oose, nginx: Running, port: int, target: str) -> tuple[float, float, float]:
    """Requests a second, and of each the microseconds that nginx and oose computed."""
    before = computed(nginx.pid), server.cpu_seconds()
    begun = time.perf_counter()
    rate = wrk(port, target, CONNECTIONS, seconds=SECONDS)
    count = rate * (time.perf_counter() - begun)
    after = computed(nginx.pid), server.cpu_seconds()
    by_nginx, by_oose = ((b - a) / count * 1e6 for a, b in zip(before, after, strict=True))
    return rate, by_nginx, by_oose


def computed(master: int) -> float:
    """Seconds of CPU that the workers of an nginx have had."""
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    stats = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in workers]
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in stats)
    return ticks / os.sysconf("SC_CLK_TCK")


def place(content_hash: str) -> str:
    return f"/{content_hash[:2]}/{content_hash[2:4]}/{content_hash}.mp4"


def upload_small(server: Oose) -> str:
    content = server.root / "store1" / "content"
    before = set(content.rglob("*.mp4"))
    send_file(server.port, server.token, iter([os.urandom(SMALL)]), SMALL)
    [path] = set(content.rglob("*.mp4")) - before
    return path.stem


@contextmanager
def fronted(folder: Path, server: Oose) -> Iterator[tuple[int, Running]]:
    """An nginx before the store; beside it the port where it sends the disk's files plainly."""
    folder.mkdir(parents=True)
    disk, port, plain = server.root / "store1", free_port(), free_port()
    front = StoreFront(
        name="store1",
        server_names=("localhost",),
        certificate=folder / "none",
        key=folder / "none",
        addresses=("127.0.0.1",),
        https_port=port,
        http_port=None,
        access_log=folder / "access.log",
        error_log=folder / "error.log",
        upstream=f"127.0.0.1:{server.store_port}",
        root=disk,
    )
    (folder / "store.conf").write_text(without_tls(render_store(front)))
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, plain=plain, disk=disk))
    command = ["/usr/sbin/nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    with started(command, port) as running:
        yield plain, running


def without_tls(text: str) -> str:
    lines = text.replace(" ssl http2;", ";").splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith("ssl_")) + "\n"
