"""Machines on a network of their own: namespaces of this kernel, joined by virtual cables."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from attrs import frozen

FROM_HERE = ("unshare", "--user", "--map-root-user")
UNTIL_TOLD = ("sh", "-c", "echo ready; exec cat")  # which ends with its input
SERVE = """
import asyncio, sys
async def greet(reader, writer):
    writer.write(b"hello")
    writer.close()
async def serve():
    for port in map(int, sys.argv[1:]):
        await asyncio.start_server(greet, None, port)
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(serve())
"""
GREET = """
import socket, sys
host, port, patience = sys.argv[1:]
try:
    with socket.create_connection((host, int(port)), float(patience)) as to:
        print(to.recv(100).decode())
except TimeoutError:
    print("nothing")
"""
ENOUGH = 1.0  # seconds in which whoever is not let in has heard nothing
PATIENCE = 60.0  # for whoever is let in, on a slow machine


@frozen
class Machine:
    """A network namespace, kept by a process."""

    process: "subprocess.Popen[str]"

    @property
    def inside(self) -> Sequence[str]:
        """What goes before a command that runs there."""
        kept = f"--target={self.process.pid}"
        return ("nsenter", kept, "--user", "--preserve-credentials", "--net")

    def run(self, *command: str, given: str | None = None) -> str:
        """What a command prints; it must succeed."""
        done = subprocess.run(
            [*self.inside, *command], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def reaches(self, host: str, port: int) -> bool:
        """Whether a connection is answered there, where it should be."""
        return self._hears(host, port, PATIENCE)

    def is_kept_from(self, host: str, port: int) -> bool:
        """Whether nothing is heard from there, where that should be so."""
        return not self._hears(host, port, ENOUGH)

    def _hears(self, host: str, port: int, patience: float) -> bool:
        return self.run(sys.executable, "-c", GREET, host, str(port), str(patience)) == "hello\n"

    def python(self, program: str, *arguments: str) -> Sequence[str]:
        """What runs a program there."""
        return (*self.inside, sys.executable, "-c", program, *arguments)


@frozen
class Lan:
    """A server that listens, and two that are joined to it, each on a network of its own."""

    server: Machine
    peer: Machine
    stranger: Machine


SERVER = {"peer": ("10.77.1.1", "fd77:1::1"), "stranger": ("10.77.2.1", "fd77:2::1")}
OTHERS = {"peer": ("10.77.1.2", "fd77:1::2"), "stranger": ("10.77.2.2", "fd77:2::2")}


@contextmanager
def lan(ports: Sequence[int]) -> Iterator[Lan]:
    """All three, the server listening on `ports`; nothing is left of them afterwards."""
    with ExitStack() as stack:
        server = Machine(stack.enter_context(kept([*FROM_HERE, "--net", *UNTIL_TOLD])))
        server.run("ip", "link", "set", "lo", "up")
        others = {}
        for name in OTHERS:
            command = [*server.inside, "unshare", "--net", *UNTIL_TOLD]
            others[name] = Machine(stack.enter_context(kept(command)))
            join(server, others[name], name)
        serving = server.python(SERVE, *map(str, ports))
        stack.enter_context(kept(serving))
        yield Lan(server, **others)


def join(server: Machine, other: Machine, name: str) -> None:
    """Lay a cable between them."""
    there = ("peer", "name", "eth0", "netns", str(other.process.pid))
    server.run("ip", "link", "add", name, "type", "veth", *there)
    for machine, device, addresses in (
        (server, name, SERVER[name]),
        (other, "eth0", OTHERS[name]),
    ):
        four, six = addresses
        machine.run("ip", "address", "add", f"{four}/24", "dev", device)
        machine.run("ip", "address", "add", f"{six}/64", "dev", device, "nodad")
        machine.run("ip", "link", "set", device, "up")


@contextmanager
def kept(command: Sequence[str]) -> "Iterator[subprocess.Popen[str]]":
    """A process that has said that it is ready, and is ended afterwards."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)
