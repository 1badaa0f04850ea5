"""The commands that make a prism or a store of a machine: install prism, install store."""

import os
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from uuid import uuid4

import click
from attrs import evolve

from oose.cli.desk import Desk
from oose.cli.exits import CommandFailed
from oose.cli.installing_around import host_command, known_peers, web_command
from oose.cli.this_machine import (
    PRETEND,
    YES,
    check_root,
    finish,
    refusing,
    this_machine,
    work_off,
)
from oose.installing.disks import Device, device_for
from oose.installing.machine import Machine
from oose.installing.plans import Plan, Wanted, prism_plan, store_plan
from oose.installing.rooms import Asked
from oose.installing.surroundings import surroundings

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ROOM = (
    click.option("--name", metavar="NAME", help="Its name in the cluster."),
    click.option("--listen", metavar="ADDRESS", help="Where it listens."),
    click.option("--port", type=click.IntRange(1, 65535), help="On which port."),
    click.option("--url", metavar="URL", help="How others reach it, where that is another way."),
    click.option("--pem", metavar="FILE", help="A certificate with its key; `auto` makes one."),
    click.option("--verify", metavar="FILE", help="Who signed the certificates of peers."),
    click.option("--insecure", is_flag=True, help="Allow others to reach it without TLS."),
    click.option("--machine", metavar="NAME", help="What fails together.  [default: host name]"),
    click.option("--group", metavar="NAME", help="The same, one size up: a rack, a site."),
    click.option("--domain", metavar="DOMAIN", help="Stores deliver as NAME.DOMAIN."),
)
CLUSTER = (
    click.option("--couchdb-url", metavar="URL", help="The cluster's CouchDB."),
    click.option("--redis-url", metavar="URL", help="The cluster's Redis."),
    click.option(
        "--redis-sentinel", "sentinels", multiple=True, metavar="HOST:PORT", help="Instead of it."
    ),
    click.option("--redis-service", "service", metavar="NAME", help="As Sentinel calls it."),
    click.option("--password-file", type=FILE, help="The cluster's password, on its first line."),
    click.option("--redis-password-file", type=FILE, help="That of Redis, where it wants one."),
)


def room_options(command: F) -> F:
    """What can be said of a prism and of a store alike, in the order of the help."""
    return reduce(lambda made, option: option(made), reversed(ROOM + CLUSTER), command)


@click.group("install")
def install_group() -> None:
    """Make a prism or a store of this machine, with all around them; may be run again.

    What is so already stays, also what somebody wrote into a configuration. One that has to be
    changed is kept beside the new one. --pretend says everything, and does nothing.
    """


install_group.add_command(web_command)
install_group.add_command(host_command)


@install_group.command("prism")
@room_options
@PRETEND
@click.pass_obj
def prism_command(desk: Desk, /, *, pretend: bool, **options: Any) -> None:
    """A prism: alone on this machine, or in the cluster whose databases are named."""
    check_root(pretend=pretend)
    machine = this_machine()
    with refusing():
        plan = prism_plan(machine, asked(options))
        carry_out(desk, machine, plan, pretend=pretend)


@install_group.command("store")
@click.option("--disk", required=True, metavar="FOLDER", help="Where its disk is mounted.")
@click.option("--prism", metavar="NAME", help="The prism it belongs to.  [default: this machine's]")
@click.option("--format", "formats", is_flag=True, help="Make a file system on an empty disk.")
@click.option("--device", metavar="DEVICE", help="Which.  [default: the only one that is empty]")
@click.option("--no-mount-check", is_flag=True, help="FOLDER is no disk, and is meant.")
@room_options
@YES
@PRETEND
@click.pass_obj
def store_command(
    desk: Desk,
    /,
    disk: str,
    prism: str | None,
    device: str | None,
    *,
    formats: bool,
    no_mount_check: bool,
    yes: bool,
    pretend: bool,
    **options: Any,
) -> None:
    """A store on a disk: of this machine's prism, or in a cluster a process of its own.

    --format makes an XFS file system on a disk that is empty, after its name was typed, and has it
    mounted at FOLDER whenever the machine starts. A disk with anything on it is refused.
    """
    check_root(pretend=pretend)
    if device is not None and not formats:
        raise click.UsageError("--device says what to format, and --format was not said")
    if formats and yes and device is None:
        raise click.UsageError("--yes formats without asking: --device has to say which disk")
    machine = this_machine()
    wanted = Wanted(
        PurePosixPath(os.path.normpath(Path(disk).absolute())),
        prism,
        must_be_mount=not no_mount_check,
    )
    with refusing():
        if formats:
            found = device_for(machine, wanted.disk, device)
            wanted = evolve(wanted, device=found, uuid=str(uuid4()))
        plan = store_plan(machine, asked(options), wanted)
        if wanted.device is not None and not (yes or pretend):
            have_typed(wanted.device, wanted.disk)
        carry_out(desk, machine, plan, pretend=pretend)


def carry_out(desk: Desk, machine: Machine, plan: Plan, *, pretend: bool) -> None:
    """A plan, and then what nginx and the firewall have to know of it."""
    around = surroundings(machine, plan.files, known_peers)
    steps = [*plan.steps, *around.steps]
    work_off(desk, machine, steps, pretend=pretend, hint=plan.hint)
    finish(desk, [*plan.notes, *around.notes])


def have_typed(device: Device, place: PurePosixPath) -> None:
    """Have the disk's name typed; `CommandFailed` unless it was."""
    click.echo(f"{device} will be formatted, and mounted at {place}.", err=True)
    typed = click.prompt("Type the name of the disk to go on", default="", err=True)
    if typed not in {device.name, device.path}:
        raise CommandFailed(f"{typed!r} is not {device.name}: nothing was changed")


def asked(options: Mapping[str, Any]) -> Asked:
    """The options as plans take them, passwords out of their files."""
    values = dict(options)
    for name in ("couchdb_url", "redis_url"):
        if "@" in (values[name] or ""):
            raise click.UsageError("Others can read the command line: see --password-file")
    for name in ("password", "redis_password"):
        values[name] = password_in(values.pop(f"{name}_file"))
    if values["pem"] not in {None, "auto"}:
        values["pem"] = str(Path(values["pem"]).absolute())
    return Asked(**values)


def password_in(file: Path | None) -> str | None:
    """The first line of a file; `CommandFailed` where there is none."""
    if file is None:
        return None
    line = next(iter(file.read_text("utf-8").splitlines()), "").strip()
    if not line:
        raise CommandFailed(f"{file} has no password on its first line")
    return line
