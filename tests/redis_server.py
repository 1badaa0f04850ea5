"""Real Redis servers and sentinels for tests, each on a port and in a folder of its own."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import define, field
from twisted.internet.task import deferLater
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS

from oose.redis import RedisConnection
from oose.settings.model import RedisSettings
from tests.ports import free_port
from tests.real import reactor

PATIENCE = 30.0  # seconds that a real component has to come up; it needs far less
ANY_POLICY: IPolicyForHTTPS = BrowserLikePolicyForHTTPS()


@define
class RedisServer:
    """One `redis-server`. `options` are those of its command line; `config` is for sentinels."""

    folder: Path
    port: int = field(factory=free_port)
    password: str | None = None
    options: tuple[str, ...] = ()
    config: str | None = None
    tls: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, again perhaps, and return when it answers."""
        self.begin()
        wait_for(lambda: self.cli("PING") in ("PONG", "NOAUTH Authentication required."))

    def begin(self) -> None:
        """Start it without waiting until it answers."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", *self._arguments()],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """As a power cut would end it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let it hang: its connections stay, and nothing is answered."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def cli(self, *command: str) -> str:
        """What `redis-cli` prints for a command."""
        arguments = ["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "--no-auth-warning"]
        if self.password is not None:
            arguments += ["-a", self.password]
        if self.tls is not None:
            arguments += ["--tls", "--insecure"]
        done = subprocess.run(
            [*arguments, *command], capture_output=True, timeout=PATIENCE, check=False
        )
        return done.stdout.decode().strip()

    @property
    def settings(self) -> RedisSettings:
        """What a configuration would say of it."""
        scheme = "redis" if self.tls is None else "rediss"
        return RedisSettings(url=f"{scheme}://127.0.0.1:{self.port}", password=self.password)

    def _arguments(self) -> list[str]:
        if self.config is not None:
            path = self.folder / "sentinel.conf"
            if not path.exists():
                path.write_text(f"port {self.port}\n{self.config}")
            return [str(path), "--sentinel"]
        arguments = ["--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        if self.password is not None:
            arguments += ["--requirepass", self.password]
        if self.tls is None:
            arguments += ["--port", str(self.port)]
        else:
            pem = str(self.tls)
            arguments += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            arguments += ["--tls-cert-file", pem, "--tls-key-file", pem, "--tls-ca-cert-file", pem]
        return [*arguments, *self.options]


@contextmanager
def running(
    folder: Path, *options: str, password: str | None = None, tls: Path | None = None
) -> Iterator[RedisServer]:
    """A server, ended after. `tls` is a PEM file with its key and certificate."""
    server = RedisServer(folder, password=password, options=options, tls=tls)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@define
class Replicated:
    """Servers of which one is the master, and the sentinels that watch them."""

    servers: list[RedisServer]
    sentinels: list[RedisServer]

    @property
    def settings(self) -> RedisSettings:
        """What a configuration would say of them."""
        return RedisSettings(sentinels=tuple(("127.0.0.1", each.port) for each in self.sentinels))

    def master(self) -> RedisServer | None:
        """The server that takes writes, as the first sentinel sees it."""
        said = self.sentinels[0].cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster").split()
        for server in self.servers:
            if said[-1:] == [str(server.port)]:
                return server
        return None


@contextmanager
def start_sentinel(
    folder: Path, *, servers: int = 3, sentinels: int = 3, down_after: int = 500
) -> Iterator[Replicated]:
    """A master with replicas that follow it, and sentinels that know one another."""
    with ExitStack() as started:
        master, *replicas = [RedisServer(folder / f"redis{n}") for n in range(servers)]
        fast = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        master.options = fast
        for each in replicas:
            each.options = ("--replicaof", "127.0.0.1", str(master.port), *fast)
        config = (
            f"sentinel monitor mymaster 127.0.0.1 {master.port} {sentinels // 2 + 1}\n"
            f"sentinel down-after-milliseconds mymaster {down_after}\n"
            "sentinel failover-timeout mymaster 4000\n"
        )
        watchers = [RedisServer(folder / f"sentinel{n}", config=config) for n in range(sentinels)]
        for each in (master, *replicas, *watchers):
            started.callback(each.stop)
            each.start()
        wait_for(lambda: master.cli("INFO", "replication").count("state=online") == len(replicas))
        for each in watchers:
            wait_for(lambda each=each: knows(each, len(replicas), sentinels - 1))  # type: ignore[misc]
        yield Replicated([master, *replicas], watchers)


def knows(sentinel: RedisServer, replicas: int, others: int) -> bool:
    """Whether a sentinel has found so many replicas and other sentinels."""
    said = sentinel.cli("SENTINEL", "MASTER", "mymaster").splitlines()
    facts = dict(zip(said[::2], said[1::2], strict=False))
    return facts.get("num-slaves") == str(replicas) and facts.get("num-other-sentinels") == str(
        others
    )


def wait_for(what: Callable[[], object]) -> None:
    """Wait until a real component has done something, while nothing else happens here."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


async def until(what: Callable[[], object]) -> None:
    """Wait until something has happened, while the reactor runs."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        await deferLater(reactor, 0.005)


async def connected(
    settings: RedisSettings, clock: object = reactor, policy: IPolicyForHTTPS = ANY_POLICY
) -> RedisConnection:
    """An open connection."""
    connection = RedisConnection(reactor, settings, policy, clock)  # type: ignore[arg-type]
    await connection.open()
    return connection
