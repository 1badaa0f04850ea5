"""What units say of this machine: the disks that a process needs, and where it listens.

It stands in drop-ins beside the units of a release (systemd.unit(5)), so these stay as they are.
"""

import re
import socket
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from oose.disk import OPEN
from oose.installing import layout
from oose.installing.files import Directory, File
from oose.installing.machine_files import service_of
from oose.installing.plan import Step
from oose.installing.runner import Refused
from oose.installing.system import Service, Units, has_socket, template_of
from oose.settings import PrismSettings, Settings, StoreSettings
from oose.settings.warnings import rooms_of

NAME = "oose-install.conf"
HEAD = "# Written by `oose install`.\n"


def in_service(tree: Path, file: PurePosixPath, settings: Settings) -> Sequence[Step]:
    """The steps that have a process run as its configuration `file` says, and with the machine.

    `tree` is that of the release.
    """
    name = service_of(file)
    texts = {f"{name}.service": disks_of(settings, needed=file != layout.PRISM)}
    if has_socket(tree, name):
        texts = {f"{name}.socket": listening(settings), **texts}
    drop_ins = {unit: layout.UNITS / f"{unit}.d" / NAME for unit in texts}
    steps: list[Step] = []
    for unit, path in drop_ins.items():
        steps += [Directory(path.parent), File(path, HEAD + texts[unit])]
    steps.append(Units())
    for unit, path in drop_ins.items():
        watched = [layout.UNITS / template_of(unit), path]
        if unit.endswith(".service"):
            watched += [file, layout.CURRENT]
        steps.append(Service(unit, tuple(watched)))
    return steps


def disks_of(settings: Settings, *, needed: bool) -> str:
    """What a service says of its disks.

    `needed`: without its disk it does not run. One with several disks runs with those it has, but
    waits for the others to be mounted first.
    """
    roots = [PurePosixPath(store.root) for store in settings.stores]
    waits = (
        f"RequiresMountsFor={quoted(root)}" if needed else f"After={mount_unit(root)}"
        for root in roots
    )
    writes = ("ReadWritePaths=", *(f"ReadWritePaths={quoted('-', root)}" for root in roots))
    # nginx asks the store for everything until it is there again (decision 15).
    marks = (quoted(root / OPEN).replace("$", "$$") for root in roots)
    ends = (f"ExecStopPost=-/bin/rm -f {mark}" for mark in marks)
    return "\n".join(["[Unit]", *waits, "[Service]", *writes, *ends]) + "\n"


def quoted(*parts: object) -> str:
    """A value as one word without variables and specifiers: systemd.syntax(7), systemd.unit(5)."""
    text = "".join(map(str, parts))
    if re.fullmatch(r"[\w./:@+-]+", text, re.ASCII):
        return text
    text = re.sub(r'(["\\])', r"\\\1", text).replace("%", "%%")
    return f'"{text}"'


def mount_unit(path: PurePosixPath) -> str:
    """The name of the unit by which systemd mounts something: systemd.unit(5), escaping."""
    text = "-".join(escaped(part) for part in path.parts[1:])
    return ("\\x2e" + text[1:] if text.startswith(".") else text) + ".mount"


def escaped(part: str) -> str:
    """One part of a path."""
    return re.sub(
        rb"[^A-Za-z0-9:_.]", lambda found: b"\\x%02x" % found[0][0], part.encode()
    ).decode()


def listening(settings: Settings) -> str:
    """What a socket unit says of where every room of a process listens; `Refused`."""
    rooms = [room for _, room in rooms_of(settings.prism, settings.stores)]
    lines = ["[Socket]", "ListenStream=", *(f"ListenStream={address_of(room)}" for room in rooms)]
    return "\n".join(lines) + "\n"


def address_of(room: PrismSettings | StoreSettings) -> str:
    """Host and port; systemd does not look up names."""
    return with_port(numeric(room.listen), room.port)


def numeric(listen: str) -> str:
    """The address that a room listens on, looked up as the program does; `Refused`."""
    try:
        found = socket.getaddrinfo(listen, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Refused(f"There is no {listen} to listen on: {error.strerror}") from None
    return str(found[0][4][0])


def with_port(host: str, port: int) -> str:
    """As URLs have it (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
