"""From which pages purchased content may be shown: hosts, never compared as patterns."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from oose.address import shown
from oose.errors import BadInput

MOST = 100
LONGEST = 253  # characters of a host name (RFC 1035 section 2.3.4)
ANY = "*"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")  # browsers take it for an address or nothing


def parse_referrers(value: object) -> tuple[str, ...]:
    """The hosts of a purchase, from an array or comma-separated text; `BadInput`."""
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        raise BadInput("referrer must be a list of hosts, or text of hosts with commas between")
    if len(entries) > MOST:
        raise BadInput(f"referrer has more than {MOST} hosts")
    return tuple(dict.fromkeys(_parse_entry(entry) for entry in entries))


def referrer_allowed(referrers: tuple[str, ...], header: str | None) -> bool:
    """Whether a `Referer` header's host is one of the hosts or below one."""
    if ANY in referrers:
        return True
    host = _host_of(header or "")
    if host is None:
        return False
    return any(host == entry or host.endswith("." + entry) for entry in referrers)


def _parse_entry(entry: object) -> str:
    if not isinstance(entry, str):
        raise BadInput(f"referrer must hold text, not {shown(entry)}")
    if entry.strip() == ANY:
        return ANY
    host = _host_of(entry)
    if host is None:
        raise BadInput(f"{shown(entry)} is not a host name that a page could have")
    return host


def _host_of(text: str) -> str | None:
    """The host of a URL, or of a bare host with or without a port; None where there is none.

    Browsers take a backslash for a slash, so what stands behind one is no host here either.
    """
    text = text.strip().replace("\\", "/")
    if not text or any(ord(letter) < 0x21 or ord(letter) == 0x7F for letter in text):
        return None
    try:
        is_url = _SCHEME.match(text) is not None
        host = urlsplit(text if is_url else "//" + text.lstrip("/")).hostname
    except ValueError:
        return None
    return _canonical(host or "")


def _canonical(host: str) -> str | None:
    host = host.rstrip(".")
    if not host or len(host) > LONGEST:
        return None
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        name = host.lower() if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return name if _HOST.fullmatch(name) and not _NUMBER.fullmatch(name) else None
