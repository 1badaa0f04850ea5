"""Commands on the clones of content: list, show, set, to, off, verify."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing

import click
from attrs import evolve

from oose.cli.arguments import HASH, Parsed
from oose.cli.choosing import Asked, Named, chooses, named
from oose.cli.clone_tables import as_json, head, line, show
from oose.cli.configuration import CONFIG, read_configuration
from oose.cli.desk import Desk
from oose.cli.exits import FAILED
from oose.cli.stores import store_named
from oose.cli.tended import BLOCK_OPTION, Job, Ways, works
from oose.cli.workshop import Books, Workshop, on_books, on_workshop
from oose.contents import Content
from oose.errors import NotFound
from oose.tending.deed import Deed
from oose.tending.picking import Choice
from oose.tending.placing import Off, Onto
from oose.tending.reading import Reading
from oose.tending.wishing import Wishing

USUAL = "usual"
MOST = 1000  # clones
Make = Callable[[Workshop, Choice], Awaitable[Deed]]


def parse_count(value: str) -> int | None:
    """How many clones; None for as many as usual."""
    if value == USUAL:
        return None
    if value.isascii() and value.isdigit() and 1 <= int(value) <= MOST:
        return int(value)
    raise ValueError(f"a number from 1 to {MOST}, or {USUAL}")


@click.group("clones")
def clones_group() -> None:
    """List clones of content, make more, remove, move and verify them.

    Which content is meant is said by options: those by hash name it, the others leave out of that,
    or of all there is, what they do not fit. Works on the databases that the configuration names,
    and with the stores that run.
    """


@clones_group.command("list")
@chooses
@BLOCK_OPTION
@CONFIG
@click.pass_obj
def list_command(desk: Desk, asked: Asked, config: str | None, block: int) -> None:
    """List content with its clones: all there is, unless options say which.

    A wanted number in brackets is the usual one, a store in brackets is not available. With --json
    each line is an object, which --from takes again.
    """
    asked.check(may_be_all=True)
    settings = read_configuration(config)

    async def work(books: Books, found: Named | None) -> None:
        choice = await asked.choice(books.registry)
        if not desk.as_json:
            desk.result(None, head())
        async with aclosing(books.picking(block).pick(choice, found)) as blocks:
            async for each in blocks:
                for picked in each.picked:
                    desk.result(as_json(picked), line(picked, settings.clones))

    with named(desk, asked, settings.default_hash_type) as found:
        on_books(config, lambda books: work(books, found))
        unread = found.unread if found is not None else 0
    if unread:
        raise click.exceptions.Exit(FAILED)


@clones_group.command("show")
@click.argument("content_hash", metavar="HASH", type=HASH)
@CONFIG
@click.pass_obj
def show_command(desk: Desk, content_hash: str, config: str | None) -> None:
    """Show all that is known of one content and of each of its clones."""

    async def work(books: Books) -> None:
        content = await books.contents.get(content_hash)
        records = await books.existence.records(content_hash, fresh=True)
        if not records and content == Content(content_hash):
            raise NotFound(f"{content_hash} was not found")
        show(desk, books, content, records)

    on_books(config, work)


@clones_group.command("set")
@click.argument("count", metavar="N|usual", type=Parsed("number of clones", parse_count))
@chooses
@click.option("--later", is_flag=True, help="Only note it; repair does the rest in its time.")
@works
@CONFIG
@click.pass_obj
def set_command(
    desk: Desk, count: int | None, asked: Asked, ways: Ways, config: str | None, *, later: bool
) -> None:
    """Say how many clones content is to have, and make or remove some until it has.

    It is noted, so that repair keeps to it; `usual` takes that back. What is protected loses no
    clone, and what viewers ask for often may have more.
    """

    async def make(workshop: Workshop, choice: Choice) -> Deed:
        reactor = workshop.opened.reactor
        return Wishing(workshop.contents, workshop.repair, reactor, count, later)

    act(desk, config, asked, ways, "Setting", make, asks_stores=not later)


@clones_group.command("to")
@click.argument("store", metavar="STORE")
@chooses
@works
@CONFIG
@click.pass_obj
def to_command(desk: Desk, store: str, asked: Asked, ways: Ways, config: str | None) -> None:
    """Make one more clone on a store.

    So that it stays, it is noted that so many are wanted, where that is more than usual.
    """

    async def make(workshop: Workshop, choice: Choice) -> Deed:
        peer = await store_named(workshop.registry, store)
        return Onto(workshop.clones, workshop.repair, peer.place)

    act(desk, config, asked, ways, "Cloning", make)


@clones_group.command("off")
@click.argument("store", metavar="STORE")
@chooses
@works
@CONFIG
@click.pass_obj
def off_command(desk: Desk, store: str, asked: Asked, ways: Ways, config: str | None) -> None:
    """Move clones off a store: as many as wanted are on others before, and verified.

    With --all it is emptied, but may get new content: see `oose store drain`.
    """

    async def make(workshop: Workshop, choice: Choice) -> Deed:
        peer = await store_named(workshop.registry, store)
        return Off(workshop.clones, workshop.repair, peer.place, workshop.now())

    act(desk, config, asked, ways, "Moving", make, only=store)


@clones_group.command("verify")
@chooses
@works
@CONFIG
@click.pass_obj
def verify_command(desk: Desk, asked: Asked, ways: Ways, config: str | None) -> None:
    """Have clones read and hashed again, with --store or --prism only those there.

    A corrupt one goes into quarantine, and repair makes another.
    """

    async def make(workshop: Workshop, choice: Choice) -> Deed:
        return Reading(workshop.keepers, choice)

    act(desk, config, asked, ways, "Verifying", make)


# Behind the commands.


def act(
    desk: Desk,
    config: str | None,
    asked: Asked,
    ways: Ways,
    what: str,
    make: Make,
    *,
    only: str | None = None,
    asks_stores: bool = True,
) -> None:
    """Do what `make` makes to all that is asked for; with `only` to what is on that store."""
    asked.check()
    settings = read_configuration(config)
    job = Job(desk, ways, what)

    async def work(workshop: Workshop, found: Named | None) -> None:
        choice = await asked.choice(workshop.registry)
        deed = await make(workshop, choice)
        if only is not None and found is None and not choice.stores:
            peer = await store_named(workshop.registry, only)
            choice = evolve(choice, stores=frozenset([peer.place]))
        with job.bar() as passed:
            this = job.round(deed, passed)
            with job.under_way(workshop.opened.reactor, this):
                await this.run(workshop.picking(ways.block).pick(choice, found))

    with named(desk, asked, settings.default_hash_type) as found, job.summed_up():
        job.wrong = found.unread if found is not None else 0
        on_workshop(
            config,
            desk,
            lambda workshop: work(workshop, found),
            asks_stores=asks_stores and not ways.pretend,
        )
