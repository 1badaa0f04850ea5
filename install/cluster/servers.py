"""Servers as processes, and the databases of a cluster: Redis, and CouchDB or what speaks so."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, field

REPOSITORY = Path(__file__).resolve().parents[2]
COUCHDB = Path("/opt/couchdb/bin/couchdb")  # where Apache's packages put it
POUCHDB = REPOSITORY / "tests/couchdb/node_modules/.bin/pouchdb-server"
ADMINISTRATOR = "admin"
PATIENCE = 60.0  # seconds that a server may take to come up


class DidNotStart(Exception):
    """A server ended, or does not answer; the message says which and where its log is."""


@define
class Server:
    """A process with a log of its own; `address` is where it listens."""

    name: str
    command: Sequence[str]
    folder: Path
    address: tuple[str, int]
    environment: Mapping[str, str] = field(factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it, without waiting for it; `DidNotStart` where somebody else listens there."""
        if self._listens():
            host, port = self.address
            raise DidNotStart(f"{self.name}: somebody listens on {host}:{port} already")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for whoever started us, who stops it in order
            )

    def wait(self) -> None:
        """Wait until it listens; `DidNotStart`."""
        until = time.monotonic() + PATIENCE
        while not self._listens():
            self._check()
            if time.monotonic() > until:
                raise DidNotStart(f"{self.name} does not answer; its log is {self.log}")
            time.sleep(0.05)
        self._check()

    def signal(self, number: int) -> None:
        """Send a signal, where it is running."""
        if self.process is not None and self.is_running:
            self.process.send_signal(number)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.signal(signal.SIGTERM)
        self.wait_for_end()

    def wait_for_end(self, patience: float = 40.0) -> None:
        """Wait until it has ended; at once where that takes too long."""
        if self.process is None:
            return
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _check(self) -> None:
        if not self.is_running:
            raise DidNotStart(f"{self.name} ended; its log is {self.log}")

    def _listens(self) -> bool:
        try:
            socket.create_connection(self.address, 0.5).close()
        except OSError:
            return False
        return True


def redis(folder: Path, address: tuple[str, int]) -> Server:
    """A Redis that keeps what it is told on disk."""
    host, port = address
    command = ["redis-server", "--bind", host, "--port", str(port), "--dir", str(folder)]
    command += ["--appendonly", "yes", "--save", ""]
    return Server("redis", command, folder, address)


def couchdb(folder: Path, address: tuple[str, int], password: str) -> Server:
    """A CouchDB with one administrator: Apache's where it is installed, else the one from npm."""
    folder.mkdir(parents=True, exist_ok=True)
    apache = shutil.which("couchdb") or (str(COUCHDB) if COUCHDB.exists() else None)
    if apache is not None:
        return Server(
            "couchdb", apache_command(Path(apache), folder, address, password), folder, address
        )
    host, port = address
    configuration = folder / "pouchdb.json"
    configuration.write_text(json.dumps({"admins": {ADMINISTRATOR: password}}))
    configuration.chmod(0o600)
    command = [str(POUCHDB), "--host", host, "--port", str(port), "--dir", str(folder)]
    command += ["--config", str(configuration), "--no-stdout-logs"]
    return Server("couchdb", command, folder, address)


def apache_command(
    program: Path, folder: Path, address: tuple[str, int], password: str
) -> Sequence[str]:
    """Apache CouchDB as a single node on files of its own (its configuration: docs.couchdb.org)."""
    host, port = address
    own = folder / "couchdb.ini"
    own.write_text(
        f"[couchdb]\nsingle_node = true\ndatabase_dir = {folder}\nview_index_dir = {folder}\n"
        f"[chttpd]\nbind_address = {host}\nport = {port}\n[admins]\n{ADMINISTRATOR} = {password}\n"
    )
    own.chmod(0o600)
    default = program.resolve().parents[1] / "etc" / "default.ini"
    return [str(program), "-couch_ini", str(default), str(own)]
