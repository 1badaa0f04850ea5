"""Ports for servers that a test starts."""

import random
import socket

# Below the ports that a system gives to outgoing connections: until the server listens there,
# nobody else is given the port. Others who pick one begin elsewhere.
FIRST, LAST = 10_000, 32_000
_choice = random.SystemRandom()


def free_port() -> int:
    """A port nobody listens on now."""
    while True:
        port = _choice.randint(FIRST, LAST)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
