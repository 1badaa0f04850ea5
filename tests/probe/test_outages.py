"""Peers die and freeze while the others go on: real processes, real signals."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.probe.client import Client
from tests.probe.running import SOON, Running, by, spread, within

OUTAGES = {
    "prism2": ("prism2",),
    "prism1": ("prism1",),
    "stores 1 and 2": ("store1", "store2"),
    "stores 3 and 4": ("store3", "store4"),
    "prism1 and its stores": ("prism1", "store1", "store2"),
    "prism2 and its stores": ("prism2", "store3", "store4"),
}
AT_ONCE = 5.0  # seconds after a kill within which everything works again


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """A web server of some other machine, from which content is retrieved."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def clones_left(places: list[str], dead: tuple[str, ...]) -> list[str]:
    """The places whose store and prism are both alive."""
    return [place for place in places if not set(place.split(":")) & set(dead)]


def everything_works(
    client: Client, until: float, web: str, folder: Path, old: bytes, token: str
) -> bytes:
    """Upload, retrieve, exist, purchase, deliver, download; what was uploaded."""
    data = os.urandom(200_000)
    file = by(until, lambda: client.upload(data))
    assert by(until, lambda: client.detail(file["hash"]))["count"] >= 1
    (folder / "other.txt").write_bytes(os.urandom(50_000))
    request = {"request": f"{web}/other.txt", "extension": "txt"}
    by(until, lambda: client.post("/content/retrieve", request))
    assert by(until, lambda: client.deliver(token)) == old
    mine = by(until, lambda: client.purchase(file["hash"]))
    assert by(until, lambda: client.deliver(mine)) == data
    assert by(until, lambda: client.download(file["hash"])) == data
    return data


@pytest.mark.parametrize("dead", OUTAGES.values(), ids=list(OUTAGES))
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_the_rest_goes_on_and_the_dead_return(
    running: Running, tmp_path: Path, dead: tuple[str, ...], end: signal.Signals
) -> None:
    client = running.client("prism1" if "prism2" in dead else "prism2")
    old, content_hash, places = within(SOON, lambda: spread(client))
    token = client.purchase(content_hash)
    left = sorted(clones_left(places, dead))

    def counts_right() -> None:
        found = client.detail(content_hash)
        assert sorted(found["map"]) == left
        assert found["count"] == len(left)

    with web_server(tmp_path) as web:
        for name in dead:
            running.cluster.peers[name].signal(end)
        until = time.monotonic() + AT_ONCE
        kept = [everything_works(client, until, web, tmp_path, old, token)]
        by(until, counts_right)
        running.wait_until(False, dead)
        now = time.monotonic()
        by(now, counts_right)
        kept += [everything_works(client, now, web, tmp_path, old, token)]

    for name in dead:
        peer = running.cluster.peers[name]
        if end is signal.SIGSTOP:
            peer.signal(signal.SIGCONT)
        else:
            peer.kill()
            peer.start()
    running.wait_until(True, running.cluster.peers)

    def is_whole() -> None:
        assert sorted(client.detail(content_hash)["map"]) == sorted(places)

    within(AT_ONCE, is_whole)
    assert client.download(content_hash) == old
    for data in kept:
        found = client.upload(data)  # is known, and adds no more copies than are wanted
        assert client.download(found["hash"]) == data
