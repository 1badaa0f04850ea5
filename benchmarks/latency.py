"""The 99th percentile of /ping while 8 uploads and 8 downloads run."""

import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.fetching import fetch
from benchmarks.report import Row
from benchmarks.running import (
    MEGABYTE,
    REPOSITORY,
    WORK,
    Oose,
    different_bytes,
    oose,
    sell,
    send_file,
    upload_one,
)

SECONDS = 15
SIZE = 256


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    with oose(Path(mkdtemp(dir=WORK)) / "oose") as server:
        path = sell(server, upload_one(server, SIZE))
        end = time.monotonic() + SECONDS + 3
        command = [sys.executable, "-m", "benchmarks.latency", str(server.port), server.token]
        clients = [
            subprocess.Popen([*command, str(server.store_port), path, str(end)], cwd=REPOSITORY)
        ]
        time.sleep(3)  # until all are under way
        times = pings(server, SECONDS)
        for client in clients:
            client.wait()
    p99 = sorted(times)[int(len(times) * 0.99)] * 1000
    return [Row("p99 of /ping beside 16 transfers", f"{p99:.0f} ms", "at most 50 ms", p99 <= 50)]


def pings(server: Oose, seconds: float) -> list[float]:
    """How long each /ping took, one after the other, a hundred a second at most."""
    connection = HTTPConnection("127.0.0.1", server.port)
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        connection.request("GET", "/ping")
        connection.getresponse().read()
        times.append(time.perf_counter() - begun)
        time.sleep(0.01)
    return times


def keep_busy(port: int, token: str, store_port: int, path: str, end: float) -> None:
    """8 uploads and 8 downloads, again and again until `end`."""

    def uploads() -> None:
        while time.monotonic() < end:
            send_file(port, token, different_bytes(SIZE), SIZE * MEGABYTE)

    def downloads() -> None:
        sink = bytearray(MEGABYTE)
        while time.monotonic() < end:
            fetch(store_port, path, sink)

    threads = [threading.Thread(target=work) for work in [uploads, downloads] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    keep_busy(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5]))
