"""Who a request comes from, when a proxy stands between."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from attrs import frozen
from twisted.internet.interfaces import IAddress


class Forwarded(Protocol):
    """As much of a request as is looked at here."""

    def header(self, name: bytes) -> str | None:
        """A request header's value."""
        ...

    def getClientAddress(self) -> IAddress:
        """The address of the other end of the connection."""
        ...

    def isSecure(self) -> bool:
        """Whether the connection itself is TLS."""
        ...


@frozen
class ClientAddress:
    """Reads `X-Forwarded-*` headers, from `proxies` only: anybody can send them."""

    proxies: Sequence[IPv4Network | IPv6Network] = ()

    def trusts(self, host: str) -> bool:
        """Whether `host`, an address as text, is one of the proxies."""
        if not is_address(host):
            return False
        address = parse_address(host)
        return any(address in network for network in self.proxies)

    def is_near(self, request: Forwarded) -> bool:
        """Whether the other end of the connection is this machine or a trusted proxy."""
        host = self.peer(request)
        return self.trusts(host) or (is_address(host) and parse_address(host).is_loopback)

    def peer(self, request: Forwarded) -> str:
        """The address at the other end of the connection, as text."""
        return str(getattr(request.getClientAddress(), "host", "unknown"))

    def address(self, request: Forwarded) -> str:
        """The client's address: the last in `X-Forwarded-For` that is not a trusted proxy's."""
        host = self.peer(request)
        hops = [hop.strip() for hop in (request.header(b"x-forwarded-for") or "").split(",")]
        while self.trusts(host) and hops:
            host = hops.pop() or host
        return host

    def forwarded_scheme(self, request: Forwarded) -> str | None:
        """The scheme by which the client came to a trusted proxy; None where none says so."""
        if not self.trusts(self.peer(request)):
            return None
        scheme = request.header(b"x-forwarded-proto") or request.header(b"x-forwarded-protocol")
        return scheme.split(",")[0].strip().lower() if scheme else None

    def is_secure(self, request: Forwarded) -> bool:
        """Whether the client came by https, to us or to a trusted proxy."""
        scheme = self.forwarded_scheme(request)
        return request.isSecure() if scheme is None else scheme == "https"


def is_address(host: str) -> bool:
    """Whether `host` is an IP address as text."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def parse_address(host: str) -> IPv4Address | IPv6Address:
    """An address as text; IPv4's as a socket that listens on `::` has it is IPv4 all the same."""
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
