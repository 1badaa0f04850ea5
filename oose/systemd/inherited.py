"""Listening sockets that systemd opened and hands over: sd_listen_fds(3).

systemd keeps them open too, so connections that come while a process restarts wait for the next
one. Here they are taken as they are; `oose.listening` gives each to its room.
"""

import os
import socket

from attrs import frozen

from oose.systemd.variables import BadHandover, Environment, is_meant, number

FIRST = 3  # SD_LISTEN_FDS_START: what follows the three of every process
NAMELESS = "unknown"  # as sd_listen_fds_with_names(3) has it
FAMILIES = (socket.AF_INET, socket.AF_INET6)


@frozen
class Inherited:
    """A socket that listens already; `name` is its FileDescriptorName=, or its unit's name."""

    name: str
    socket: socket.socket

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port."""
        host, port = self.socket.getsockname()[:2]
        return host, port

    def __str__(self) -> str:
        host, port = self.address
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{port} ('{self.name}')"


def inherited(environment: Environment, pid: int, first: int = FIRST) -> tuple[Inherited, ...]:
    """The sockets that were handed over to the process `pid`; none where another was meant.

    `first` is the first descriptor. The variables are taken out of `environment`, and no child of
    ours gets the sockets; `BadHandover`.
    """
    taken = [environment.pop(f"LISTEN_{name}", None) for name in ("PID", "FDS", "FDNAMES")]
    owner, given, named = taken
    if given is None or not is_meant("LISTEN_PID", owner, pid):
        return ()
    count = number("LISTEN_FDS", given)
    if not count:
        return ()
    names = [NAMELESS] * count if named is None else named.split(":")
    if len(names) != count:
        raise BadHandover(
            f"LISTEN_FDNAMES has {len(names)} names in the environment for {count} sockets:"
            " start oose by its unit, or without these variables"
        )
    return tuple(_taken(first + at, name) for at, name in enumerate(names))


def _taken(descriptor: int, name: str) -> Inherited:
    try:
        os.set_inheritable(descriptor, False)
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise BadHandover(
            f"What systemd handed over as '{name}' (descriptor {descriptor}) is no socket:"
            f" {error.strerror}"
        ) from None
    listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or found.family not in FAMILIES or found.type != socket.SOCK_STREAM:
        found.close()
        raise BadHandover(
            f"What systemd handed over as '{name}' is no TCP socket that listens:"
            " give its socket unit ListenStream= with a port, and Accept=no"
        )
    found.setblocking(False)
    return Inherited(name, found)
