"""The plans of `oose install`: everything that makes a prism, or a store, of a machine."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from attrs import field, frozen

from oose.installing import database, disks, layout
from oose.installing.configuring import Names, checked, configuration, names_in
from oose.installing.couchdb import HINT, Databases
from oose.installing.disks import Device, Formatted
from oose.installing.dropins import in_service
from oose.installing.files import Directory, Link, Ownership
from oose.installing.machine import Machine
from oose.installing.machine_files import all_names, password_of, ports_of
from oose.installing.nginx.values import behind, is_web, web_of
from oose.installing.plan import Step
from oose.installing.releases import current
from oose.installing.rooms import (
    Asked,
    common,
    is_cluster,
    prism_names,
    store_names,
    stores_in,
    with_store,
)
from oose.installing.runner import Refused
from oose.installing.system import Packages, User
from oose.settings import Settings
from oose.settings.kinds import label

Files = Mapping[PurePosixPath, Names]


@frozen
class Plan:
    """Steps, and what to say to an operator once they are made.

    `files` are all configurations of the machine, as they are then; `hint` is for who waits for a
    service in vain.
    """

    steps: Sequence[Step]
    notes: Sequence[str] = ()
    files: Files = field(factory=dict)
    hint: str = ""


@frozen
class Wanted:
    """Which store is wanted: the mount point of its disk, and what may be done about that.

    `device` is formatted with `uuid` and mounted there; without one a disk has to be there.
    """

    disk: PurePosixPath
    prism: str | None = None
    device: Device | None = None
    uuid: str = ""
    must_be_mount: bool = field(default=True, kw_only=True)


def prism_plan(machine: Machine, asked: Asked) -> Plan:
    """A prism on this machine; `Refused` where something speaks against it."""
    files = all_names(machine)
    before = files.get(layout.PRISM, {})
    refuse_leaving(machine, before, asked)
    known, made = known_or_made(files, asked)
    names = as_served(machine, prism_names(before, asked, machine.name, known))
    settings = checked(names, layout.PRISM)
    notes = []
    if not settings.is_cluster:
        notes.append(f"The login of its first user: {settings.root}/login.toml")
    elif made:
        notes.append(
            f"A password was made for the cluster; it is in {layout.PRISM}. Give other machines the"
            " same by --password-file"
        )
    if not (settings.stores or settings.is_cluster):
        notes.append("It has no store yet: oose install store --disk MOUNT_POINT")
    steps = running(machine, layout.PRISM, names, settings)
    return Plan(steps, notes, {**files, layout.PRISM: names}, hint_for(settings, layout.PRISM))


def store_plan(machine: Machine, asked: Asked, wanted: Wanted) -> Plan:
    """A store on a disk of this machine: the prism's, or in a cluster a process of its own."""
    files = all_names(machine)
    name = asked.name or name_at(files, wanted.disk) or wanted.disk.name
    try:
        label(name)
    except ValueError as error:
        raise Refused(f"{name!r} is no name for a store: --name NAME, {error}") from None
    notes = check_disk(machine, wanted, name)
    file, names = configured(machine, files, asked, wanted, name)
    names = as_served(machine, names)
    settings = checked(names, file)
    steps: list[Step] = []
    if wanted.device is None:
        least = next(store.min_free for store in settings.stores if store.name == name)
        notes = [*notes, *disks.room_notes(machine, wanted.disk, least)]
    else:
        steps += [Packages(("xfsprogs",)), Directory(wanted.disk)]
        steps.append(Formatted(wanted.device, wanted.disk, wanted.uuid))
    disk = Ownership(wanted.disk, layout.USER, layout.USER)
    steps += running(machine, file, names, settings, disk)
    return Plan(steps, notes, {**files, file: names}, hint_for(settings, file))


def hint_for(settings: Settings, file: PurePosixPath) -> str:
    """What a process of a cluster may wait for."""
    return HINT.format(file) if settings.is_cluster else ""


def as_served(machine: Machine, names: Names) -> Names:
    """A configuration, with what nginx needs where it was installed on this machine."""
    if not is_web(machine):
        return names
    return behind(names, web_of(names_in(machine, layout.WEB)))


def configured(
    machine: Machine, files: Files, asked: Asked, wanted: Wanted, name: str
) -> tuple[PurePosixPath, Names]:
    """In which file the store stands, and all that this says then."""
    prism = files.get(layout.PRISM, {})
    if prism:
        refuse_leaving(machine, prism, asked)
    known, _ = known_or_made(files, asked)
    ports = list(ports_of(files))
    is_with_prism = any(each["name"] == name for each in stores_in(prism))
    if prism and (is_with_prism or not is_cluster(prism)):
        if wanted.prism not in {None, (prism.get("prism") or {}).get("name")}:
            raise Refused(f"The store would run with this machine's prism, not {wanted.prism}'s")
        names = common(prism, asked, machine.name, known)
        return layout.PRISM, with_store(names, wanted.disk, asked, ports, known)
    file = layout.store_file(name)
    pattern = next(iter(files.values()), {})
    if not (asked.is_cluster or is_cluster(pattern)):
        raise Refused(
            "There is no prism on this machine that the store could run with: `oose install prism`"
            " comes first. In a cluster, name its databases: --couchdb-url and --redis-url"
        )
    before = files.get(file, {})
    own = next(iter(stores_in(before)), {})
    belongs = wanted.prism or own.get("prism") or (prism.get("prism") or {}).get("name")
    if belongs is None:
        raise Refused("Which prism does the store belong to? --prism NAME says it")
    names = store_names(
        before, pattern, wanted.disk, asked, host=machine.name, taken=ports, password=known
    )
    names["store"] = [{**names["store"][0], "prism": belongs}]
    return file, names


def running(
    machine: Machine, file: PurePosixPath, names: Names, settings: Settings, *more: Step
) -> Sequence[Step]:
    """The steps to a process that runs with the configuration `file`, after `more`."""
    steps: list[Step] = [*based(machine), *states(settings), *more]
    pem = PurePosixPath(settings.ssl.pem) if settings.ssl and settings.ssl.pem else None
    if pem is not None and layout.ETC in pem.parents:
        steps.append(Ownership(pem, group=layout.USER, mode=layout.CONFIGURATION_MODE))
    steps.append(configuration(machine, file, names))
    if settings.is_cluster:
        steps.append(Databases(file))
    return [*steps, *in_service(machine.tree, file, settings)]


def based(machine: Machine) -> Sequence[Step]:
    """What everything else stands on: the command, the user, the folder of configurations."""
    current(machine)  # or there would be nothing to run
    return [
        Link(layout.COMMAND, layout.CURRENT / layout.VENV / "bin" / "oose"),
        User(),
        *(Directory(path, group=layout.USER, mode=0o750) for path in (layout.ETC, layout.STORES)),
    ]


def states(settings: Settings) -> Sequence[Directory]:
    """Where a process keeps its state, as its unit has it, and the folders above that are ours.

    These are root's: or the service could put a link in the place of what root gives it.
    """
    root = PurePosixPath(settings.root)
    above = [each for each in reversed(root.parents) if layout.STATE in (each, *each.parents)]
    own = Directory(root, layout.USER, layout.USER, 0o750)
    return [*(Directory(path) for path in above), own]


def check_disk(machine: Machine, wanted: Wanted, name: str) -> Sequence[str]:
    """What an operator should know of the disk; `Refused` where it is not to be the store's."""
    if wanted.device is not None:
        disks.check_empty_place(machine, wanted.disk)
        return ()
    disks.check_mounted(machine, wanted.disk, must_be_mount=wanted.must_be_mount)
    disks.check_owner(machine, wanted.disk, name)
    return tuple(disks.notes_on(machine, wanted.disk))


def known_or_made(files: Files, asked: Asked) -> tuple[str, bool]:
    """The cluster's password as this machine knows it, or one made now; and whether it was."""
    known = asked.password or password_of(files)
    return known or secrets.token_urlsafe(32), known is None


def name_at(files: Files, disk: PurePosixPath) -> str | None:
    """What the store on a disk is called already."""
    stores = [store for names in files.values() for store in stores_in(names)]
    return next((each["name"] for each in stores if PurePosixPath(each["root"]) == disk), None)


def refuse_leaving(machine: Machine, before: Names, asked: Asked) -> None:
    """`Refused` where a database of this machine would be left behind, with all it knows."""
    if is_cluster(before) or not asked.is_cluster:
        return
    kept = PurePosixPath(before.get("root", str(layout.STATE / "prism"))) / database.NAME
    if machine.at(kept).exists():
        raise Refused(
            f"What this machine's prism knows is in {kept}, and would not be in the cluster's"
            " databases. `oose export` and `oose import` move it; then name couchdb and redis in"
            f" {layout.PRISM} by hand"
        )
