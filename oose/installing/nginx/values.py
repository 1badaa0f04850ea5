"""What nginx on this machine is told beyond what configurations say: `/etc/oose/web.py`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from oose.installing import layout
from oose.installing.configuring import Names, names_in
from oose.installing.dropins import numeric
from oose.installing.machine import Machine
from oose.installing.rooms import EVERY_ADDRESS
from oose.installing.runner import Refused
from oose.installing.stated import each, of_file, one, several
from oose.settings import kinds

THIS_MACHINE = {EVERY_ADDRESS: "127.0.0.1", "::": "::1"}  # where what listens there is
TEXTS = each(kinds.text, some=False)
TEXT = one(kinds.optional(kinds.text))


@frozen(kw_only=True)
class Web:
    """The names of the file, and the options of `oose install web`; see `fronts`.

    `server_names` are the prisms'; a store's is `NAME.domain`. `prisms` are those of other machines
    that are asked when this one's is away, `proxies` addresses of other machines whose nginx may
    ask this one's prism. `addresses` None: all that the machine has. `http_port` 0: none.
    `certificate` and `key` stand for stores too that have none of their own.
    """

    server_names: tuple[str, ...] = field(default=(), converter=several, validator=TEXTS)
    certificate: str | None = field(default=None, validator=TEXT)
    key: str | None = field(default=None, validator=TEXT)
    store_certificate: str | None = field(default=None, validator=TEXT)
    store_key: str | None = field(default=None, validator=TEXT)
    addresses: tuple[str, ...] = field(default=(), converter=several, validator=TEXTS)
    https_port: int = field(default=443, validator=one(kinds.whole(1, 65535)))
    http_port: int = field(default=80, validator=one(kinds.whole(0, 65535)))
    balancers: tuple[str, ...] = field(default=(), converter=several, validator=TEXTS)
    prisms: tuple[str, ...] = field(default=(), converter=several, validator=TEXTS)
    proxies: tuple[str, ...] = field(default=(), converter=several, validator=TEXTS)
    requests: int = 50
    burst: int = 200
    most_rate: int = 0

    @property
    def pem(self) -> tuple[Path, Path]:
        """The certificate and the key of prisms; `Refused`."""
        if self.certificate is None:
            raise Refused(
                "nginx needs a certificate with its key: --pem FILE; or --pem auto makes one that"
                " is self-signed, of which browsers warn"
            )
        return Path(self.certificate), Path(self.key or self.certificate)

    @property
    def store_pem(self) -> tuple[Path, Path]:
        """Those of stores; `Refused`."""
        if self.store_certificate is None:
            return self.pem
        return Path(self.store_certificate), Path(self.store_key or self.store_certificate)

    @property
    def ports(self) -> Sequence[int]:
        """Those that viewers come to."""
        return [port for port in (self.http_port, self.https_port) if port]


def is_web(machine: Machine) -> bool:
    """Whether nginx was installed before what runs here."""
    return machine.at(layout.WEB).exists()


def web_of(names: Mapping[str, Any]) -> Web:
    """The values that a file names; `Refused` for names that there are not, and for no values."""
    return of_file(Web, names, layout.WEB)


def web_names(machine: Machine, asked: Mapping[str, Any]) -> Names:
    """What the file says when what is asked for (None: as it was) has been put into it."""
    names = names_in(machine, layout.WEB)
    given = {name: each for name, each in asked.items() if each not in (None, ())}
    names.update({k: list(v) if isinstance(v, tuple) else v for k, v in given.items()})
    web_of(names)
    return names


def behind(names: Names, web: Web, domain: str | None = None) -> Names:
    """A configuration whose prism and stores are reached through nginx on their machine."""
    made = dict(names)
    if domain is not None:
        made["domain"] = domain
    if prism := made.get("prism"):
        made["prism"] = trusting(prism, [own_host(prism), *web.proxies])
    stores = made.get("store") or []
    if isinstance(stores, Mapping):
        made["store"] = nginx_sends(stores)
    elif stores:
        made["store"] = [nginx_sends(each) for each in stores]
    if stores and not made.get("domain"):
        raise Refused(
            "Viewers are sent to nginx before a store by its name: --domain DOMAIN makes that"
            " NAME.DOMAIN. All prisms and stores of a cluster need the same"
        )
    return made


def nginx_sends(store: Mapping[str, Any]) -> Names:
    """A store's own mapping that leaves the bytes to nginx."""
    return {"accel_redirect": True, **trusting(store, [own_host(store)])}


def trusting(room: Mapping[str, Any], proxies: Sequence[str]) -> Names:
    """A room's own mapping that believes these what they say of clients."""
    known = list(room.get("trusted_proxies") or [])
    more = [each for each in dict.fromkeys(proxies) if each not in known]
    return {**room, "trusted_proxies": [*known, *more]}


def own_host(room: Mapping[str, Any]) -> str:
    """The address at which nginx on the same machine reaches a room, and from which it comes."""
    host = numeric(str(room.get("listen", "127.0.0.1")))
    return THIS_MACHINE.get(host, host)
