"""nftables rules from a configuration: what is public is open, peers' ports are for peers only.

All of it is one table of our own, `inet oose`, which is replaced as a whole: adding it, deleting it
and making it anew in one file is one transaction (nft(8), ATOMIC RULESET REPLACEMENT). No other
table is touched. Nothing here looks at the machine: names are resolved by whoever calls.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import (
    IPv4Network,
    IPv6Network,
    collapse_addresses,
    ip_network,
)
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from oose.peer import Peer
from oose.settings import Settings
from oose.settings.model import Networks
from oose.settings.warnings import is_loopback, rooms_of

RULES = Path("/etc/oose/firewall.nft")
OWN_RULES = Path("/etc/oose/firewall.d")  # the operator's: statements of the chain `input`
SSH = (22,)
WEB = (80, 443)  # nginx's

# Without the first line the second fails where there is no table yet.
HEAD = """\
#!/usr/sbin/nft -f
# Made by oose from its configuration; what is changed here is lost. Whatever else this machine
# offers is opened by rules of your own, such as `tcp dport 9100 accept`, in files
# {own}/*.nft
# Look at what is dropped:  nft list chain inet oose input
table inet oose
delete table inet oose

table inet oose {{
"""
# The connection tracking table has an end, and a viewer who went without a word stays in it for
# days (nf_conntrack_tcp_timeout_established, Documentation/networking/nf_conntrack-sysctl.rst).
UNTRACKED = """
    # Connections to public ports are let in whatever their state is: the kernel need not know it,
    # and no crowd of viewers fills its table of connections.
    chain untracked_in {{
        type filter hook prerouting priority raw; policy accept;
        fib daddr type local tcp dport {ports} notrack
    }}
    chain untracked_out {{
        type filter hook output priority raw; policy accept;
        tcp sport {ports} notrack
    }}
"""
INPUT = """
    chain input {
        type filter hook input priority filter; policy drop;
        iif "lo" accept
"""
# What RFC 4890 section 4.4 says must not be dropped: paths find their MTU, neighbours each other.
# Before `ct state`, as errors about connections that are not tracked have no state either.
ICMP = """\
        icmp type { destination-unreachable, time-exceeded, parameter-problem, echo-request } accept
        icmpv6 type {
            destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request,
            nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert,
            ind-neighbor-solicit, ind-neighbor-advert,
            mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report
        } accept
        ct state established,related accept
        # Answers of DHCP may come from another address than the one that was asked.
        udp sport 67 udp dport 68 accept
        ip6 saddr fe80::/10 udp dport 546 accept
"""
END = """\
        include "{own}/*.nft"
        counter drop
    }}
}}
"""


@frozen
class Doors:
    """TCP ports of this machine: open to all, and to peers only. Those of `ssh` are open first."""

    ssh: tuple[int, ...]
    public: tuple[int, ...]
    peers: tuple[int, ...]


def doors(
    settings: Settings,
    *,
    ssh: Iterable[int] = SSH,
    web: Iterable[int] = WEB,
    for_peers: Iterable[int] = (),
) -> Doors:
    """Which ports the configuration needs open.

    Where nginx is in front, on the ports `web`, a prism's and stores' own are for peers; with no
    `web` they are public. Those that listen on loopback need none. `for_peers` are other ports
    that only peers use, as of a CouchDB on this machine. `ValueError` without a port for `ssh`: it
    would lock the operator out.
    """
    let_in, public = frozenset(ssh), frozenset(web)
    if not let_in:
        raise ValueError("the port of sshd is needed, so that nobody is locked out")
    rooms = [room for _, room in rooms_of(settings.prism, settings.stores)]
    own = {room.port for room in rooms if room.port and not is_loopback(room.listen)}
    inner = frozenset(for_peers)
    if public:
        inner |= own
    else:
        public = frozenset(own)
    return Doors(*(tuple(sorted(e)) for e in (let_in, public - let_in, inner - public - let_in)))


def hosts_of(peers: Iterable[Peer]) -> Sequence[str]:
    """The hosts by which peers are reached, each once: addresses, and names to be resolved.

    Deactivated ones too, and those that are away: they may come back.
    """
    return sorted({host for each in peers if (host := urlsplit(each.url).hostname) is not None})


def sources(addresses: Iterable[str]) -> Networks:
    """Addresses, and networks, in as few as say the same; what is only heard here is left out.

    `ValueError` where one is neither.
    """
    given = [network for each in addresses if not (network := source(each)).is_loopback]
    fours = [each for each in given if isinstance(each, IPv4Network)]
    sixes = [each for each in given if isinstance(each, IPv6Network)]
    return (*collapse_addresses(fours), *collapse_addresses(sixes))


def source(text: str) -> IPv4Network | IPv6Network:
    """One of them; an IPv4 address that is written as an IPv6 one is an IPv4 address."""
    address, slash, length = text.partition("/")
    network = ip_network(address.partition("%")[0] + slash + length, strict=False)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        return ip_network(f"{network.network_address.ipv4_mapped}/{max(0, network.prefixlen - 96)}")
    return network


def rules(doors: Doors, peers: Networks, *, own: Path = OWN_RULES) -> str:
    """The text of `RULES`: for `nft -f`, as often as one likes; `own` is the operator's folder."""
    return "".join(
        [
            HEAD.format(own=own),
            addresses("peers4", "ipv4_addr", [e for e in peers if isinstance(e, IPv4Network)]),
            addresses("peers6", "ipv6_addr", [e for e in peers if isinstance(e, IPv6Network)]),
            UNTRACKED.format(ports=among(doors.public)) if doors.public else "",
            INPUT,
            *opened(doors),
            END.format(own=own),
        ]
    )


def opened(doors: Doors) -> Iterator[str]:
    """The statements that let in."""
    yield f"        tcp dport {among(doors.ssh)} accept\n"
    if doors.public:
        yield f"        tcp dport {among(doors.public)} accept\n"
    yield ICMP
    if doors.peers:
        yield f"        ip saddr @peers4 tcp dport {among(doors.peers)} accept\n"
        yield f"        ip6 saddr @peers6 tcp dport {among(doors.peers)} accept\n"


def addresses(name: str, kind: str, among_them: Sequence[IPv4Network | IPv6Network]) -> str:
    """A named set, an address a line: `nft add element inet oose peers4 { 10.0.0.9 }` adds one."""
    lines = [f"    set {name} {{", f"        type {kind}", "        flags interval"]
    if among_them:
        texts = [str(e.network_address if e.num_addresses == 1 else e) for e in among_them]
        lines += ["        elements = {", *(f"            {each}," for each in texts), "        }"]
    return "\n".join([*lines, "    }", ""])


def among(ports: Iterable[int]) -> str:
    """Ports as an anonymous set."""
    return f"{{ {', '.join(map(str, ports))} }}"
