"""oose as a user starts it: `twistd` in a process of its own, on a real disk."""

import json
import os
import signal
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

from attrs import define

from tests.machine.talk import FORM, form
from tests.ports import free_port
from tests.process.output import PATIENCE, Output

REPOSITORY = Path(__file__).resolve().parents[2]
TWISTD = str(Path(sys.executable).with_name("twistd"))


@define
class Place:
    """A folder with a configuration on ports of its own."""

    folder: Path
    ports: tuple[int, int]  # the prism's and the store's
    more: str = ""
    store: str = ""

    @classmethod
    def make(cls, folder: Path, more: str = "", store: str = "") -> "Place":
        """`more` is appended to the file, `store` to the mapping of the store."""
        return cls(folder, (free_port(), free_port()), more, store)

    @property
    def root(self) -> Path:
        return self.folder / "data"

    @property
    def disk(self) -> Path:
        return self.root / "store1"

    def config(self) -> Path:
        """Write the file."""
        path = self.folder / "config.py"
        path.write_text(
            f"root = {str(self.root)!r}\n"
            f"prism = {{'enabled': True, 'port': {self.ports[0]}, 'idle_timeout': '1s'}}\n"
            f"store = {{'enabled': True, 'port': {self.ports[1]}, 'min_free': 0, {self.store}}}\n"
            f"clones = {{'minimum': 1}}\n{self.more}\n"
        )
        return path

    def command(self) -> list[str]:
        """What starts it in the foreground."""
        return [TWISTD, "-n", "--pidfile=", "oose", "--config", str(self.config())]

    def files(self, name: str) -> list[Path]:
        """The files below `content` or `incoming` on the store."""
        return sorted(path for path in (self.disk / name).rglob("*") if path.is_file())


@define
class Running:
    """A started process; `lines` is what it has printed until it was ready."""

    place: Place
    process: "subprocess.Popen[str]"
    lines: list[str]
    output: Output
    token: str = ""

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> tuple[int, bytes]:
        """One request: status and body."""
        number = port or self.place.ports[0]
        certificate = self.place.root / "self-signed.crt"
        if certificate.exists():
            context = ssl.create_default_context(cafile=certificate)
            connection: HTTPConnection = HTTPSConnection(
                "127.0.0.1", number, context=context, timeout=PATIENCE
            )
        else:
            connection = HTTPConnection("127.0.0.1", number, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"X-OOSE-Token": self.token, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path: str, value: object) -> Any:
        """A JSON request that must succeed."""
        status, body = self.ask(
            "POST", path, json.dumps(value).encode(), {"Content-Type": "application/json"}
        )
        assert status == 200, body
        return json.loads(body)

    def log_in(self) -> None:
        profile = tomllib.loads((self.place.root / "login.toml").read_text())
        who = {name: profile[name] for name in ("username", "password")}
        self.token = self.post("/user/login", who)["session"]["token"]

    def upload(self, data: bytes, name: str = "a.txt") -> tuple[int, Any]:
        """Upload one file: status and JSON."""
        body = form(("file", name, "text/plain", data))
        status, answer = self.ask("POST", "/content/upload", body, FORM)
        return status, json.loads(answer)

    def kill(self) -> None:
        """As a power cut would end it."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        """As systemd would stop it; what it printed since it was ready."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> str:
        """Wait until it has ended; what it printed since it was ready."""
        self.process.wait(timeout=60)
        return self.output.rest()


@contextmanager
def started(place: Place, wrapped: Sequence[str] = (), **environment: str) -> Iterator[Running]:
    """Start the process, wait until it says that it is ready, and end it after."""
    path = place.folder / "printed"
    with path.open("w") as printed:
        process = subprocess.Popen(
            [*wrapped, *place.command()],
            stdout=printed,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
        )
    output = Output(path, process)
    try:
        running = Running(place, process, list(lines_until_ready(output)), output)
        running.log_in()
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def lines_until_ready(output: Output) -> Iterator[str]:
    """What it prints, up to the line that says it is ready."""
    seen = []
    for line in output.lines():
        seen.append(line)
        yield line.rstrip("\n")
        if "is ready" in line:
            return
    raise AssertionError(f"ended with {output.process.returncode} before it was ready: {seen}")
