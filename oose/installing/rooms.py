"""What the configuration of a prism or of a store says: what it says now, and what is asked for."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from attrs import frozen

from oose.installing import layout
from oose.installing.configuring import Names
from oose.installing.runner import Refused
from oose.settings.warnings import is_loopback

ACCOUNT = "oose"  # as whom peers know each other, and CouchDB them
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 # of a cluster's peers, who are reached from elsewhere
FIRST_PORT = 5972  # of stores
OWN = ("prism", "store", "root")  # not the same in every configuration of a machine


@frozen
class Asked:
    """What the command line says; None where it says nothing, and what is so stays so."""

    name: str | None = None
    machine: str | None = None
    group: str | None = None
    domain: str | None = None
    listen: str | None = None
    port: int | None = None
    url: str | None = None
    pem: str | None = None
    verify: str | None = None
    couchdb_url: str | None = None
    redis_url: str | None = None
    sentinels: tuple[str, ...] = ()
    service: str | None = None
    password: str | None = None
    redis_password: str | None = None
    insecure: bool = False

    @property
    def is_cluster(self) -> bool:
        """Whether databases are named."""
        return bool(self.couchdb_url or self.redis_url or self.sentinels)


def is_cluster(names: Mapping[str, Any]) -> bool:
    """Whether a configuration names databases that others have too."""
    return bool(names.get("couchdb"))


def merged(names: Names, section: str, values: Mapping[str, Any]) -> None:
    """Put those of `values` that are not None into a section."""
    said = {key: value for key, value in values.items() if value is not None}
    if said:
        names[section] = {**(names.get(section) or {}), **said}


def common(before: Names, asked: Asked, host: str, password: str) -> Names:
    """What a prism and a store of a machine say alike.

    `password` is the cluster's where nobody has said one before.
    """
    names = dict(before)
    given = {"machine": asked.machine, "group": asked.group, "domain": asked.domain}
    names.update({key: value for key, value in given.items() if value is not None})
    names.setdefault("machine", host)
    merged(names, "ssl", {"pem": asked.pem, "verify": asked.verify})
    if asked.insecure:
        names["insecure"] = True
    if asked.is_cluster or is_cluster(names):
        databases(names, asked, password)
    return names


def databases(names: Names, asked: Asked, password: str) -> None:
    """Put a cluster's databases into `names`."""
    if asked.password is not None:  # of all rooms, or they would be strangers
        same = {"password": asked.password}
        if names.get("prism"):
            names["prism"] = {**names["prism"], **same}
        if names.get("store"):
            names["store"] = [{**each, **same} for each in stores_in(names)]
    kept = names.get("couchdb") or {}
    account = {
        "username": kept.get("username", ACCOUNT),
        "password": asked.password or kept.get("password", password),
    }
    in_url = "@" in (asked.couchdb_url or kept.get("url", ""))
    merged(names, "couchdb", {"url": asked.couchdb_url, **({} if in_url else account)})
    redis = {"url": asked.redis_url, "service": asked.service, "password": asked.redis_password}
    merged(names, "redis", {**redis, "sentinels": list(asked.sentinels) or None})
    instead = "url" if asked.sentinels else "sentinels" if asked.redis_url else ""
    if names.get("redis", {}).get(instead) is not None:
        names["redis"] = {key: each for key, each in names["redis"].items() if key != instead}


def room(kept: Mapping[str, Any], names: Names, asked: Asked, password: str) -> Names:
    """A prism's or a store's own mapping, anew; `Refused` where peers could not reach it."""
    room = {**kept, "enabled": True}
    if is_cluster(names):
        room.setdefault("username", ACCOUNT)
        room["password"] = asked.password or kept.get("password", password)
        room.setdefault("listen", EVERY_ADDRESS)
    given = {"name": asked.name, "listen": asked.listen, "port": asked.port, "url": asked.url}
    room.update({key: value for key, value in given.items() if value is not None})
    is_open = not is_loopback(room.get("listen", "127.0.0.1"))
    has_pem = bool((names.get("ssl") or {}).get("pem"))
    if is_open and not has_pem and not names.get("insecure"):
        raise Refused(
            f"{room.get('name', 'the prism')} would be reached from other machines without TLS."
            " Name a certificate with its key by --pem FILE; or say --listen 127.0.0.1 and, where"
            " nginx has the certificate, --url https://...; or --insecure"
        )
    return room


def prism_names(before: Names, asked: Asked, host: str, password: str) -> Names:
    """The whole configuration of a machine's prism."""
    names = common(before, asked, host, password)
    names.setdefault("root", str(layout.STATE / "prism"))
    prism = room(names.get("prism") or {}, names, asked, password)
    prism.setdefault("name", label_of(host) if is_cluster(names) else "prism1")
    names["prism"] = prism
    return names


def label_of(host: str) -> str:
    """A machine's name as that of a prism, which has to be a DNS label."""
    return re.sub(r"[^a-z0-9-]+", "-", host.partition(".")[0].lower()).strip("-")[:63]


def with_store(
    names: Names, disk: PurePosixPath, asked: Asked, taken: Iterable[int], password: str
) -> Names:
    """`names` with the store of a disk; `Refused` where name or disk are another's.

    `taken` are ports that the machine's other stores have.
    """
    stores = stores_in(names)
    name = asked.name or next((each["name"] for each in stores if is_at(each, disk)), disk.name)
    for each in stores:
        if (each["name"] == name) != is_at(each, disk):
            raise Refused(
                f"The configuration has the store {each['name']} at {each['root']}: a store"
                " keeps its name and its disk. Where its disk has moved, change `root` by hand"
            )
    kept = next((each for each in stores if each["name"] == name), {})
    own = {"name": name, "root": str(disk), "port": next_port(taken), **kept}
    if listen := (names.get("prism") or {}).get("listen"):
        own.setdefault("listen", listen)  # who reaches the prism is sent to its stores
    store = room(own, names, asked, password)
    others = [each for each in stores if each["name"] != name]
    at = stores.index(kept) if kept in stores else len(stores)
    return {**names, "store": [*others[:at], store, *others[at:]]}


def is_at(store: Mapping[str, Any], disk: PurePosixPath) -> bool:
    """Whether a store is on that disk."""
    return PurePosixPath(store["root"]) == disk


def stores_in(names: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The stores of a configuration, each with name, port and root as the program gives them."""
    given = names.get("store") or []
    many = [given] if isinstance(given, Mapping) else given
    stores = []
    for n, each in enumerate(many):
        usual = {"name": f"store{n + 1}", "port": FIRST_PORT + n}
        usual["root"] = str(
            PurePosixPath(names.get("root", "data"), each.get("name", usual["name"]))
        )
        stores.append({**usual, **each})
    return stores


def next_port(taken: Iterable[int]) -> int:
    """The first that no store of the machine has."""
    ports = set(taken)
    return next(port for port in range(FIRST_PORT, 65536) if port not in ports)


def store_names(
    before: Names,
    pattern: Names,
    disk: PurePosixPath,
    asked: Asked,
    *,
    host: str,
    taken: Iterable[int],
    password: str,
) -> Names:
    """The whole configuration of a store that is a process of its own.

    `pattern` is another of this machine's, whose cluster it is in.
    """
    alike = {key: value for key, value in pattern.items() if key not in OWN}
    names = common({**alike, **before}, asked, host, password)
    names.setdefault("root", str(layout.store_state(asked.name or disk.name)))
    return with_store(names, disk, asked, taken, password)
