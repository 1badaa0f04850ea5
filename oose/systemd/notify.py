"""Tells systemd how this process is: datagrams to NOTIFY_SOCKET, as sd_notify(3) has it."""

import os
import socket

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from oose.log import part
from oose.systemd.variables import Environment

AGAIN = 1.0  # seconds until what systemd had no room for is sent again
MICROSECONDS = 1_000_000
_log = part("systemd")


def notify_address(environment: Environment) -> str | None:
    """Where systemd listens, taken out of `environment`: a path, `@` and a name, or None."""
    address = environment.pop("NOTIFY_SOCKET", None)
    if address is not None and address[:1] not in ("/", "@"):
        _log.warn(
            "NOTIFY_SOCKET is {address}, neither a path nor an abstract name:"
            " nobody is told when oose is ready",
            address=repr(address),
        )
        return None
    return address


class Notifier:
    """Sends to `address`, see `notify_address`; to nobody where that is None.

    It never blocks: what finds no room is sent again, in order, on `clock`. What cannot be sent at
    all is in the log, once for each reason.
    """

    def __init__(self, address: str | None, clock: IReactorTime) -> None:
        self._clock = clock
        self._address = b"" if address is None else os.fsencode(address)
        if self._address[:1] == b"@":
            self._address = b"\0" + self._address[1:]
        self._socket: socket.socket | None = None
        self._unsent: list[bytes] = []
        self._again: IDelayedCall | None = None
        self._said: set[str] = set()

    def ready(self, status: str) -> None:
        """The service does its work from now on; `status` is for people."""
        self._send("READY=1", _status(status))

    def waiting(self, status: str, seconds: float) -> None:
        """The start takes longer than thought; what comes next comes within `seconds`."""
        extended = f"EXTEND_TIMEOUT_USEC={round(seconds * MICROSECONDS)}"
        self._send(_status(status), extended)

    def stopping(self, status: str) -> None:
        """The service is about to end."""
        self._send("STOPPING=1", _status(status))

    def alive(self) -> None:
        """The watchdog's word."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Say no more."""
        self._unsent.clear()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        message = "\n".join(lines).encode("utf-8", "replace")
        if self._address and message not in self._unsent:
            self._unsent.append(message)
            if self._again is None:
                self._send_unsent()

    def _send_unsent(self) -> None:
        self._again = None
        while self._unsent:
            try:
                self._open().sendto(self._unsent[0], self._address)
            except BlockingIOError:
                self._again = self._clock.callLater(AGAIN, self._send_unsent)
                return
            except OSError as error:
                self._say(f"systemd cannot be told how oose is: {error.strerror}")
            del self._unsent[0]

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        return self._socket

    def _say(self, why: str) -> None:
        if why not in self._said:
            self._said.add(why)
            _log.warn("{why}", why=why)


def _status(text: str) -> str:
    """One line, whatever is in `text`."""
    return f"STATUS={' '.join(text.split())}"
