"""What `DEBUG=oose:http` shows of a request: enough to know it again, and no token."""

import re
from typing import Any

from oose.log import Part

LONGEST = 200  # characters of a request target
_TOKEN = re.compile(r"(?![0-9a-f]{64}\b)\b([A-Za-z0-9]{6})[A-Za-z0-9]{58}\b")  # a hash may be shown


def trace(log: Part, request: Any, received: int, seconds: float) -> None:
    """Write down a request that has ended, `received` bytes of body long."""
    method = request.method.decode("ascii", "backslashreplace")
    log.debug(
        "{method} {target} from {client}: {status}, {received} bytes in, {sent} out, {ms} ms",
        method=method,
        target=shown_target(request.uri),
        client=str(getattr(request.getClientAddress(), "host", "unknown")),
        status=request.code if request.startedWriting else "given up",
        received=received,
        sent=request.sentLength,
        ms=round(seconds * 1000),
    )


def shown_target(target: bytes) -> str:
    """A request target with its tokens cut: who reads a log may not see what was purchased."""
    text = target.decode("ascii", "backslashreplace")
    return _TOKEN.sub(r"\1...", text)[:LONGEST]
