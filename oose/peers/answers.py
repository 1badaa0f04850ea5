"""What peers answer: their JSON, or the error that they answer as an error of ours."""

import json
from collections.abc import Mapping
from typing import Any

from treq.content import collect
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse

from oose.errors import (
    BadInput,
    ChecksumMismatch,
    Conflict,
    DiskFull,
    NotAllowed,
    NotFound,
    OoseError,
    SourceFailed,
    SourceTooSlow,
    TooLarge,
    TooManyAttempts,
    TooSlow,
    Unavailable,
    WrongType,
)
from oose.line_failure import FAILURES, in_words
from oose.reachability import Refused

MAX_ANSWER = 128 * 1024

_REFUSALS: Mapping[int, type[OoseError]] = {
    kind.status: kind
    for kind in (
        BadInput,
        NotAllowed,
        NotFound,
        TooSlow,
        Conflict,
        TooLarge,
        WrongType,
        ChecksumMismatch,
        TooManyAttempts,
        SourceFailed,
        Unavailable,
        SourceTooSlow,
        DiskFull,
    )
}


class Unreachable(Unavailable):
    """A peer cannot be reached, breaks off or does not go on; `Unavailable` is also its answer."""


async def exchange(
    agent: IAgent,
    method: bytes,
    url: bytes,
    headers: Headers,
    body: IBodyProducer | None,
    peer: str,
) -> Mapping[str, Any]:
    """One request to `peer`, as it is called in messages, and its answer.

    Raises what the peer answers as an error of ours, with its message: `ChecksumMismatch` (the
    bytes are not those of the hash), `DiskFull` and so on; `Unreachable`; `Refused` where it does
    not take our credentials; and `Unavailable` where it answers what cannot be understood.
    """
    begun = False
    try:
        response = await agent.request(method, url, headers, body)
        begun = True
        text = await _text(response, peer)
    except FAILURES as error:
        raise Unreachable(in_words(error, peer, begun=begun)) from error
    return _understood(response.code, text, peer)


async def _text(response: IResponse, peer: str) -> bytes:
    pieces: list[bytes] = []

    def take(piece: bytes) -> None:
        pieces.append(piece)
        if sum(map(len, pieces)) > MAX_ANSWER:
            raise Unavailable(f"{peer} answered {response.code}, and more than any peer does")

    await collect(response, take)
    return b"".join(pieces)


def _understood(code: int, text: bytes, peer: str) -> Mapping[str, Any]:
    """A peer's JSON, or the error that it answers."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and 200 <= code < 300:
        return answer
    if code == 401:
        raise Refused(f"{peer} refuses our credentials: do all peers have the same ones?")
    message = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(message, str) and code in _REFUSALS:
        raise _REFUSALS[code](message)
    if isinstance(message, str):
        raise Unavailable(f"{peer} answered {code}: {message}")
    raise Unavailable(f"{peer} answered {code}, and not as a peer does")
