"""Commands on the peers of a cluster: the administrator's word on them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import click

from oose.cli.configuration import CONFIG, read_configuration
from oose.cli.couchdb import asked_of_couchdb
from oose.cli.desk import Desk, fields
from oose.cli.exits import NOT_FOUND, CommandFailed
from oose.cli.users import run_now
from oose.couchdb import CouchDocuments
from oose.embedded import EmbeddedDatabase, EmbeddedDocuments
from oose.embedded.database import FILE_NAME
from oose.errors import NotFound
from oose.peer import Peer
from oose.pool import Inline
from oose.registry import Registry
from oose.settings import Settings

T = TypeVar("T")
Work = Callable[[Registry], Awaitable[T]]


@click.group("peer")
def peer_group() -> None:
    """List prisms and stores, and say which count.

    NAME is a store's or a prism's name, or as the list has it: store:prism1:store1.
    """


@peer_group.command("list")
@CONFIG
@click.pass_obj
def list_command(desk: Desk, config: str | None) -> None:
    """List the peers."""
    peers = on_registry(config, everybody)
    value = [described(each) for each in peers]
    rows = [(p.id, p.url, p.group, p.machine, word(p), room(p)) for p in peers]
    desk.table(value, ("peer", "url", "group", "machine", "is", "free"), rows)


@peer_group.command("show")
@click.argument("name")
@CONFIG
@click.pass_obj
def show_command(desk: Desk, name: str, config: str | None) -> None:
    """Show all that is known of one peer."""
    peer = on_registry(config, lambda registry: named(registry, name))
    value = described(peer)
    desk.table(value, ("what", "is"), fields(value))


@peer_group.command("activate")
@click.argument("name")
@CONFIG
@click.pass_obj
def activate_command(desk: Desk, name: str, config: str | None) -> None:
    """Let a peer count, as long as it is available."""
    order(desk, config, name, lambda registry, peer: registry.activate(peer.id), "is active")


@peer_group.command("deactivate")
@click.argument("name")
@CONFIG
@click.pass_obj
def deactivate_command(desk: Desk, name: str, config: str | None) -> None:
    """Let a peer count no more: nobody asks it for anything. Nothing on it is touched."""
    order(desk, config, name, lambda registry, peer: registry.deactivate(peer.id), "is not active")


@peer_group.command("writable")
@click.argument("name")
@click.option("--yes/--no", "writable", default=True, help="Whether it takes new content.")
@CONFIG
@click.pass_obj
def writable_command(desk: Desk, name: str, config: str | None, *, writable: bool) -> None:
    """Let a store take new content, or with --no none; what it has is read all the same."""
    says = "takes new content" if writable else "takes nothing new"
    order(desk, config, name, lambda registry, peer: registry.set_writable(peer.id, writable), says)


@peer_group.command("remove")
@click.argument("name")
@CONFIG
@click.pass_obj
def remove_command(desk: Desk, name: str, config: str | None) -> None:
    """Forget a peer that will not come back. One that runs must be stopped before."""

    async def remove(registry: Registry) -> Peer:
        peer = await named(registry, name)
        if peer.available:
            raise CommandFailed(f"{peer.id} is running: stop it before")
        await registry.remove(peer.id)
        return peer

    peer = on_registry(config, remove)
    desk.result(described(peer), f"{peer.id} is removed")


# Behind the commands.


def order(
    desk: Desk,
    config: str | None,
    name: str,
    give: Callable[[Registry, Peer], Awaitable[Peer]],
    says: str,
) -> None:
    """Give an order about one peer, and tell how it is now."""

    async def work(registry: Registry) -> Peer:
        return await give(registry, await named(registry, name))

    peer = on_registry(config, work)
    desk.result(described(peer), f"{peer.id} {says}")


async def everybody(registry: Registry) -> list[Peer]:
    """All peers, by id."""
    return list(registry.peers())


async def named(registry: Registry, name: str) -> Peer:
    """The peer that is meant; `NotFound`, or `CommandFailed` where it could be several."""
    found = [peer for peer in registry.peers() if name in {peer.id, peer.place, peer.name}]
    if not found:
        raise NotFound(f"There is no peer {name!r}: `oose peer list` has all")
    if len(found) > 1:
        ids = ", ".join(peer.id for peer in found)
        raise CommandFailed(f"{name!r} may be any of {ids}: say which")
    return found[0]


def on_registry(config: str | None, work: Work[T]) -> T:
    """Do `work` on the peers that the configuration's database knows."""
    settings = read_configuration(config)
    if settings.couchdb is None:
        return run_now(in_file(settings, work))
    return asked_of_couchdb(
        settings,
        settings.couchdb,
        lambda client: loaded(Registry(CouchDocuments(client, "peer")), work),
    )


async def in_file(settings: Settings, work: Work[T]) -> T:
    """Do `work` on the peers in the embedded database."""
    path = settings.root / FILE_NAME
    if not path.exists():
        raise CommandFailed(
            f"{path} is not there: nothing has run here yet. Is this the configuration meant?",
            NOT_FOUND,
        )
    here = Inline()
    database = EmbeddedDatabase(path, writer=here, readers=here)
    await database.open()
    try:
        return await loaded(Registry(EmbeddedDocuments(database, "peer")), work)
    finally:
        await database.close()


async def loaded(registry: Registry, work: Work[T]) -> T:
    """Do `work` on what is in the database now."""
    await registry.load()
    return await work(registry)


def described(peer: Peer) -> Mapping[str, Any]:
    """A peer as JSON: its document."""
    return {"id": peer.id, **peer.to_body()}


def word(peer: Peer) -> str:
    """How it stands with a peer, in a word or two."""
    if not peer.active:
        return "deactivated"
    if not peer.available:
        return "voted down" if peer.voted else "unavailable"
    return "available" if peer.writable else "available, read only"


def room(peer: Peer) -> str:
    """What is free on a store."""
    return f"{peer.free / 1e9:.1f} GB" if peer.kind == "store" else ""
