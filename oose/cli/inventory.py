"""Commands that have stores sweep their disks, so that disk and inventory agree."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.filesize import decimal
from twisted.internet.task import deferLater

from oose.cli.configuration import CONFIG
from oose.cli.counted import Tell, counted
from oose.cli.desk import Desk
from oose.cli.exits import FAILED, UNAVAILABLE, CommandFailed
from oose.cli.opened import Opened, on_databases
from oose.cli.stores import AWAY, peers_known, peers_of, silent, store_named
from oose.counting import some
from oose.errors import OoseError
from oose.peer import Peer
from oose.peers import PeerClient
from oose.registry import Registry
from oose.sweeping.listing import DRIVERS
from oose.together import together

LOOK = 1.0  # seconds between two looks at how far stores are
WHOLE = 1_000_000  # of the bar
TRIES = 30  # looks for which a store may say nothing
SCAN, STATUS = "/inventory/scan", "/inventory/status"
NUMBERS = {  # as the table has them
    "made": "recorded",
    "corrected": "corrected",
    "removed": "gone",
    "corrupt": "corrupt",
    "buried": "removed before",
    "duplicates": "twice",
    "foreign": "foreign",
    "unreadable": "not read",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
Said = Mapping[str, Any]


@click.group("inventory")
def inventory_group() -> None:
    """Have stores sweep their disks, so that disk and inventory agree.

    Files without a record get one, records without a file go. STORE is a store's name, or
    prism1:store1; all stores where none is named.
    """


@inventory_group.command("scan")
@click.argument("names", metavar="[STORE]...", nargs=-1)
@click.option(
    "--driver",
    type=click.Choice(DRIVERS),
    default="auto",
    show_default=True,
    help="How disks are listed: by find, or by the store itself.",
)
@click.option("--fast", is_flag=True, help="Keep to no limits of the configuration.")
@click.option(
    "--empty",
    is_flag=True,
    help="Remove records also where nearly all files are gone: the disk is the right one.",
)
@CONFIG
@click.pass_obj
def scan_command(
    desk: Desk,
    names: tuple[str, ...],
    driver: str,
    config: str | None,
    *,
    fast: bool,
    empty: bool,
) -> None:
    """Sweep disks now, and wait for it.

    A sweep that is under way is joined. Stores go on by themselves when this is interrupted.
    """
    if empty and not names:
        raise click.UsageError("--empty is for stores that are named")
    wish = {"driver": driver, "fast": fast, "empty": empty}
    with counted(desk, "Sweeping", WHOLE) as tell:
        said = on_databases(config, lambda opened: swept(opened, names, wish, tell))
    show(desk, said)


@inventory_group.command("status")
@click.argument("names", metavar="[STORE]...", nargs=-1)
@CONFIG
@click.pass_obj
def status_command(desk: Desk, names: tuple[str, ...], config: str | None) -> None:
    """Tell how far sweeps are, or how the last ones ended."""
    show(desk, on_databases(config, lambda opened: asked(opened, names)), is_over=False)


# Behind the commands.


async def asked(opened: Opened, names: Sequence[str]) -> Sequence[Said]:
    """What stores say of their sweeps."""
    stores, peers = await stores_meant(await peers_known(opened), names), peers_of(opened)
    return await together(ask(opened, peers, each, STATUS, {}) for each in stores)


async def swept(
    opened: Opened, names: Sequence[str], wish: Mapping[str, Any], tell: Tell
) -> Sequence[Said]:
    """What they say when all are done."""
    stores, peers = await stores_meant(await peers_known(opened), names), peers_of(opened)
    said = await together(ask(opened, peers, each, SCAN, wish) for each in stores)
    silent = dict.fromkeys((each.place for each in stores), 0)
    while any(each["state"] == "running" for each in said):
        tell(*passed(said))
        await deferLater(opened.reactor, LOOK)
        said = await together(
            look(opened, peers, *each, silent) for each in zip(stores, said, strict=True)
        )
    return said


async def look(
    opened: Opened, peers: PeerClient, store: Peer, before: Said, silent: dict[str, int]
) -> Said:
    """What a store says now; for a while what it said before where it says nothing."""
    if before["state"] != "running":
        return before
    now = await ask(opened, peers, store, STATUS, {})
    silent[store.place] = silent[store.place] + 1 if now["state"] == AWAY else 0
    return before if 0 < silent[store.place] <= TRIES else now


async def ask(
    opened: Opened, peers: PeerClient, store: Peer, path: str, fields: Mapping[str, Any]
) -> Said:
    """Ask one store."""
    try:
        said = await peers.ask(store.url, path, fields)
    except OoseError as error:
        return silent(opened, store, error)
    if not isinstance(said.get("state"), str):
        return {"store": store.place, "state": AWAY, "error": "its answer cannot be understood"}
    return {**said, "store": store.place}


async def stores_meant(registry: Registry, names: Sequence[str]) -> Sequence[Peer]:
    """The stores that are named, else all that are not deactivated."""
    if names:
        return [await store_named(registry, each) for each in dict.fromkeys(names)]
    return [each for each in registry.peers() if each.kind == "store" and each.active]


def passed(said: Sequence[Said]) -> tuple[int, int]:
    """How much of all slices is done, as the bar has it, and how many files that were."""
    known = [each for each in said if each["state"] != AWAY]
    done = sum(each["slice"] if each["state"] == "running" else each["slices"] for each in known)
    return WHOLE * done // sum(each["slices"] for each in known), sum(e["files"] for e in known)


# What came of it.


def show(desk: Desk, said: Sequence[Said], *, is_over: bool = True) -> None:
    """Say it all; `CommandFailed` where something went wrong."""
    columns = ("store", "is", "files", "size", "files/s", *NUMBERS.values())
    desk.table(list(said), columns, [row(each) for each in said])
    if not desk.as_json:
        for line in (each for some_said in said for each in remarks(some_said)):
            desk.warn(line)
    away = [each for each in said if each["state"] == AWAY]
    if away:
        raise CommandFailed(f"Not asked: {some(len(away), 'store')}", UNAVAILABLE)
    bad = [each for each in said if each["unreadable"] or each["state"] != "finished"]
    if is_over and bad:
        raise CommandFailed(f"Not wholly swept: {some(len(bad), 'store')}", FAILED)


def row(said: Said) -> tuple[str, ...]:
    """A store in the table."""
    if said["state"] == AWAY:
        return (said["store"], AWAY, *[""] * (len(NUMBERS) + 3))
    counts = [str(said[each] or "") for each in NUMBERS]
    return (
        said["store"],
        state(said),
        f"{said['files']:,}",
        decimal(said["bytes"]),
        f"{said['rate']:,.0f}",
        *counts,
    )


def state(said: Said) -> str:
    """How it stands, in a few words."""
    part = f"{100 * said['slice'] // said['slices']}%"
    if said["state"] == "finished":
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(said["finishedAt"] / 1000))
        return f"finished {when}"
    words = {"running": part, "interrupted": f"interrupted at {part}"}
    return words.get(said["state"], str(said["state"]))


def remarks(said: Said) -> Iterator[str]:
    """What somebody should look at."""
    place = said["store"]
    if said.get("error"):
        yield f"{place}: {shown(said['error'])}"
    for kind, names in sorted((said.get("named") or {}).items()):
        for name in names:
            yield f"{place}: {NUMBERS.get(kind, kind)}: {shown(name)}"
        more = said[kind] - len(names)
        if more > 0:
            yield f"{place}: {NUMBERS.get(kind, kind)}: {more:,} more"


def shown(text: str) -> str:
    """A name as a terminal can have it: names of files may hold anything."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
