"""What systemd is to a service, played by a test: the real sockets and variables."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE = 60.0  # seconds
HANDS_OVER = """
import fcntl, os, sys
names, command = sys.argv[1], sys.argv[2:]
given = [int(each) for each in os.environ.pop("GIVEN").split()]
high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 100) for each in given]
for each in given:
    os.close(each)
for at, each in enumerate(high):
    os.dup2(each, 3 + at, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=names)
if "WATCHDOG_USEC" in os.environ:
    os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(command[0], command)
"""


@define
class Ear:
    """Where a service sends its words to."""

    address: str
    socket: socket.socket

    def hear(self) -> list[str]:
        """The lines of the next message; waits for it."""
        self.socket.settimeout(PATIENCE)
        return self.socket.recv(65536).decode().split("\n")

    def hear_until(self, line: str) -> list[list[str]]:
        """All messages up to the first that has `line`."""
        heard = [self.hear()]
        while line not in heard[-1]:
            heard.append(self.hear())
        return heard

    def heard(self) -> list[list[str]]:
        """The messages that are there already."""
        self.socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.socket.recv(65536).decode().split("\n"))
        except BlockingIOError:
            return found


@contextmanager
def ear(address: str) -> Iterator[Ear]:
    """Listen at `address`, a path or `@` and a name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{address[1:]}" if address[:1] == "@" else address)
        yield Ear(address, listening)


@define
class Unit:
    """A service with its sockets, by name, which outlive each of its processes."""

    command: Sequence[str]
    folder: Path
    sockets: Mapping[str, socket.socket]
    ear: Ear
    more: Mapping[str, str] = field(factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    logs: list[Path] = field(factory=list)

    def start(self) -> None:
        """Start a process; it is not ready yet."""
        given = [each.fileno() for each in self.sockets.values()]
        environment = {
            **os.environ,
            "GIVEN": " ".join(map(str, given)),
            "NOTIFY_SOCKET": self.ear.address,
            **self.more,
        }
        self.logs.append(self.folder / f"log-{len(self.logs)}")
        with self.logs[-1].open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", HANDS_OVER, ":".join(self.sockets), *self.command],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env=environment,
                pass_fds=given,
            )

    def start_until_ready(self) -> None:
        """As systemd does: what needs the service waits until it says that it is ready."""
        self.start()
        self.ear.hear_until("READY=1")

    def send(self, number: int) -> None:
        """Send the process a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end, and wait for that; its status."""
        self.send(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended; its status."""
        assert self.process is not None
        return self.process.wait(timeout=PATIENCE)

    def log(self) -> str:
        """What the last process has printed."""
        return self.logs[-1].read_text()

    def kill(self) -> None:
        """Let nothing be left."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
