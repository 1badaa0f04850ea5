"""What a client may ask to import: a URL, and headers that cannot change how it is fetched."""

import re
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv6Address
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

import idna
from attrs import field, frozen

from oose.address import NO_EXTENSION
from oose.errors import BadInput
from oose.media_types import UNKNOWN, essence, extension_for, media_type_of

MAX_URL = 8 * 1024
MAX_HEADERS = 32
MAX_HEADER = 8 * 1024

# They decide how the request is framed, routed or answered, which is for us to decide.
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_EXTENSION = re.compile(r"[a-z0-9]{1,16}")
_PATH_LETTERS = "/%:@!$&'()*+,;=~"  # RFC 3986 section 3.3; `%`, so that nothing is escaped twice
_QUERY_LETTERS = _PATH_LETTERS + "?"
_PORTS = {"http": 80, "https": 443}
_VAGUE = frozenset({"application/octet-stream", "binary/octet-stream", "text/plain"})


@frozen
class Url:
    """An absolute http or https URL in ASCII, without user name, password and fragment."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def text(self) -> str:
        """As it is requested."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """What must be the same for credentials to be sent again (RFC 6454 section 4)."""
        return self.scheme, self.host, self.port


@frozen
class Source:
    """A file on a web server, and the headers to ask for it with."""

    url: Url
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def parse_source(value: object) -> Source:
    """The `request` of `/content/retrieve`: a URL, or an object of `url`, `method` and `headers`.

    A user name and password in the URL become an `Authorization` header. Raises `BadInput`.
    """
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, dict):
        raise BadInput("request must be a URL, or an object with url, method and headers")
    unknown = sorted(str(key) for key in value.keys() - {"url", "method", "headers"})
    if unknown:
        raise BadInput(
            f"request takes url, method and headers, not {unknown[0][:64]!r}: "
            "other options are not supported"
        )
    _check_method(value.get("method", "GET"))
    url, userinfo = parse_url(value.get("url"))
    headers = _headers(value.get("headers", {}))
    if userinfo is not None:
        if any(name.lower() == "authorization" for name, _ in headers):
            raise BadInput("request has both a password in its url and an Authorization header")
        headers = (*headers, ("Authorization", _basic(userinfo)))
    return Source(url, headers)


def parse_url(text: object) -> tuple[Url, str | None]:
    """A URL and the user name and password in it, as `name:password` still percent-encoded.

    Letters beyond ASCII are encoded: the host by IDNA (UTS 46), the rest by percent signs (RFC
    3987 section 3.1). Raises `BadInput`.
    """
    if not isinstance(text, str) or not text:
        raise BadInput("request needs a url: text such as https://example.com/film.mp4")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_URL:
        raise BadInput(f"url is longer than {MAX_URL} bytes")
    if _CONTROL.search(text):
        raise BadInput("url contains control characters")
    try:
        parts = urlsplit(text.strip(" "))
        port = parts.port
        path = quote(parts.path, safe=_PATH_LETTERS)
        query = quote(parts.query, safe=_QUERY_LETTERS)
        userinfo, at, _ = parts.netloc.rpartition("@")
        userinfo = quote(userinfo, safe=_PATH_LETTERS)
    except ValueError as error:
        raise BadInput("url is malformed") from error
    if parts.scheme not in _PORTS:
        raise BadInput("url must begin with http:// or https://")
    host = _host(parts.hostname or "")
    target = (path or "/") + (f"?{query}" if query else "")
    chosen = _PORTS[parts.scheme] if port is None else port
    if chosen == 0:
        raise BadInput("url has the port 0, which no server has")
    return Url(parts.scheme, host, chosen, target), userinfo if at else None


def extension_from(source: Source, content_type: str | None) -> str:
    """The extension for content whose importer named none, in lower case and without a dot.

    The one in the URL where it is a known one; else the one that belongs to the answer's
    `Content-Type`, where that says more than "bytes" or "text"; else whatever the URL has; else
    `bin`.
    """
    path = source.url.target.partition("?")[0]
    named = PurePosixPath(path).suffix.removeprefix(".").lower()
    if not _EXTENSION.fullmatch(named):
        named = ""
    if named and media_type_of(named) != UNKNOWN:
        return named
    media = essence(content_type or "")
    typed = extension_for(media)
    if media in _VAGUE and named:
        return named
    return typed or named or NO_EXTENSION


def _check_method(method: object) -> None:
    if not isinstance(method, str) or method.upper() != "GET":
        raise BadInput("request's method must be GET: content is imported with nothing else")


def _host(host: str) -> str:
    """The host in ASCII and lower case: a name that can be resolved, or an IPv6 address."""
    if not host:
        raise BadInput("url has no host")
    if ":" in host:
        try:
            address = IPv6Address(host)
        except AddressValueError as error:
            raise BadInput("url's host is not an IPv6 address") from error
        if address.scope_id is not None:
            raise BadInput("url's host must not name a network interface")
        return str(address)
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except UnicodeError as error:
            raise BadInput("url's host is not a host name") from error
    if not _HOST.fullmatch(host):
        raise BadInput("url's host is not a host name")
    return host


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise BadInput("request's headers must be an object of names and texts")
    if len(value) > MAX_HEADERS:
        raise BadInput(f"request has more than {MAX_HEADERS} headers")
    headers = tuple(_header(name, text) for name, text in _typed(value).items())
    names = [name.lower() for name, _ in headers]
    if len(set(names)) < len(names):
        raise BadInput("request has a header twice")
    return headers


def _typed(value: Mapping[Any, Any]) -> Mapping[str, str]:
    if not all(isinstance(part, str) for item in value.items() for part in item):
        raise BadInput("request's headers must be an object of names and texts")
    return value


def _header(name: str, text: str) -> tuple[str, str]:
    if not _TOKEN.fullmatch(name) or len(name) > MAX_HEADER:
        raise BadInput(f"{name[:64]!r} is not a header's name")
    if name.lower() in _OURS or name.lower().startswith("proxy-"):
        raise BadInput(f"the header {name} cannot be chosen: oose sets it itself")
    if len(text) > MAX_HEADER:
        raise BadInput(f"the header {name[:64]} is longer than {MAX_HEADER} letters")
    text = text.strip(" \t")
    if _CONTROL.search(text.replace("\t", "")) or not _encodable(text):
        raise BadInput(f"the header {name[:64]} contains characters that no header can hold")
    return name, text


def _encodable(text: str) -> bool:
    """Whether it is UTF-8 text: JSON can spell halves of letters that nothing can encode."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _basic(userinfo: str) -> str:
    """An `Authorization` header for a URL's user name and password (RFC 7617 section 2)."""
    name, _, password = userinfo.partition(":")
    login = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
    return f"Basic {b64encode(login).decode('ascii')}"
