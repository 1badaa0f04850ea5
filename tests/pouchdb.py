"""A real server that speaks CouchDB's protocol, in a process of its own, in memory."""

import json
import os
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.ports import free_port

SERVER = Path(__file__).resolve().parent / "couchdb/node_modules/.bin/pouchdb-server"
READY_IN = 60.0  # seconds, on a machine that is busy
ADMIN, PASSWORD = "admin", "an admin's password"


@frozen
class Pouchdb:
    """Where it listens, and who may do everything there."""

    port: int
    process: "subprocess.Popen[bytes]"
    username: str = ADMIN
    password: str = PASSWORD

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request of the administrator: status and JSON."""
        token = b64encode(f"{self.username}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=READY_IN)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def forget_users(self) -> None:
        """As it was when it started."""
        _, found = self.ask("GET", "/_users/_all_docs")
        users = [row for row in found["rows"] if not row["id"].startswith("_")]
        gone = [{"_id": row["id"], "_rev": row["value"]["rev"], "_deleted": True} for row in users]
        self.ask("POST", "/_users/_bulk_docs", {"docs": gone})


@contextmanager
def start(folder: Path, port: int | None = None) -> Iterator[Pouchdb]:
    """Start one whose files are in `folder`; it is stopped after."""
    port = free_port() if port is None else port
    config = {
        "admins": {ADMIN: PASSWORD},
        "httpd": {"port": port, "bind_address": "127.0.0.1"},
        "couch_httpd_auth": {"iterations": 10},
        "log": {"file": str(folder / "log.txt"), "level": "error"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [SERVER, "--in-memory", "--config", "config.json", "--dir", ".", "--no-stdout-logs"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "NODE_ENV": "production"},
    )
    try:
        server = Pouchdb(port, process)
        wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()


def wait_until_ready(server: Pouchdb) -> None:
    """Until it knows its administrator, which is after it answers."""
    latest = time.monotonic() + READY_IN
    while time.monotonic() < latest:
        assert server.process.poll() is None, "it has ended"
        try:
            status, value = server.ask("GET", "/_session")
        except (OSError, HTTPException, ValueError):
            status, value = 0, None
        if status == 200 and value["userCtx"]["name"] == ADMIN:
            status, _ = server.ask("GET", "/_users")
            if status == 200:
                return
        time.sleep(0.05)
    raise AssertionError("it is not ready in time")
