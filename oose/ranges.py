"""Byte ranges of a request (RFC 9110 section 14), and the framing of an answer with several."""

import re
from collections.abc import Sequence
from itertools import pairwise

from attrs import frozen

from oose.errors import RangeNotSatisfiable

MOST = 64  # ranges: more of them only make work
DIGITS = 30  # of a position, so that it is beyond the end of any file
_SPEC = re.compile(r"(\d*)-(\d*)", re.ASCII)


@frozen
class Span:
    """The bytes from `start` up to but without `stop`."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def parse_range(header: str | None, size: int) -> tuple[Span, ...] | None:
    """What a `Range` header asks of a file of `size` bytes, in its order.

    None where the header is to be ignored and the whole file sent: another unit, bad syntax, too
    many ranges, or ranges that overlap (RFC 9110 section 14.2 lets a server do so).
    `RangeNotSatisfiable` when it is good but no byte of it exists.
    """
    unit, equals, text = (header or "").partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    specs = [spec.strip() for spec in text.split(",")]
    specs = [spec for spec in specs if spec]
    if not specs or len(specs) > MOST:
        return None
    spans = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None or spec == "-":
            return None
        first, last = map(_cut, match.groups())
        if first and last and int(first) > int(last):
            return None
        span = _span(first, last, size)
        if span.start < span.stop:
            spans.append(span)
    if not spans:
        raise RangeNotSatisfiable(size)
    return None if _overlap(spans) else tuple(spans)


def content_range(span: Span, size: int) -> str:
    """The `Content-Range` of a part (RFC 9110 section 14.4)."""
    return f"bytes {span.start}-{span.stop - 1}/{size}"


def byteranges(
    spans: Sequence[Span], size: int, content_type: str, boundary: str
) -> list[bytes | Span]:
    """The body of a `multipart/byteranges` answer (section 14.6): framing, and spans to send."""
    parts: list[bytes | Span] = []
    for span in spans:
        head = (
            f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
            f"Content-Range: {content_range(span, size)}\r\n\r\n"
        )
        parts += [head.encode("ascii"), span]
    return [*parts, f"\r\n--{boundary}--\r\n".encode("ascii")]


def _cut(digits: str) -> str:
    """A position with as many digits as matter: whoever wants all may ask for very much."""
    return digits.lstrip("0")[:DIGITS] or digits[:1]


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        return Span(max(0, size - int(last)), size)
    stop = min(int(last) + 1, size) if last else size
    return Span(int(first), stop)


def _overlap(spans: Sequence[Span]) -> bool:
    ordered = sorted(spans, key=lambda span: span.start)
    return any(one.stop > other.start for one, other in pairwise(ordered))
