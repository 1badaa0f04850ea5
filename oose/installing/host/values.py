"""What the firewall is told beyond what configurations say: `/etc/oose/host.py`."""

import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from oose.installing import layout
from oose.installing.configuring import Names, names_in
from oose.installing.host.firewall import SSH
from oose.installing.machine import Machine
from oose.installing.stated import each, of_file, several
from oose.settings import Settings, kinds

SSHD = "/usr/sbin/sshd"
USUAL = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}


@frozen(kw_only=True)
class Host:
    """The names of the file, and the options of `oose install host`.

    `ssh` are ports that are open first, so that nobody is locked out; `peers` addresses and
    networks that are let in as peers are, beside those that the cluster's database knows.
    """

    ssh: tuple[int, ...] = field(
        default=SSH, converter=several, validator=each(kinds.whole(1, 65535), some=False)
    )
    peers: tuple[str, ...] = field(
        default=(), converter=several, validator=each(kinds.text, some=False)
    )


def is_host(machine: Machine) -> bool:
    """Whether the firewall was installed here."""
    return machine.at(layout.HOST).exists()


def host_of(names: Mapping[str, Any]) -> Host:
    """The values that a file names; `Refused` for names that there are not, and for no values."""
    return of_file(Host, names, layout.HOST)


def host_names(machine: Machine, asked: Mapping[str, Any]) -> Names:
    """What the file says when what is asked for (nothing: as it was) has been put into it."""
    names = names_in(machine, layout.HOST)
    names.update({name: list(each) for name, each in asked.items() if each})
    names.setdefault("ssh", sorted(ssh_ports(machine)))
    host_of(names)
    return names


def ssh_ports(machine: Machine) -> set[int]:
    """Where sshd listens, and where who runs this came in (ssh(1), SSH_CONNECTION)."""
    ports: set[int] = set()
    if machine.at(SSHD).exists():
        said = machine.run(SSHD, "-T", accept=(0, 1, 255)).out
        ports |= {int(each) for each in re.findall(r"^port (\d+)$", said, re.MULTILINE)}
        ports |= {int(e) for e in re.findall(r"^listenaddress \S+:(\d+)$", said, re.MULTILINE)}
    with suppress(IndexError, ValueError):
        ports.add(int(os.environ.get("SSH_CONNECTION", "").split()[3]))
    return ports or set(SSH)


def database_ports(all_settings: Iterable[Settings]) -> set[int]:
    """Ports of the cluster's databases that are on this machine: they are for peers only."""
    places = {place for settings in all_settings for place in databases(settings)}
    return {port for host, port in places if is_here(host)}


def databases(settings: Settings) -> Iterator[tuple[str, int]]:
    """Hosts and ports of the databases of a configuration."""
    urls = [each.url for each in (settings.couchdb, settings.redis) if each and each.url]
    for parts in map(urlsplit, urls):
        yield parts.hostname or "", parts.port or USUAL[parts.scheme]
    if settings.redis is not None:
        yield from settings.redis.sentinels


def is_here(host: str) -> bool:
    """Whether this machine has the address of a host, where others reach it: it can be bound."""
    return any(map(is_own, addresses_of(host)))


def is_own(address: str) -> bool:
    """The same of an address."""
    ip = ip_address(address.partition("%")[0])
    if ip.is_loopback:
        return False
    with socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET) as probe:
        try:
            probe.bind((str(ip), 0))
        except OSError:
            return False
    return True


def addresses_of(host: str) -> Sequence[str]:
    """All addresses of a host; none where its name is not known (now)."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return sorted({str(each[4][0]) for each in found})
