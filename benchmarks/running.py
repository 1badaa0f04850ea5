"""Processes that are measured: oose as a user starts it, and what it is compared with."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

REPOSITORY = Path(__file__).resolve().parent.parent
WORK = REPOSITORY / ".build" / "bench"  # on the disk of the checkout, not in memory


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@frozen
class Running:
    """A started process; `pid` to look at, `port` to talk to."""

    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def resident(self, what: str = "VmRSS") -> float:
        """MB of memory: `VmRSS` now, `VmHWM` the most since `reset_peak`."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"no {what} of {self.pid}")

    def reset_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@frozen
class Oose(Running):
    """A running prism with one store; `token` is a session's."""

    store_port: int
    token: str
    root: Path


@contextmanager
def started(command: Sequence[str], port: int, **options: object) -> Iterator[Running]:
    """Run `command` until it accepts connections on `port`; ended by its pid after."""
    process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    try:
        wait_for(port, process)
        yield Running(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on {port}")


@contextmanager
def oose(folder: Path, extra: str = "") -> Iterator[Oose]:
    """A fresh prism with one store below `folder`, over plain HTTP."""
    folder.mkdir(parents=True)
    port, store_port = free_port(), free_port()
    config = folder / "config.py"
    config.write_text(
        f"root = {str(folder / 'data')!r}\n"
        f"prism = {{'enabled': True, 'port': {port}}}\n"
        f"store = {{'enabled': True, 'port': {store_port}, 'min_free': 0}}\n"
        f"clones = {{'minimum': 1}}\n{extra}"
    )
    twistd = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile="]
    command = [*twistd, "--logfile", str(folder / "log"), "oose", "--config", str(config)]
    with started(command, port, cwd=REPOSITORY) as running:
        login = tomllib.loads((folder / "data" / "login.toml").read_text())
        body = json.dumps({k: login[k] for k in ("username", "password")}).encode()
        answer = post(port, "/user/login", body, {"Content-Type": "application/json"})
        yield Oose(running.process, port, store_port, answer["session"]["token"], folder / "data")


def post(port: int, path: str, body: bytes, headers: dict[str, str]) -> dict[str, dict[str, str]]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=600) as answer:
        result: dict[str, dict[str, str]] = json.load(answer)
        return result


def sell(server: Oose, content_hash: str) -> str:
    """Purchase content; the path on the store that delivers it."""
    headers = {"Content-Type": "application/json", "X-OOSE-Token": server.token}
    asked = {"hash": content_hash, "ext": "bin", "referrer": "*"}
    sold = post(server.port, "/content/purchase", json.dumps(asked).encode(), headers)
    return f"/play/{sold['token']}/film.bin"


def upload_one(server: Oose, megabytes: int) -> str:
    """Upload so many MiB; the hash."""
    before = set((server.root / "store1" / "content").rglob("*.mp4"))
    send_file(server.port, server.token, different_bytes(megabytes), megabytes * MEGABYTE)
    [path] = set((server.root / "store1" / "content").rglob("*.mp4")) - before
    return path.stem


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[Running]:
    """An nginx that sends the files below `root` as Debian's would, but for its port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    temporary = "\n".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"user root; worker_processes auto; daemon off; pid {folder}/pid;\n"
        f"error_log {folder}/error.log;\nevents {{ worker_connections 768; }}\n"
        f"http {{ sendfile on; tcp_nopush on; access_log off; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    command = ["/usr/sbin/nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    with started(command, port) as running:
        yield running


def send_file(
    port: int, token: str, chunks: Iterator[bytes], size: int, host: str = "127.0.0.1"
) -> float:
    """One multipart upload over a plain socket; the seconds until it was answered with 200."""
    boundary = b"----oose-benchmark"
    head = (
        b"--" + boundary + b'\r\nContent-Disposition: form-data; name="file"; '
        b'filename="film.mp4"\r\nContent-Type: video/mp4\r\n\r\n'
    )
    tail = b"\r\n--" + boundary + b"--\r\n"
    request = (
        f"POST /content/upload HTTP/1.1\r\nHost: x\r\nX-OOSE-Token: {token}\r\n"
        f"Content-Length: {len(head) + size + len(tail)}\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary.decode()}\r\n\r\n"
    ).encode()
    begun = time.perf_counter()
    with socket.create_connection((host, port)) as connection:
        connection.sendall(request + head)
        for chunk in chunks:
            connection.sendall(chunk)
        connection.sendall(tail)
        answer = connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer[:300])
    return time.perf_counter() - begun


MEGABYTE = 1024 * 1024


def different_bytes(megabytes: int) -> Iterator[bytes]:
    """So many MiB that no other call gives: a random start, then a repeated random block."""
    block = os.urandom(MEGABYTE)
    for number in range(megabytes):
        yield number.to_bytes(8, "big") + block[8:]
