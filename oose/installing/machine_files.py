"""What the configurations of a machine say together, for one that is added or changed."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from oose.installing import layout
from oose.installing.configuring import Names, names_in
from oose.installing.machine import Machine
from oose.installing.rooms import stores_in


def configurations(machine: Machine) -> Iterator[PurePosixPath]:
    """The configurations that there are, the prism's first."""
    if machine.at(layout.PRISM).exists():
        yield layout.PRISM
    for path in sorted(machine.at(layout.STORES).glob("*.py")):
        yield layout.STORES / path.name


def service_of(path: PurePosixPath) -> str:
    """The unit of a configuration, without its suffix."""
    return layout.PRISM_SERVICE if path == layout.PRISM else layout.store_service(path.stem)


def all_names(machine: Machine) -> Mapping[PurePosixPath, Names]:
    """What all of them say."""
    return {path: names_in(machine, path) for path in configurations(machine)}


def ports_of(files: Mapping[PurePosixPath, Names]) -> Iterator[int]:
    """Every port that a room of the machine has."""
    for names in files.values():
        yield from (store["port"] for store in stores_in(names))
        yield (names.get("prism") or {}).get("port", 0)


def password_of(files: Mapping[PurePosixPath, Names]) -> str | None:
    """By which the machine's rooms are known in their cluster, where one has been said."""
    rooms: list[Mapping[str, Any]] = []
    for names in files.values():
        rooms += [names.get("prism") or {}, *stores_in(names)]
    return next((room["password"] for room in rooms if room.get("password")), None)
