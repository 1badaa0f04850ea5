"""How content and its clones are shown: a line each, or one content with all that is known."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.filesize import decimal

from oose.cli.desk import Desk, fields, moment
from oose.cli.peers import word
from oose.cli.workshop import Books
from oose.contents import Content
from oose.demand.note import Note
from oose.metadata.records import InventoryRecord
from oose.peer import Peer
from oose.registry import Registry
from oose.settings.model import CloneSettings
from oose.tending.picking import Picked
from oose.tombstones import is_buried

HASH_WIDTH = 40  # of sha1, as most are
COLUMNS = ("place", "machine", "group", "is", "path", "size", "verified", "note")


def head() -> str:
    """Above the lines."""
    return f"{'hash':{HASH_WIDTH}}  {'size':>9}  {'clones':>6}  {'wanted':>6}  where"


def line(picked: Picked, settings: CloneSettings) -> str:
    """One content: a number in brackets is not wished, but usual; a store in brackets is away."""
    wished = picked.content.wanted
    wanted = f"({settings.minimum})" if wished is None else str(wished)
    counting = {each.place for each in picked.counting}
    where = [each if each in counting else f"({each})" for each in picked.places]
    size, count = decimal(picked.size), len(picked.counting)
    shown = " ".join(where) or "nowhere"
    return f"{picked.hash:{HASH_WIDTH}}  {size:>9}  {count:>6}  {wanted:>6}  {shown}"


def as_json(picked: Picked) -> Mapping[str, Any]:
    """The same for a program."""
    return {
        "hash": picked.hash,
        "size": picked.size,
        "clones": len(picked.counting),
        "wanted": picked.content.wanted,
        "protected": picked.content.protected,
        "where": [each.place for each in picked.counting],
        "away": [each for each in picked.places if each not in {r.place for r in picked.counting}],
    }


def show(desk: Desk, books: Books, content: Content, records: Sequence[InventoryRecord]) -> None:
    """One content with all of its clones."""
    about, registry = described(books, content, records), books.registry
    places = [where(each, content, registry) for each in records]
    if desk.as_json:
        clones = [{**r.to_body(), **each} for r, each in zip(records, places, strict=True)]
        desk.result({**about, "where": clones}, "")
        return
    rows = fields({name: each for name, each in about.items() if each is not None})
    desk.table(about, ("what", "is"), rows)
    if records:
        desk.result(None, "")
        found = zip(records, places, strict=True)
        desk.table(places, COLUMNS, [row(record, each) for record, each in found])


def described(
    books: Books, content: Content, records: Sequence[InventoryRecord]
) -> Mapping[str, Any]:
    """What is known of it beside where it is."""
    settings, now = books.settings.clones, books.now()
    alive = [each for each in records if not is_buried(content, each.created)]
    demand = Note.parse(content.demand)
    first = records[0] if records else None
    return {
        "hash": content.hash,
        "type": first and first.mime_type,
        "size": first and first.size,
        "sha256": next((each.sha256 for each in records if each.sha256 is not None), None),
        "clones": len(books.existence.counting(alive)),
        "wanted": content.wanted,
        "usual": settings.minimum,
        "demand": {"perMinute": demand.asked(now), "clones": demand.clones(settings, now)},
        "protected": content.protected,
        "removed": None if content.removed is None else moment(content.removed),
    }


def where(record: InventoryRecord, content: Content, registry: Registry) -> Mapping[str, str]:
    """Where a clone is, and how it is with it."""
    peer = registry.store(record.place)
    if is_buried(content, record.created):
        standing = "removed"
    elif peer is None:
        standing = "unknown"
    else:
        standing = serving(peer, registry)
    return {
        "place": record.place,
        "machine": peer.machine if peer is not None else "",
        "group": peer.group if peer is not None else "",
        "is": standing,
    }


def serving(store: Peer, registry: Registry) -> str:
    """Whether its clones can be had, in the words of `oose peer list`."""
    if registry.serving(store.place) is not None:
        return "available"
    return "unavailable" if store.counts else word(store)  # it counts, but not its prism


def row(record: InventoryRecord, place: Mapping[str, str]) -> Sequence[str]:
    """A clone in the table."""
    verified = "never" if record.verified is None else moment(record.verified)
    return (
        *place.values(),
        record.relative_path,
        str(record.size),
        verified,
        record.note or "",
    )
