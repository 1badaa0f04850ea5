"""Ports for servers that a test starts."""

import os
import random
import re
import socket

# Below the ports that a system gives to outgoing connections: until the server listens there,
# nobody else is given the port. Others who pick one begin elsewhere.
FIRST, LAST = 10_000, 32_000
SHARES = 8  # of processes that run tests at once (pytest-xdist): none picks what another has picked
_choice = random.SystemRandom()


def free_port() -> int:
    """A port nobody listens on now."""
    each = (LAST - FIRST) // SHARES
    share = int("".join(re.findall(r"\d+", os.environ.get("PYTEST_XDIST_WORKER", "")) or "0"))
    first = FIRST + share % SHARES * each
    while True:
        port = _choice.randrange(first, first + each)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
