"""Commands that have clones read and hashed again: verify."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from attrs import asdict, frozen
from twisted.internet.task import deferLater

from oose.cli.arguments import DURATION, HASH, Parsed
from oose.cli.configuration import CONFIG
from oose.cli.counted import Tell, counted
from oose.cli.desk import Desk, fields, moment
from oose.cli.exits import FAILED, NOT_FOUND, UNAVAILABLE, CommandFailed
from oose.cli.hashes import FROM, asked_for
from oose.cli.opened import Opened, on_databases
from oose.cli.stores import AWAY, peers_known, peers_of, silent, store_named
from oose.counting import some
from oose.errors import OoseError, Unavailable
from oose.metadata.documents import Inventory
from oose.metadata.records import clones_of
from oose.peer import Peer
from oose.peers import PeerClient
from oose.peers.remote import VERIFYING
from oose.registry import Registry
from oose.settings.units import parse_size
from oose.together import together

RATE = Parsed("rate", parse_size)
AT_ONCE = 20  # hashes in one request to a store, which may have to read large files
LOOK = 1.0  # seconds between two looks at how far a store has come
WHOLE = 1_000_000  # of the bar
TRIES = 30  # looks for which it may say nothing
OK, ABSENT = "ok", "not there"


@frozen
class Answer:
    """What there is to say of the clone of `hash` on `store`, and `why`."""

    hash: str
    store: str
    status: str
    why: str = ""


@click.command("verify")
@click.argument("hashes", metavar="[HASH]...", type=HASH, nargs=-1)
@FROM
@click.option("--store", "name", metavar="NAME", help="Only the clones on this store.")
@click.option("--all", "everything", is_flag=True, help="All that the store has.")
@click.option(
    "--older-than", type=DURATION, help="With --all: not what was verified since, as 30d."
)
@click.option("--rate", type=RATE, help="With --all: bytes a second, as 200MB; 0 is no limit.")
@click.option("--stop", is_flag=True, help="With --all: stop it instead.")
@CONFIG
@click.pass_obj
def verify_command(
    desk: Desk,
    hashes: tuple[str, ...],
    source: str | None,
    name: str | None,
    older_than: int | None,
    rate: int | None,
    config: str | None,
    *,
    everything: bool,
    stop: bool,
) -> None:
    """Have clones read and hashed again. What is not whole goes to quarantine.

    With --all the store goes on by itself when this command is interrupted; the same command
    again shows how far it has come.
    """
    if everything:
        if name is None or hashes or source is not None:
            raise click.UsageError("--all needs --store, and no hashes")
        wish = {"olderThan": older_than, "rate": rate}
        verify_store(desk, config, name, None if stop else wish)
        return
    if stop or older_than is not None or rate is not None:
        raise click.UsageError("--older-than, --rate and --stop go with --all")
    wanted = asked_for(hashes, source)
    with counted(desk, "Verifying", len(wanted)) as tell:
        answers = on_databases(config, lambda opened: verified(opened, wanted, name, tell))
    show(desk, answers)


# Some clones.


async def verified(
    opened: Opened, wanted: Sequence[str], name: str | None, tell: Tell
) -> Sequence[Answer]:
    """What becomes of the clones of each, as many at a time as one request has."""
    registry, peers = await peers_known(opened), peers_of(opened)
    only = await store_named(registry, name) if name is not None else None
    answers: list[Answer] = []
    for start in range(0, len(wanted), AT_ONCE):
        hashes = wanted[start : start + AT_ONCE]
        if only is not None:
            places: Mapping[str, Sequence[str]] = {only.place: hashes}
        else:
            places = await where(opened.databases.inventory, hashes)
        asked = [ask(registry, peers, place, those) for place, those in sorted(places.items())]
        found = [answer for each in await together(asked) for answer in each]
        known = {answer.hash for answer in found}
        absent = [Answer(each, "", ABSENT) for each in hashes if each not in known]
        order = {content_hash: number for number, content_hash in enumerate(hashes)}
        answers += sorted([*found, *absent], key=lambda each: (order[each.hash], each.store))
        tell(start + len(hashes), len(answers))
    return answers


async def where(inventory: Inventory, hashes: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Which of the hashes each store has a record of, by its place."""
    found = await inventory.under([clones_of(each) for each in hashes])
    places: dict[str, list[str]] = {}
    for each in hashes:
        for document in found[clones_of(each)]:
            places.setdefault(document.id.partition(":")[2], []).append(each)
    return places


async def ask(
    registry: Registry, peers: PeerClient, place: str, hashes: Sequence[str]
) -> Sequence[Answer]:
    """Ask one store."""
    store = registry.serving(place)
    if store is None:
        return [Answer(each, place, AWAY, "the store is not available") for each in hashes]
    try:
        asked = {"hash": list(hashes)}
        told = await peers.ask(store.url, "/content/verify", asked, patience=VERIFYING)
    except OoseError as error:
        return [Answer(each, place, AWAY, error.message) for each in hashes]
    return list(understood(place, hashes, told))


def understood(place: str, hashes: Sequence[str], told: Mapping[str, Any]) -> Iterator[Answer]:
    """What a store has told of each."""
    for each in hashes:
        about = told.get(each)
        if isinstance(about, Mapping) and isinstance(about.get("status"), str):
            yield Answer(each, place, about["status"], str(about.get("error") or ""))
        else:
            yield Answer(each, place, AWAY, "its answer cannot be understood")


def show(desk: Desk, answers: Sequence[Answer]) -> None:
    """Say it all; `CommandFailed` where something is not as it should be."""
    rows = [(each.hash, each.store, each.status, each.why) for each in answers]
    desk.table([asdict(each) for each in answers], ("hash", "store", "is", ""), rows)
    bad = {each.status for each in answers} - {OK}
    if not bad:
        return
    count = sum(each.status != OK for each in answers)
    code = FAILED
    if bad <= {ABSENT, AWAY}:
        code = NOT_FOUND if bad == {ABSENT} else UNAVAILABLE
    raise CommandFailed(
        f"Not whole, or not known to be: {count} of {some(len(answers), 'clone')}", code
    )


# All that a store has.


def verify_store(
    desk: Desk, config: str | None, name: str, wish: Mapping[str, int | None] | None
) -> None:
    """Have a store verify all it has, and wait for it; without a wish stop it."""
    with counted(desk, f"Verifying {name}", WHOLE) as tell:
        said = on_databases(config, lambda opened: reviewed(opened, name, wish, tell))
    known = {key: each for key, each in said.items() if each is not None}
    times = {key: moment(known[key]) for key in ("since",) if key in known}
    why = known.pop("error", None)
    desk.table(said, ("what", "is"), fields({**known, **times}))
    if said["state"] == AWAY:
        if not desk.as_json:
            desk.warn(f"{said['store']}: {why}")
        raise CommandFailed("Not asked: 1 store", UNAVAILABLE)
    if wish is None:
        return
    if said["state"] == "none":
        raise CommandFailed(
            f"{name} was started anew meanwhile, and its disk did not keep what was asked: what it"
            " has verified is noted, and --older-than leaves that out"
        )
    bad = said["corrupt"] + said["missing"] + said["failed"]
    if bad or said["state"] != "done":
        raise CommandFailed(f"Not whole, or not known to be: {some(bad, 'file')}; {said['state']}")


async def reviewed(
    opened: Opened, name: str, wish: Mapping[str, int | None] | None, tell: Tell
) -> Mapping[str, Any]:
    """What came of it."""
    store: Peer = await store_named(await peers_known(opened), name)
    peers = peers_of(opened)
    if wish is None:
        return await told(opened, peers, store, "stop", {})
    given = {key: each for key, each in wish.items() if each is not None}
    said = await told(opened, peers, store, "start", given)
    silences = 0
    while said["state"] == "begun":
        tell(int(said["passed"] * WHOLE), said["ok"])
        await deferLater(opened.reactor, LOOK)
        now = await told(opened, peers, store, "status", {})
        silences = silences + 1 if now["state"] == AWAY else 0
        said = said if 0 < silences <= TRIES else now
    return said


async def told(
    opened: Opened, peers: PeerClient, store: Peer, what: str, given: Mapping[str, int]
) -> Mapping[str, Any]:
    """What the store says to that."""
    try:
        return await peers.ask(store.url, f"/verification/{what}", given)
    except Unavailable as error:
        return silent(opened, store, error)
