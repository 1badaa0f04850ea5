"""Read a configuration file: all problems at once, before anything is made or opened."""

import os
import socket
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from oose.address import HASH_TYPES
from oose.settings import kinds
from oose.settings.databases import take_databases
from oose.settings.model import BadSettings, PrismSettings, Settings, StoreSettings, Tls
from oose.settings.section import Section, is_mapping, shown
from oose.settings.services import (
    take_clones,
    take_heartbeat,
    take_inventory,
    take_log,
    take_purchase,
    take_retrieve,
    take_session,
)
from oose.settings.warnings import exposures, rooms_of

BY_THE_SYSTEM: str | bool = True  # whose authorities judge the certificates of peers
DEFAULTS: Mapping[str, Any] = {
    "prism": {"enabled": True},
    "store": {"enabled": True},
    "clones": {"minimum": 1},
}
CREDENTIALS = "in a cluster every peer has the same username and password"
Titled = Sequence[tuple[str, StoreSettings]]  # each as messages call it: `store`, `store[1]`
port = kinds.whole(0, 65535)
workers = kinds.whole(1, 64)


def read(path: Path | None) -> Settings:
    """The configuration in the file `path`, or the one of a single machine; `BadSettings`.

    The file is Python and is run: keep it as safe as the program itself.
    """
    if path is None:
        return check(DEFAULTS, None)
    path = path.absolute()
    return check(run(path), path)


def run(path: Path) -> Mapping[str, Any]:
    """The top-level names of a Python file, without what it imports and its private ones."""
    names: dict[str, Any] = {"__file__": str(path), "__name__": "oose_configuration"}
    try:
        source = path.read_bytes()
    except OSError as error:
        raise BadSettings([f"{path}: cannot be read: {error.strerror}"]) from None
    try:
        exec(compile(source, str(path), "exec"), names)  # noqa: S102  # it is the format
    except (Exception, SystemExit) as error:  # a configuration may raise anything
        raise BadSettings(
            [f"{path}: {where(error, path)}{type(error).__name__}: {error}"]
        ) from None
    return {
        name: value
        for name, value in names.items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType | type)
        and not is_code(value)
    }


def is_code(value: object) -> bool:
    """Whether `value` is a function that the file defined or imported for its own use."""
    return callable(value)


def where(error: BaseException, path: Path) -> str:
    """The line of the configuration that failed."""
    lines = [
        each.lineno
        for each in traceback.extract_tb(error.__traceback__)
        if each.filename == str(path)
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"line {line}: " if line else ""


def check(names: Mapping[str, Any], path: Path | None) -> Settings:
    """The configuration that `names` make; `BadSettings` with every problem."""
    problems: list[str] = []
    top = Section("", names, problems)
    root = take_path(top, "root", Path("data"))
    tls = take_tls(top)
    prism = take_prism(top.section("prism"))
    titled = take_stores(top, names.get("store"), root, prism.name, problems)
    stores = tuple(store for _, store in titled)
    if not problems:
        problems.extend(conflicts(prism, titled))
    insecure = top.take("insecure", kinds.flag, False)
    has_tls = tls is not None and tls.pem is not None
    if not insecure:
        dangers = exposures(rooms_of(prism, stores), tls=has_tls)
        problems.extend(f"{name}: {what}; insecure = True allows it" for name, what in dangers)
    couchdb, redis = take_databases(top, names)
    if couchdb is not None:
        problems.extend(strangers(prism, titled))
    settings = Settings(
        path=path,
        root=root,
        machine=top.take("machine", kinds.text, socket.gethostname()),
        prism=prism,
        stores=stores,
        domain=top.take("domain", kinds.optional(kinds.domain), None),
        group=top.take("group", kinds.text, "localgroup"),
        default_hash_type=top.take("default_hash_type", kinds.choice(*HASH_TYPES), "sha1"),
        insecure=insecure,
        ssl=tls,
        couchdb=couchdb,
        redis=redis,
        heartbeat=take_heartbeat(top.section("heartbeat")),
        inventory=take_inventory(top.section("inventory")),
        purchase=take_purchase(top.section("purchase")),
        clones=take_clones(top.section("clones")),
        session=take_session(top.section("session")),
        retrieve=take_retrieve(top.section("retrieve")),
        log=take_log(top.section("log")),
    )
    top.close()
    if problems:
        raise BadSettings([f"{path}: {each}" if path else each for each in problems])
    return settings


def take_path(section: Section, key: str, default: Path) -> Path:
    """A folder or file, absolute; relative ones count from the working directory."""
    return Path(section.take(key, kinds.text, str(default))).absolute()


def is_file(name: str) -> bool:
    """Whether there is such a file that we may see; not for names no file system takes."""
    try:
        return Path(name).is_file()
    except OSError:
        return False


def take_tls(top: Section) -> Tls | None:
    """`ssl`."""
    section = top.section("ssl")
    pem = section.take("pem", kinds.optional(kinds.text), None)
    if pem is not None and pem != "auto":
        pem = str(Path(pem).absolute())
        if not is_file(pem):
            section.wrong("pem", f"there is no file {pem}")
    verify: str | bool = section.take("verify", kinds.verify, BY_THE_SYSTEM)
    if isinstance(verify, str):
        verify = str(Path(verify).absolute())
        if not is_file(verify):
            section.wrong("verify", f"there is no file {verify}")
    section.close()
    return Tls(pem, verify) if pem is not None or verify is not True else None


def take_prism(section: Section) -> PrismSettings:
    """`prism`."""
    default = PrismSettings()
    take = section.take
    settings = PrismSettings(
        enabled=take("enabled", kinds.flag, default.enabled),
        name=take("name", kinds.label, default.name),
        listen=take("listen", kinds.host, default.listen),
        port=take("port", port, default.port),
        url=take("url", kinds.optional(kinds.url), default.url),
        username=take("username", kinds.optional(kinds.username), None),
        password=take("password", kinds.optional(kinds.text), None),
        workers=take("workers", workers, default.workers),
        deny_static_types=take("deny_static_types", kinds.extensions, default.deny_static_types),
        exists_cache_life=take("exists_cache_life", kinds.duration, default.exists_cache_life),
        purchase_cache_life=take(
            "purchase_cache_life", kinds.duration, default.purchase_cache_life
        ),
        trusted_proxies=take("trusted_proxies", kinds.networks, default.trusted_proxies),
        max_upload=take("max_upload", kinds.optional(kinds.size), default.max_upload),
        idle_timeout=take("idle_timeout", kinds.lasting, default.idle_timeout),
    )
    check_room(section, settings)
    return settings


def take_stores(top: Section, given: object, root: Path, prism: str, problems: list[str]) -> Titled:
    """`store`: one mapping or a list of them, one a disk; those that are enabled."""
    top.take("store", lambda value: value, None)
    if given is None:
        given = ()
    many = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    stores = []
    for index, each in enumerate(many):
        name = "store" if len(many) == 1 else f"store[{index}]"
        if not is_mapping(each):
            expected = "expected a mapping, or a list of them, one a disk"
            problems.append(f"{name}: {expected}; this is {shown('store', each)}")
            continue
        store, enabled = take_store(Section(name, each, problems), index, root, prism)
        if enabled:
            stores.append((name, store))
    return stores


def take_store(section: Section, index: int, root: Path, prism: str) -> tuple[StoreSettings, bool]:
    """One of `store`, the `index`th, and whether it is enabled."""
    take = section.take
    enabled = take("enabled", kinds.flag, False)
    name = take("name", kinds.label, f"store{index + 1}")
    default = StoreSettings(root / name, name, prism, port=5972 + index)
    settings = StoreSettings(
        root=take_path(section, "root", default.root),
        name=name,
        prism=take("prism", kinds.label, default.prism),
        listen=take("listen", kinds.host, default.listen),
        port=take("port", port, default.port),
        url=take("url", kinds.optional(kinds.url), default.url),
        username=take("username", kinds.optional(kinds.username), None),
        password=take("password", kinds.optional(kinds.text), None),
        workers=take("workers", workers, default.workers),
        accel_redirect=take("accel_redirect", kinds.accel_redirect, default.accel_redirect),
        min_free=take("min_free", kinds.size, default.min_free),
        trusted_proxies=take("trusted_proxies", kinds.networks, default.trusted_proxies),
        max_upload=take("max_upload", kinds.optional(kinds.size), default.max_upload),
        idle_timeout=take("idle_timeout", kinds.lasting, default.idle_timeout),
    )
    check_room(section, settings)
    return settings, enabled


def check_room(section: Section, room: PrismSettings | StoreSettings) -> None:
    """What a prism and a store may get wrong alike."""
    if (room.username is None) != (room.password is None):
        missing = "username" if room.username is None else "password"
        section.wrong(missing, "a username and a password are given together, or neither")
    if room.workers > 1:
        section.wrong("workers", "more than one worker is not supported by this version yet")
    section.close()


def conflicts(prism: PrismSettings, stores: Titled) -> Sequence[str]:
    """What no two rooms may share, and that there is a room at all."""
    rooms: list[tuple[str, PrismSettings | StoreSettings]] = [*stores]
    if prism.enabled:
        rooms.insert(0, ("prism", prism))
    if not rooms:
        return ["nothing is enabled: set enabled in prism, in store or in both"]
    found = []
    seen: dict[object, str] = {}
    for title, room in rooms:
        for key, value in distinct(room).items():
            other = seen.setdefault((key, value), title)
            if other != title:
                found.append(f"{title}.{key}: the same as that of {other}")
    return [*found, *nested(stores)]


def nested(stores: Titled) -> Iterator[str]:
    """Disks within others', also where links hide it: their files would be taken for theirs."""
    roots = [(title, Path(os.path.realpath(store.root))) for title, store in stores]
    for title, root in roots:
        for other, above in roots:
            if above in root.parents:
                yield f"{title}.root: below that of {other}"


def distinct(room: PrismSettings | StoreSettings) -> Mapping[str, object]:
    """What no other room of the process may have too; port 0 is any that is free."""
    values: dict[str, object] = {"name": (type(room), room.name)}
    if room.port:
        values["port"] = (room.listen, room.port)
    if isinstance(room, StoreSettings):
        values["root"] = os.path.realpath(room.root)
    return values


def strangers(prism: PrismSettings, stores: Titled) -> Sequence[str]:
    """What keeps a cluster's peers from knowing each other: they do by one pair of credentials."""
    rooms: list[tuple[str, PrismSettings | StoreSettings]] = [*stores]
    if prism.enabled:
        rooms.insert(0, ("prism", prism))
    pairs = {(room.username, room.password) for _, room in rooms if room.password is not None}
    missing = [title for title, room in rooms if room.password is None]
    found = [f"{title}.password: {CREDENTIALS}; there is none" for title in missing]
    if len(pairs) > 1:
        found.append(f"{rooms[-1][0]}.password: {CREDENTIALS}; these differ")
    return found
