"""Answers: JSON out, and the one map from what went wrong to what the client is told."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from attrs import field, frozen

from oose.errors import NotAuthenticated, OoseError, RangeNotSatisfiable, WrongMethod

JSON = b"application/json; charset=utf-8"
HASH_HEADER = b"X-OOSE-Hash"  # what is sent or was received, for nginx's log
Headers = tuple[tuple[bytes, bytes], ...]


@frozen
class Answer:
    """A whole answer that fits in memory; `headers` has no Content-Length."""

    status: int
    body: bytes
    headers: Headers = field(default=((b"Content-Type", JSON),))


def as_json(value: object) -> bytes:
    """`value` as UTF-8 JSON; a lone surrogate, which UTF-8 cannot hold, is escaped."""
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value).encode("ascii")


def json_answer(value: Mapping[str, Any], status: int = 200, *, about: str | None = None) -> Answer:
    """`value` as a JSON answer; `about` is the hash of what it is about, where it is one."""
    told = ((HASH_HEADER, about.encode("ascii")),) if about is not None else ()
    return Answer(status, as_json(value), ((b"Content-Type", JSON), *told))


def error_answer(error: OoseError) -> Answer:
    """`{"error": message}` with the status and the headers that the error calls for."""
    headers = [(b"Content-Type", JSON)]
    if error.retry_after is not None:
        headers.append((b"Retry-After", b"%d" % error.retry_after))
    if isinstance(error, NotAuthenticated):  # RFC 9110 section 11.6.1
        headers.append((b"WWW-Authenticate", b'Basic realm="oose", charset="UTF-8"'))
    if isinstance(error, WrongMethod):  # RFC 9110 section 15.5.6
        headers.append((b"Allow", ", ".join(error.allowed).encode("ascii")))
    if isinstance(error, RangeNotSatisfiable):  # RFC 9110 section 15.5.17
        headers.append((b"Content-Range", b"bytes */%d" % error.size))
    return Answer(error.status, as_json({"error": error.message}), tuple(headers))


def error_bytes(error: OoseError) -> bytes:
    """The whole HTTP/1.1 answer for what never became a request; the connection closes after."""
    answer = error_answer(error)
    head = [b"HTTP/1.1 %d %s" % (answer.status, reason(answer.status))]
    head += [name + b": " + value for name, value in answer.headers]
    head += [b"Content-Length: %d" % len(answer.body), b"Connection: close", b"", b""]
    return b"\r\n".join(head) + answer.body


def reason(status: int) -> bytes:
    """The reason phrase of `status`."""
    return HTTPStatus(status).phrase.encode("ascii")
