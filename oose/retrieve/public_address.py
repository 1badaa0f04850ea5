"""Which IP addresses are on the public internet, so that a client may have oose connect there."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# Only this block is allocated to public hosts (RFC 4291 section 2.4, IANA's registry); what lies
# outside it is public at most through an IPv4 address it embeds.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_LOWEST_32_BITS = 0xFFFFFFFF


def is_public(address: str) -> bool:
    """Whether this IPv4 or IPv6 address, as text, belongs to a public host.

    An IPv6 address that stands for IPv4 addresses (IPv4-mapped, 6to4, NAT64, Teredo) is as public
    as they are: a gateway would pass the connection on to them. What is no address is not public.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return _is_public_v4(parsed)
    embedded = _embedded(parsed)
    if embedded:
        return all(map(_is_public_v4, embedded))
    return parsed in _GLOBAL_UNICAST and parsed.is_global


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that this one stands for: none, one, or Teredo's server and client."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64:
        return (IPv4Address(int(address) & _LOWEST_32_BITS),)
    return ()
