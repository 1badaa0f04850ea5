"""Conditional requests (RFC 9110 section 13): is what the client has still what there is?

Content under a hash never changes, so its strong entity tag is the hash, and there is no
`Last-Modified`: the conditions on dates are ignored, as section 13.1.3 has it.
"""

import re
from enum import Enum, auto

_TAG = re.compile(r'[\s,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


class Verdict(Enum):
    """What to answer."""

    SEND = auto()
    NOT_MODIFIED = auto()  # 304
    PRECONDITION_FAILED = auto()  # 412


def evaluate(*, etag: str, method: str, if_match: str | None, if_none_match: str | None) -> Verdict:
    """Judge in the order of section 13.2.2. `etag` is without its quotes, and strong."""
    if if_match is not None and not _names(if_match, etag, weak=False):
        return Verdict.PRECONDITION_FAILED
    if if_none_match is not None and _names(if_none_match, etag, weak=True):
        is_read = method in {"GET", "HEAD"}
        return Verdict.NOT_MODIFIED if is_read else Verdict.PRECONDITION_FAILED
    return Verdict.SEND


def range_applies(if_range: str | None, etag: str) -> bool:
    """Whether a range may be sent: without `If-Range`, or when it names the same bytes."""
    return if_range is None or if_range.strip() == f'"{etag}"'


def _names(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags has this one; a list that is broken ends where it breaks.

    Empty elements are skipped, as RFC 9110 section 5.6.1.2 wants it.
    """
    if header.strip() == "*":
        return True
    position = 0
    while match := _TAG.match(header, position):
        if match[2] == etag and (weak or match[1] is None):
            return True
        position = match.end()
    return False
