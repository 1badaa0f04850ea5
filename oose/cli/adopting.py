"""The command that makes a store's disk of one of version 2.x."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from random import Random

import click
from attrs import frozen

from oose.cli.configuration import CONFIG, read_configuration
from oose.cli.desk import Desk
from oose.cli.exits import CommandFailed
from oose.cli.opened import Opened, on_databases
from oose.embedded.database import FILE_NAME
from oose.moving.adoption import NotAdopted, Shape, adopt, judge, shape_of
from oose.moving.adoption_place import check_place, places_of
from oose.moving.sampling import Sample, sample
from oose.settings import Settings
from oose.settings.kinds import label

ENOUGH = 3  # records, for what they say to count


@frozen
class Named:
    """What the store is called; `is_configured`: the configuration has it already."""

    name: str
    prism: str
    is_configured: bool

    @property
    def place(self) -> str:
        """As records have it."""
        return f"{self.prism}:{self.name}"


@click.command("adopt")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", metavar="NAME", help="The store's name, as the old database has it.")
@click.option("--prism", metavar="NAME", help="Its prism's name.  [default: the configuration's]")
@click.option("--arrange", is_flag=True, help="Rename folders that lie in PATH into PATH/content.")
@click.option("--pretend", is_flag=True, help="Only look, and say what would be done.")
@CONFIG
@click.pass_obj
def adopt_command(
    desk: Desk,
    path: Path,
    name: str | None,
    prism: str | None,
    config: str | None,
    *,
    arrange: bool,
    pretend: bool,
) -> None:
    """Make a store's disk of a disk of version 2.x, whose files are in PATH/content.

    Nothing is copied and nothing is moved: the disk gets its identity and two empty folders. The
    files stay where they are and are served from there; the sweep makes records where there are
    none. NAME may be left out where the configuration has a store with this root.
    """
    settings = read_configuration(config)
    root = path.resolve()
    named = named_in(settings, root, name, prism)
    try:
        shape = shape_of(root, named.name)
        refuse_unarranged(shape, arrange=arrange)
        looked = sample(shape.base, shape.folders, Random())  # noqa: S311 # nobody gains
        judge(shape, looked)
        places = asked_of_databases(settings, config, named, shape, looked)
        identity = None if pretend else adopt(shape, named.name, rearrange=arrange)
    except NotAdopted as error:
        raise CommandFailed(str(error)) from None
    warn(desk, named, looked, places)
    value = {
        "store": named.name,
        "prism": named.prism,
        "root": str(root),
        "identity": identity,
        "looked": {"files": len(looked.files), "strangers": len(looked.strangers)},
        "records": dict(places),
        "configured": named.is_configured,
    }
    desk.result(value, said(named, shape, looked, places, pretend=pretend))


# Behind the command.


def named_in(settings: Settings, root: Path, name: str | None, prism: str | None) -> Named:
    """What the store is called: as it was said, or as the configuration calls it."""
    stores = settings.stores
    here = next((each for each in stores if each.root.resolve() == root), None)
    if name is None and here is None:
        raise click.UsageError(f"--name is needed: the configuration has no store at {root}")
    if here is not None:
        if (name or here.name, prism or here.prism) != (here.name, here.prism):
            raise CommandFailed(
                f"The configuration calls the store at {root} {here.prism}:{here.name}"
            )
        return Named(here.name, here.prism, is_configured=True)
    own = Named(a_label(name), a_label(prism or settings.prism.name), is_configured=False)
    elsewhere = next((each for each in stores if each.name == own.name), None)
    if elsewhere is not None and settings.path is not None:
        raise CommandFailed(f"The configuration has the store {own.name!r} at {elsewhere.root}")
    return own


def a_label(name: str | None) -> str:
    """A name that the configuration takes; `UsageError`."""
    try:
        return label(name)
    except ValueError as error:
        raise click.UsageError(
            f"{name!r} is no name for a store or prism: expected {error}"
        ) from None


def refuse_unarranged(shape: Shape, *, arrange: bool) -> None:
    """`NotAdopted` with what to do where content does not lie in `content`, and is to stay so."""
    if not shape.loose or arrange:
        return
    root = shlex.quote(str(shape.root))
    raise NotAdopted(
        f"{shape.root} has {len(shape.loose)} folders of content that are not in its folder"
        " `content`, where a store has them. The same command with --arrange renames them, which"
        " copies nothing and may be cut short, as these would:\n"
        f"  mkdir -p {root}/content\n"
        f"  mv {root}/[0-9a-f][0-9a-f] {root}/content/"
    )


def asked_of_databases(
    settings: Settings, config: str | None, named: Named, shape: Shape, looked: Sample
) -> Mapping[str, int]:
    """At which places the inventory has what was looked at; `NotAdopted` where the name is held.

    Where nothing has run yet nobody knows anything.
    """
    if settings.couchdb is None and not (settings.root / FILE_NAME).exists():
        return {}

    async def work(opened: Opened) -> Mapping[str, int]:
        databases, machine = opened.databases, opened.settings.machine
        await check_place(databases.peer, named.place, machine, is_signed=shape.is_signed)
        return await places_of(databases.inventory, list(looked.files.values()))

    return on_databases(config, work)


def warn(desk: Desk, named: Named, looked: Sample, places: Mapping[str, int]) -> None:
    """What somebody should look at before the service starts."""
    most = max(places, key=lambda place: places[place], default=named.place)
    if places.get(most, 0) >= ENOUGH and places.get(named.place, 0) * 2 < places[most]:
        prism, _, name = most.partition(":")
        desk.warn(
            f"Most records of this content are of {most}, not of {named.place}: was it"
            f" --name {name} --prism {prism}?"
        )
    if looked.strangers:
        desk.warn(
            f"{len(looked.strangers)} of the files looked at are no content, such as"
            f" {looked.strangers[0]}: the sweep reports such files and leaves them"
        )
    if looked.wrong:
        desk.warn(
            f"{looked.wrong} of {looked.hashed} files that were read do not hash to their names:"
            " verification puts such files into quarantine"
        )


def said(
    named: Named, shape: Shape, looked: Sample, places: Mapping[str, int], *, pretend: bool
) -> str:
    """What was done, and what comes next."""
    becomes = "would become" if pretend else "is"
    lines = [f"{shape.root} {becomes} the disk of the store {named.place}"]
    lines.append(f"{len(looked.files)} files of content were looked at")
    if shape.loose:
        moved = "would be renamed" if pretend else "are renamed"
        lines.append(f"{len(shape.loose)} folders {moved} into {shape.root / 'content'}")
    if places:
        lines.append(f"{places.get(named.place, 0)} of them are in the inventory as {named.place}")
    if named.is_configured:
        lines.append("The configuration has it already")
    else:
        entry = {
            "enabled": True,
            "name": named.name,
            "prism": named.prism,
            "root": str(shape.root),
        }
        lines += ["Add to the configuration:", "store = [", f"    {entry},", "]"]
    lines.append("When the service has started, its sweep makes the records that are missing")
    return "\n".join(lines)
