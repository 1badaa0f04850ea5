"""The cluster as a whole: what it needs is made once, then its processes start and stop."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from attrs import define, field

from install.cluster.couch import Couch
from install.cluster.servers import (
    ADMINISTRATOR,
    REPOSITORY,
    DidNotStart,
    Server,
    couchdb,
    redis,
)
from oose.secrets_file import write_private
from oose.tls import self_signed

PRISMS = {"prism1": 2, "prism2": 3}
STORES = {"store1": 4, "store2": 5, "store3": 6, "store4": 7}
USER = "demo"
CONFIGURATION = REPOSITORY / "config" / "cluster" / "peer.py"
BIN = Path(sys.executable).parent


@define(frozen=True)
class Ports:
    """Where everything listens, below `net`."""

    net: str = "127.0.2"
    redis: int = 6379
    couchdb: int = 5984
    prism: int = 5971
    store: int = 5972

    def of(self, name: str) -> tuple[str, int]:
        """Host and port of a peer."""
        if name in PRISMS:
            return f"{self.net}.{PRISMS[name]}", self.prism
        return f"{self.net}.{STORES[name]}", self.store


@define
class Cluster:
    """Two databases, two prisms and four stores below `folder`."""

    folder: Path
    ports: Ports = field(factory=Ports)
    heartbeat: str = "{}"
    more: Mapping[str, str] = field(factory=dict)  # of the environment, for measurements
    redis: Server = field(init=False)
    couchdb: Server = field(init=False)
    peers: dict[str, Server] = field(init=False)
    couch: Couch = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.folder = self.folder.absolute()
        host = f"{self.ports.net}.1"
        admin = self._secret("admin-password")
        self.redis = redis(self.folder / "redis", (host, self.ports.redis))
        self.couchdb = couchdb(self.folder / "couchdb", (host, self.ports.couchdb), admin)
        self.couch = Couch(f"http://{host}:{self.ports.couchdb}", ADMINISTRATOR, admin)
        self.peers = {name: self._peer(name) for name in (*PRISMS, *STORES)}

    @property
    def certificate(self) -> Path:
        """What all peers show, and trust."""
        return self.folder / "cluster.pem"

    @property
    def password(self) -> str:
        """By which peers know each other, and CouchDB them."""
        return self._secret("password")

    @property
    def login(self) -> Path:
        """A profile for the `oose` command."""
        return self.folder / "login.toml"

    def url(self, name: str) -> str:
        """Where a peer is."""
        host, port = self.ports.of(name)
        scheme = "http" if "OOSE_CLUSTER_PLAIN" in self.more else "https"
        return f"{scheme}://{host}:{port}"

    def environment(self, name: str) -> Mapping[str, str]:
        """What a peer's configuration reads."""
        host = f"{self.ports.net}.1"
        return {
            "OOSE_PEER": name,
            "OOSE_CLUSTER": str(self.folder),
            "OOSE_CLUSTER_NET": self.ports.net,
            "OOSE_CLUSTER_REDIS": f"redis://{host}:{self.ports.redis}",
            "OOSE_CLUSTER_COUCHDB": f"http://{host}:{self.ports.couchdb}",
            "OOSE_CLUSTER_PRISM_PORT": str(self.ports.prism),
            "OOSE_CLUSTER_STORE_PORT": str(self.ports.store),
            "OOSE_CLUSTER_HEARTBEAT": self.heartbeat,
            **self.more,
        }

    def start(self) -> None:
        """Start all, each when what it needs is there."""
        self._secret("password")  # which every peer's configuration reads
        hosts = [self.ports.of(name)[0] for name in self.peers]
        self_signed(self.certificate, hosts, datetime.now(UTC))
        for server in (self.redis, self.couchdb):
            server.start()
        for server in (self.redis, self.couchdb):
            server.wait()
        self._prepare()
        for peer in self.peers.values():
            peer.start()
        for peer in self.peers.values():
            peer.wait()

    def stop(self) -> None:
        """Stop all, the databases last."""
        for peer in self.peers.values():
            peer.signal(signal.SIGTERM)
        for peer in self.peers.values():
            peer.wait_for_end()
        for server in (self.couchdb, self.redis):
            server.stop()

    def _peer(self, name: str) -> Server:
        command = [str(BIN / "twistd"), "-n", "--pidfile=", "oose", "--config", str(CONFIGURATION)]
        environment = {**self.environment(name), "PYTHONPATH": str(REPOSITORY)}
        return Server(name, command, self.folder / name, self.ports.of(name), environment)

    def _prepare(self) -> None:
        """Databases, the account that peers use, a user, and a profile for the command."""
        admin = {"OOSE_COUCHDB_ADMIN": ADMINISTRATOR}
        setup = subprocess.run(
            [
                str(BIN / "oose"),
                "couchdb",
                "setup",
                "--config",
                str(CONFIGURATION),
                "--password-stdin",
            ],
            input=self._secret("admin-password"),
            env={**os.environ, **self.environment("prism1"), **admin},
            capture_output=True,
            text=True,
            check=False,
        )
        if setup.returncode != 0:
            raise DidNotStart(setup.stderr.strip())
        user = self._secret("user-password")
        self.couch.add_user(USER, user)
        lines = [
            f'url = "{self.url("prism1")}"',
            f'username = "{USER}"',
            f'password = "{user}"',
            'prism_username = "peer"',
            f'prism_password = "{self.password}"',
            f'ca = "{self.certificate}"',
        ]
        write_private(self.login, "\n".join(lines) + "\n")

    def _secret(self, name: str) -> str:
        """A secret of this cluster, made once."""
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_private(path, secrets.token_urlsafe(24) + "\n")
        return path.read_text().strip()
