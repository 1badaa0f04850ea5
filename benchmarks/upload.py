"""One 1 GiB upload, against a loop that reads, hashes, writes and fsyncs in one thread."""

import hashlib
import os
import socket
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.report import Row, median
from benchmarks.running import MEGABYTE, WORK, different_bytes, free_port, oose, send_file, started

MEGABYTES = 1024
PAIRS = 5


def plain_loop(port: int, folder: Path) -> None:
    """Take connections one by one: read, make both hashes, write, fsync; answer 200."""
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            path = folder / "plain"
            digests = [hashlib.sha1(), hashlib.sha256()]
            with connection, path.open("wb", buffering=0) as file:
                size = int(connection.recv(20) or 0)  # 0: whoever looked whether we listen
                while size:
                    data = connection.recv(min(256 * 1024, size))
                    size -= len(data)
                    for digest in digests:
                        digest.update(data)
                    file.write(data)
                os.fsync(file.fileno())
                connection.sendall(b"done")
            path.unlink()


def send_plain(port: int) -> float:
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{MEGABYTES * MEGABYTE:020}".encode())
        for chunk in different_bytes(MEGABYTES):
            connection.sendall(chunk)
        connection.recv(4)
    return time.perf_counter() - begun


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=WORK))
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.upload", str(port), str(folder)]
    ours, plain = [], []
    with oose(folder / "oose") as server, started(command, port):
        for _ in range(PAIRS):
            plain.append(send_plain(port))
            size = MEGABYTES * MEGABYTE
            ours.append(send_file(server.port, server.token, different_bytes(MEGABYTES), size))
            for file in (server.root / "store1" / "content").rglob("*.mp4"):
                file.unlink()
    ratio = median([p / o for p, o in zip(plain, ours, strict=True)])
    return [
        Row("upload of 1 GiB, plain loop", f"{MEGABYTES / median(plain):.0f} MiB/s"),
        Row("upload of 1 GiB, oose", f"{MEGABYTES / median(ours):.0f} MiB/s"),
        Row("ratio", f"{ratio:.2f}", "at least 0.7", ratio >= 0.7),
    ]


if __name__ == "__main__":
    plain_loop(int(sys.argv[1]), Path(sys.argv[2]))
