"""The real nginx with the files that oose renders for it, and a client who comes through it."""

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field, frozen

from oose.tls import certificate_alone, self_signed
from tests.ports import free_port

NGINX = "/usr/sbin/nginx"
DOMAIN = "oose.test"  # RFC 6761: nobody's
AROUND = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    include /etc/nginx/mime.types;
    gzip on;
    variables_hash_max_size 4096;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/sites/*.conf;
}}
"""


@frozen
class Answer:
    """What came; a header that came twice is a fault."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> str:
        value = json.loads(self.body)
        assert list(value) == ["error"]
        assert self.headers["content-type"].startswith("application/json")
        return str(value["error"])


class ThroughNginx(HTTPSConnection):
    """A connection to a name that this machine answers to, from any of its addresses."""

    came_from = "127.0.0.1"
    goes_to = "127.0.0.1"
    trust: ssl.SSLContext

    def connect(self) -> None:
        plain = socket.create_connection(
            (self.goes_to, self.port), 60, source_address=(self.came_from, 0)
        )
        self.sock = self.trust.wrap_socket(plain, server_hostname=self.host)


@define
class Nginx:
    """An nginx of its own below `folder`, on ports of its own at `address`."""

    folder: Path
    address: str = "127.0.0.1"
    https_port: int = field(factory=free_port)
    http_port: int = field(factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def __attrs_post_init__(self) -> None:
        (self.folder / "sites").mkdir(parents=True)
        user = "user root;" if os.geteuid() == 0 else ""  # or it cannot reach the test's folder
        (self.folder / "nginx.conf").write_text(AROUND.format(user=user, folder=self.folder))
        names = [f"*.{DOMAIN}"]
        self_signed(self.certificate, names, datetime.now(UTC))

    @property
    def certificate(self) -> Path:
        return self.folder / "nginx.pem"

    def values(self, name: str) -> Mapping[str, Any]:
        """What any front of this nginx has to be told."""
        return {
            "name": name,
            "server_names": (f"{name}.{DOMAIN}",),
            "certificate": self.certificate,
            "key": self.certificate,
            "addresses": (self.address,),
            "https_port": self.https_port,
            "http_port": self.http_port,
            "access_log": self.folder / f"{name}.log",
            "error_log": self.folder / f"{name}.error.log",
        }

    def write(self, name: str, text: str) -> None:
        (self.folder / "sites" / f"{name}.conf").write_text(text)

    def command(self, *more: str) -> Sequence[str]:
        log = str(self.folder / "error.log")
        return [NGINX, "-e", log, "-c", str(self.folder / "nginx.conf"), *more]

    def check(self) -> str:
        """What `nginx -t` says; it must be content."""
        run = subprocess.run(self.command("-t"), capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return run.stderr

    @contextmanager
    def started(self) -> Iterator["Nginx"]:
        said = self.check()
        assert "warn" not in said, said
        self.process = subprocess.Popen(self.command())
        try:
            self._wait()
            yield self
        finally:
            self.process.terminate()
            self.process.wait(timeout=60)

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((self.address, self.https_port), 1).close()
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.02)
            else:
                return

    def ask(
        self,
        target: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        name: str = "",
        came_from: str = "127.0.0.1",
    ) -> Answer:
        """One request to the front `name`, or to the URL `target`, over TLS."""
        if target.startswith("https://"):
            parts = urlsplit(target)
            name = str(parts.hostname).removesuffix(f".{DOMAIN}")
            target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = ThroughNginx(f"{name}.{DOMAIN}", self.https_port)
        connection.trust = ssl.create_default_context(cafile=certificate_alone(self.certificate))
        connection.came_from, connection.goes_to = came_from, self.address
        return exchange(connection, method, target, headers, body)

    def log(self, name: str) -> list[Mapping[str, Any]]:
        """What is in a front's access log."""
        text = (self.folder / f"{name}.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def logged(self, name: str, path: str) -> Mapping[str, Any]:
        """The last line about a path; a line is written after its answer has gone out."""
        until = time.monotonic() + 60
        while True:
            found = [line for line in self.log(name) if line["path"] == path]
            if found:
                return found[-1]
            assert time.monotonic() < until, self.log(name)
            time.sleep(0.02)


def exchange(
    connection: HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
) -> Answer:
    """One request on a connection of its own."""
    try:
        connection.request(method, target, body, dict(headers or {}))
        answer = connection.getresponse()
        pairs = [(key.lower(), value) for key, value in answer.getheaders()]
        found = dict(pairs)
        assert len(found) == len(pairs), pairs
        return Answer(answer.status, found, answer.read())
    finally:
        connection.close()
