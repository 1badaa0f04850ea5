"""What nginx before a prism or a store has to be told, each value checked.

Whatever is wrong raises `ValueError` that names the value. No value can hold what would end its
place in nginx's file: names and numbers have forms of their own, and paths, which are quoted, no
`"`, no `\\` and no `$`, by which nginx would look for a variable.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from attrs import field, frozen

from oose.installing.stated import each, one, several
from oose.media_types import FILMS_AND_SOUND
from oose.settings import kinds
from oose.settings.model import ACCEL_PREFIX, Networks

_PATH = re.compile(r"/[^$\"\\]*")
_ADDRESS = re.compile(r"(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\]):(?P<port>[0-9]{1,5})")


def server_name(value: str) -> str:
    """A name under which viewers come, also `*.` before one; or an IPv4 address."""
    expected = 'the name of a host, such as "media.example.com"'
    if ":" in value:
        raise ValueError(expected)
    try:
        kinds.host(value.removeprefix("*."))
    except ValueError:
        raise ValueError(expected) from None
    return value


def peer_address(value: str) -> str:
    """Host and port of a prism or store."""
    expected = 'a host with a port, such as "127.0.0.1:5971"'
    match = _ADDRESS.fullmatch(value)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ValueError(expected)
    try:
        kinds.host(match["host"].strip("[]"))
    except ValueError:
        raise ValueError(expected) from None
    return value


def absolute_path(value: object) -> object:
    """An absolute path in one line."""
    if not _PATH.fullmatch(str(value)) or not str(value).isprintable():
        raise ValueError('an absolute path, in one line and without $, " and \\')
    return value


def _listening(value: str) -> str:
    """An IP address, as nginx has it in `listen`."""
    address = ip_address(value)
    return f"[{address}]" if isinstance(address, IPv6Address) else str(address)


def _addresses(values: Sequence[str]) -> tuple[str, ...]:
    try:
        return tuple(_listening(each) for each in values)
    except ValueError as error:
        raise ValueError(f"addresses: {error}") from None


@frozen(kw_only=True)
class Front:
    """What nginx is told for either.

    `name` is the peer's; `certificate` (with all that stands between it and the authority) and
    `key` are PEM files. Viewers come to `https_port` on all `addresses`; on `http_port` they are
    sent there (None: nothing listens). `access_log` and `error_log` None are
    `/var/log/nginx/oose-<name>.json` and `oose-<name>.error.log`. On `http_port` files below
    `challenges` are there for who signs certificates, as certbot's `--webroot` puts them.
    `balancers` are proxies before this nginx, whose `X-Forwarded-For` is believed.

    `upstream_tls`: the peer itself speaks TLS (its configuration has `ssl`). With `upstream_ca`, a
    file of certificates, it is verified, under the name `upstream_name`.

    Seconds: `patience` for a client that sends or takes nothing; `answer_within` for the peer's
    answer, also to an upload that is being made durable or an import (`retrieve.timeout`);
    `keep_alive` for an unused connection to the peer, less than its `idle_timeout`.
    """

    name: str = field(validator=one(kinds.label))
    server_names: tuple[str, ...] = field(converter=several, validator=each(server_name))
    certificate: Path = field(validator=one(absolute_path))
    key: Path = field(validator=one(absolute_path))
    addresses: tuple[str, ...] = field(
        default=("0.0.0.0", "::"),  # noqa: S104 # viewers are everywhere
        converter=_addresses,
        validator=each(str),
    )
    https_port: int = field(default=443, validator=one(kinds.whole(1, 65535)))
    http_port: int | None = field(default=80, validator=one(kinds.optional(kinds.whole(1, 65535))))
    access_log: Path = field(validator=one(absolute_path))
    error_log: Path = field(validator=one(absolute_path))
    challenges: Path = field(default=Path("/var/www/html"), validator=one(absolute_path))
    balancers: Networks = field(default=(), converter=kinds.networks)
    upstream_tls: bool = field(default=False, validator=one(kinds.flag))
    upstream_ca: Path | None = field(default=None, validator=one(kinds.optional(absolute_path)))
    upstream_name: str | None = field(default=None, validator=one(kinds.optional(kinds.host)))
    patience: int = field(default=60, validator=one(kinds.whole(1, 86400)))
    answer_within: int = field(default=660, validator=one(kinds.whole(1, 86400)))
    keep_alive: int = field(default=30, validator=one(kinds.whole(1, 86400)))

    @access_log.default
    def _access_log(self) -> Path:
        return Path(f"/var/log/nginx/oose-{self.name}.json")

    @error_log.default
    def _error_log(self) -> Path:
        return Path(f"/var/log/nginx/oose-{self.name}.error.log")

    def __attrs_post_init__(self) -> None:
        if self.upstream_ca is not None and self.upstream_name is None:
            raise ValueError("upstream_ca: says nothing without upstream_name")
        if self.upstream_ca is not None and not self.upstream_tls:
            raise ValueError("upstream_ca: says nothing without upstream_tls")
        if self.https_port == self.http_port:
            raise ValueError(f"http_port: {self.http_port} is https_port already")


@frozen(kw_only=True)
class PrismFront(Front):
    """nginx before a prism.

    `prisms` are where prisms listen: this one's first, then those that are asked when it is away.
    Each client may ask `requests` a second, and `burst` at once before some are refused with 429.
    A viewer's redirect comes `redirect_within` seconds or from the next prism.
    """

    prisms: tuple[str, ...] = field(converter=several, validator=each(peer_address))
    requests: int = field(default=50, validator=one(kinds.whole(1, 10**6)))
    burst: int = field(default=200, validator=one(kinds.whole(1, 10**6)))
    redirect_within: int = field(default=10, validator=one(kinds.whole(1, 3600)))


@frozen(kw_only=True)
class StoreFront(Front):
    """nginx before a store, on the store's machine.

    `upstream` is where the store listens, `root` its disk, `internal` its `accel_redirect` and
    `deny_static` the prisms' `deny_static_types`, as the configuration has them. A viewer gets at
    most `most_rate` bytes a second, over each connection; 0: as fast as it goes. Up to `open_files`
    are kept open; one that is gone may be sent for `open_for` seconds more.
    """

    upstream: str = field(validator=one(peer_address))
    root: Path = field(validator=one(absolute_path))
    internal: str = field(default=ACCEL_PREFIX, validator=one(kinds.accel_redirect))
    deny_static: frozenset[str] = field(default=FILMS_AND_SOUND, converter=kinds.extensions)
    most_rate: int = field(default=0, validator=one(kinds.whole(0, 10**11)))
    open_files: int = field(default=1000, validator=one(kinds.whole(1, 10**6)))
    open_for: int = field(default=2, validator=one(kinds.whole(1, 3600)))

    @property
    def internal_pattern(self) -> str:
        """`internal` for a regular expression."""
        return re.escape(self.internal)
