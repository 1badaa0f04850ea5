"""Commands on stores: list, drain."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import click
from attrs import asdict
from rich.filesize import decimal

from oose.cli.configuration import CONFIG
from oose.cli.counted import counted
from oose.cli.desk import Desk
from oose.cli.exits import UNAVAILABLE, CommandFailed
from oose.cli.peers import word
from oose.cli.stores import store_named
from oose.cli.tended import WHOLE, Job, Ways, works
from oose.cli.workshop import Books, Workshop, on_books, on_workshop
from oose.counting import some
from oose.membership import ALONE
from oose.metadata.documents import END, Inventory
from oose.peer import Peer
from oose.tending.draining import Draining, Left
from oose.tending.picking import PAGE, fraction, place_of
from oose.tending.placing import Off

TOGETHER = 2.0  # seconds in which all of a cluster know what is written of a peer
COLUMNS = ("store", "machine", "group", "is", "capacity", "free", "full", "clones")


@click.group("store")
def store_group() -> None:
    """List stores with how full they are, or empty one.

    NAME is a store's name, or as the list has it: prism1:store1.
    """


@store_group.command("list")
@click.option("--count", is_flag=True, help="Count their clones too: that reads all records.")
@CONFIG
@click.pass_obj
def list_command(desk: Desk, config: str | None, *, count: bool) -> None:
    """List the stores and how full they are."""

    async def work(books: Books) -> tuple[Sequence[Peer], Mapping[str, int] | None]:
        stores = [each for each in books.registry.peers() if each.kind == "store"]
        inventory = books.opened.databases.inventory
        return stores, await clones_on(desk, inventory) if count else None

    stores, clones = on_books(config, work)
    value = [described(each, clones) for each in stores]
    columns = COLUMNS if count else COLUMNS[:-1]
    desk.table(value, columns, [row(each, clones) for each in stores])


@store_group.command("drain")
@click.argument("name")
@click.option("--keep-writable", is_flag=True, help="Let it take new content meanwhile.")
@works
@CONFIG
@click.pass_obj
def drain_command(
    desk: Desk, name: str, ways: Ways, config: str | None, *, keep_writable: bool
) -> None:
    """Empty a store before its disk is pulled. It takes nothing new from then on.

    Each clone goes when as many others as wanted are there and verified; those that are missing are
    made before. What is protected is made up for elsewhere, and stays. It may be stopped at any
    time and goes on when it is run again. At the end it says whether the disk can go.
    """
    job = Job(desk, ways, f"Emptying {name}")

    async def work(workshop: Workshop) -> None:
        peer = await store_named(workshop.registry, name)
        if workshop.registry.serving(peer.place) is None:
            raise CommandFailed(
                f"{peer.place} is not available, so nothing can be read there: when it is"
                f" deactivated (`oose peer deactivate {name}`) repair makes up for what it has",
                UNAVAILABLE,
            )
        pause = 0.0
        if not (ways.pretend or keep_writable):
            await workshop.registry.set_writable(peer.id, False)
            pause = pause_after(peer, is_cluster=workshop.settings.is_cluster)
        await drain(workshop, job, peer.place, pause)
        if not ways.pretend and not keep_writable:
            job.lines.append(f"It takes nothing new; `oose peer writable {name}` lets it again")

    with job.summed_up():
        on_workshop(config, desk, work, asks_stores=not ways.pretend)


# Behind the commands.


async def drain(workshop: Workshop, job: Job, place: str, pause: float) -> None:
    """Empty a store, and say what is left."""
    reactor = workshop.opened.reactor
    deed = Off(workshop.clones, workshop.repair, place, workshop.now())
    with job.bar() as passed:
        draining = Draining(
            place,
            workshop.picking(job.ways.block),
            lambda: job.round(deed, passed),
            reactor.seconds() + pause,
            reactor,
            lambda seconds: job.say(
                f"waiting {seconds:.0f} s, until all know that it takes nothing new"
            ),
        )
        with job.under_way(reactor, draining):
            await draining.run()
            if job.ways.pretend:
                return
            if draining.is_stopping:
                job.lines.append("The same command goes on with the rest")
                return
            left = await draining.left(workshop.settings.clones)
    job.more["left"] = asdict(left)
    job.lines += verdict(place, left)
    job.wrong += not left.is_safe


def pause_after(peer: Peer, *, is_cluster: bool) -> float:
    """How long (s) it may take until nobody sends it anything any more."""
    if not peer.writable:
        return 0.0
    return TOGETHER if is_cluster else ALONE


def verdict(place: str, left: Left) -> Sequence[str]:
    """Whether the disk can go, and what to do then."""
    name = place.partition(":")[2]
    contents = some(left.contents, "content")
    if not left.is_safe:
        alone = f", {left.alone} of them nowhere else" if left.alone else ""
        return (
            f"The disk of {place} cannot be pulled yet: {contents} on it{alone}",
            "The same command tries again what failed",
        )
    stay = f"Nothing is left on {place}"
    if left.contents:
        stay = f"What stays on {place} ({contents}, protected) is on others as wanted"
    return (
        f"{stay}: its disk can be pulled. What comes next:",
        f"  oose peer deactivate {name}   # nobody asks it any more",
        "  take it out of its service's configuration and restart that, or stop it",
        f"  oose peer remove {name}       # it is forgotten",
    )


async def clones_on(desk: Desk, inventory: Inventory) -> Mapping[str, int]:
    """How many records each store has."""
    found: Counter[str] = Counter()
    start = ""
    with counted(desk, "Counting", WHOLE) as tell:
        while True:
            page = await inventory.range(start, END, limit=PAGE)
            found.update(place_of(each.id) for each in page)
            if len(page) < PAGE:
                return found
            start = page[-1].id + "\0"
            tell(int((fraction(page[-1].id) or 0.0) * WHOLE), found.total())


def described(peer: Peer, clones: Mapping[str, int] | None) -> Mapping[str, Any]:
    """A store for a program; bytes, and `full` from 0 to 1."""
    value = {
        "store": peer.place,
        "machine": peer.machine,
        "group": peer.group,
        "is": word(peer),
        "capacity": peer.capacity,
        "free": peer.free,
        "full": round(full(peer.capacity, peer.free), 4),
    }
    return value if clones is None else {**value, "clones": clones.get(peer.place, 0)}


def row(peer: Peer, clones: Mapping[str, int] | None) -> Sequence[str]:
    """The same in the table."""
    shown = (
        peer.place,
        peer.machine,
        peer.group,
        word(peer),
        decimal(peer.capacity),
        decimal(peer.free),
        f"{full(peer.capacity, peer.free):.1%}",
    )
    return shown if clones is None else (*shown, str(clones.get(peer.place, 0)))


def full(capacity: int, free: int) -> float:
    """How full a disk is, from 0 to 1."""
    return (capacity - free) / capacity if capacity else 0.0
