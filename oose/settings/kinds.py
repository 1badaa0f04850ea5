"""What values of a configuration may be: each kind takes a value and returns it as the program
wants it, or raises `ValueError` with what was expected.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from attrs import frozen

from oose.settings.model import ACCEL_PREFIX, Networks
from oose.settings.units import parse_duration, parse_size

T = TypeVar("T")
Kind = Callable[[object], T]
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EXTENSION = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")
_DATABASE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_INTERNAL = re.compile(r"/[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*")
duration = parse_duration
size = parse_size


def text(value: object) -> str:
    """Text of one line, not empty."""
    if isinstance(value, str) and value and value.isprintable():
        return value
    raise ValueError("text")


def flag(value: object) -> bool:
    """True or False, nothing that merely looks like it."""
    if isinstance(value, bool):
        return value
    raise ValueError("True or False")


def whole(least: int, most: int) -> Kind[int]:
    """A whole number from `least` to `most`."""

    def kind(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ValueError(f"a whole number from {least} to {most}")

    return kind


def lasting(value: object) -> float:
    """A duration that is not zero: a frequency or a time limit."""
    seconds = parse_duration(value)
    if seconds < 0.01:
        raise ValueError('a duration above zero, such as "5s"')
    return seconds


def rate(value: object) -> int:
    """So many bytes a second."""
    found = parse_size(value)
    if found < 1:
        raise ValueError('a size above zero, such as "32MB"')
    return found


def choice(*names: str) -> Kind[str]:
    """One of `names`."""

    def kind(value: object) -> str:
        if isinstance(value, str) and value in names:
            return value
        raise ValueError(f"one of {', '.join(names)}")

    return kind


def optional(kind: Kind[T]) -> Kind[T | None]:
    """None, or what `kind` takes."""

    def taken(value: object) -> T | None:
        try:
            return None if value is None else kind(value)
        except ValueError as error:
            raise ValueError(f"{error}, or None") from None

    return taken


def label(value: object) -> str:
    """A name that can be a DNS label (RFC 1123 section 2.1): stores are `<name>.<domain>`."""
    if isinstance(value, str) and _LABEL.fullmatch(value):
        return value
    raise ValueError("a name of 1 to 63 small letters, digits and inner hyphens")


def domain(value: object) -> str:
    """A DNS name, perhaps with a port."""
    if isinstance(value, str) and len(value) <= 253:
        name, colon, port = value.partition(":")
        if all(_LABEL.fullmatch(part) for part in name.split(".")) and (
            not colon or (port.isascii() and port.isdigit())
        ):
            return value
    raise ValueError('a DNS domain such as "cdn.example.org"')


def host(value: object) -> str:
    """An address to listen on; `localhost` and names are resolved when the port is bound."""
    if isinstance(value, str) and value:
        try:
            return str(ip_address(value))
        except ValueError:
            if all(_LABEL.fullmatch(part) for part in value.split(".")):
                return value
    raise ValueError('an IP address or a host name, such as "127.0.0.1" or "::"')


def url(value: object) -> str:
    """Where others reach a room: http or https, a host, no path."""
    expected = 'a URL without a path, such as "https://store1.example.org:5972"'
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ValueError(expected)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(expected) from None
    if not usable or parts.path not in {"", "/"} or "@" in parts.netloc or " " in value:
        raise ValueError(expected)
    if parts.query or parts.fragment:
        raise ValueError(expected)
    return value.removesuffix("/")


def networks(value: object) -> Networks:
    """Addresses and networks of proxies that are believed."""
    expected = 'a list of addresses or networks, such as ["127.0.0.1", "10.0.0.0/8"]'
    try:
        return tuple(ip_network(each) for each in _texts(value))
    except ValueError as error:
        raise ValueError(f"{expected}; {error}") from None


def _texts(value: object) -> Sequence[str]:
    """A list, tuple or set of texts."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        given = list(value)
        texts = [each for each in given if isinstance(each, str)]
        if len(texts) == len(given):
            return texts
    raise ValueError("this is no list of texts")


def extensions(value: object) -> frozenset[str]:
    """File extensions, with or without their dot."""
    expected = 'a list of file extensions, such as ["mp4", "mov"]'
    try:
        names = {each.lower().removeprefix(".") for each in _texts(value)}
    except ValueError:
        raise ValueError(expected) from None
    if not all(_EXTENSION.fullmatch(name) for name in names):
        raise ValueError(expected)
    return frozenset(names)


def accel_redirect(value: object) -> str | None:
    """False or None, True for the prefix of the documents, or the prefix itself."""
    if value is None or value is False:
        return None
    if value is True:
        return ACCEL_PREFIX
    if isinstance(value, str) and _INTERNAL.fullmatch(value.removesuffix("/")):
        return value.removesuffix("/")
    raise ValueError(f'True, False or the path of an internal location such as "{ACCEL_PREFIX}"')


def username(value: object) -> str:
    """The name of basic credentials, which cannot hold a colon (RFC 7617 section 2)."""
    if isinstance(value, str) and value and value.isprintable() and ":" not in value:
        return value
    raise ValueError("text without a colon")


def verify(value: object) -> str | bool:
    """How peers are verified: by the system's authorities, by a file of them, or not at all."""
    if isinstance(value, bool) or (isinstance(value, str) and value):
        return value
    raise ValueError("the path of a file of certificates, True or False")


@frozen
class Server:
    """Where a database is, without the credentials that its URL may have had."""

    url: str
    username: str | None
    password: str | None


def server(*schemes: str) -> Kind[Server | None]:
    """The URL of a database, perhaps with credentials and a path."""
    expected = f'a URL such as "{schemes[0]}://127.0.0.1"'

    def kind(value: object) -> Server | None:
        if value is None:
            return None
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ValueError(expected)
        try:
            parts = urlsplit(value)
            usable = parts.scheme in schemes and parts.hostname and parts.port != 0
        except ValueError:
            raise ValueError(expected) from None
        if not usable or parts.query or parts.fragment or " " in value:
            raise ValueError(expected)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return Server(bare.removesuffix("/"), username, password)

    return kind


def database(value: object) -> str:
    """What the names of CouchDB's databases begin with."""
    if isinstance(value, str) and _DATABASE.fullmatch(value):
        return value
    raise ValueError("a name of small letters, digits, _ and -, a letter first")


def hosts(value: object) -> tuple[tuple[str, int], ...]:
    """Hosts with their ports."""
    expected = 'a list of hosts with ports, such as ["10.0.0.1:26379", "10.0.0.2:26379"]'
    try:
        found = [urlsplit(f"//{each}") for each in _texts(value)]
        pairs = tuple((each.hostname, each.port) for each in found)
    except ValueError:
        raise ValueError(expected) from None
    if not all(name and number for name, number in pairs):
        raise ValueError(expected)
    return tuple((str(name), int(number or 0)) for name, number in pairs)
