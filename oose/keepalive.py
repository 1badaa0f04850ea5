"""Connections on which nothing moves for long, and whose other end may die without a word."""

import socket
from typing import Any

IDLE = 30  # seconds without a byte, after which the other end is asked
EVERY = 10  # seconds between two such questions
QUESTIONS = 3  # without an answer, after which it is dead


def keep_alive(transport: Any) -> None:
    """Let the operating system find out when the other end of a connection is gone."""
    tcp = transport
    while hasattr(tcp, "wrappedProtocol"):  # TLS stands between
        tcp = tcp.transport
    end: socket.socket = tcp.getHandle()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, EVERY)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, QUESTIONS)
