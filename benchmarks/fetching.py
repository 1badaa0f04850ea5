"""Clients in a process of their own, so that measuring does not slow down what is measured."""

import json
import socket
import subprocess
import sys
import threading
import time

from benchmarks.running import REPOSITORY


def fetch(port: int, path: str, sink: bytearray) -> int:
    """GET `path` and throw its bytes away; how many came."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        count = 0
        while some := connection.recv_into(sink):
            count += some
        return count


def fetch_at_once(port: int, path: str, streams: int) -> tuple[float, int]:
    """Seconds and bytes for so many GETs side by side, in another process."""
    command = [sys.executable, "-m", "benchmarks.fetching", str(port), path, str(streams)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, text=True)
    seconds, count = json.loads(ended.stdout)
    return seconds, count


def main() -> None:
    port, path, streams = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(fetch(port, path, bytearray(1024 * 1024))))
        for _ in range(streams)
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps([time.perf_counter() - begun, sum(counts)]))


if __name__ == "__main__":
    main()
