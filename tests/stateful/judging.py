"""What is never otherwise, and what is so after quiet time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from oose.contents import Content
from oose.metadata.records import InventoryRecord
from oose.tombstones import is_buried
from tests.stateful.expected import RECENT, Expected
from tests.stateful.harming import good
from tests.stateful.process import CLONES
from tests.stateful.shelves import Shelf
from tests.unit.at_once import at_once

if TYPE_CHECKING:
    from tests.stateful.world import World


# At any time.


def look(world: "World") -> None:
    """Raise `AssertionError` where something is as it never may be."""
    assert not world.hops.bugs, world.hops.bugs[0]
    for place, shelf in world.shelves.items():
        assert not shelf.lacks_foreign(), (place, shelf.lacks_foreign())
        if shelf.presence == "empty":
            there = [each.name for each in shelf.root.iterdir()]
            assert not there, (place, there)
    for content in world.contents:
        look_at(world, content)


def look_at(world: "World", content: Expected) -> None:
    left = good(world, content)
    if content.fate == "there" and not left and not content.is_destroyed:
        least = min(CLONES.minimum if wish is None else wish for wish in content.wishes)
        # Where each of those that were to stay was read just before, others may have gone.
        assert content.is_unlucky(least, world.looked - RECENT), f"{content.hash} is lost"
        content.is_destroyed = True
    if content.guarded is not None:
        assert content.guarded <= left, f"{content.hash} is protected: {content.guarded}, {left}"
    elif world.is_idle and content.protections == {True}:
        content.guarded = left


# After quiet time.


def judge(world: "World") -> list[str]:
    """What is not as it should be."""
    found: list[str] = []
    for place, shelf in world.shelves.items():
        if shelf.presence == "there":
            found += untidy(world, place, shelf)
    for content in world.contents:
        found += [f"{content.data!r}: {each}" for each in wrong(world, content)]
    return found


def untidy(world: "World", place: str, shelf: Shelf) -> Iterator[str]:
    if world.are_all_new:
        for left in (shelf.root / "incoming").iterdir():
            yield f"{place}: {left.name} is left in incoming"
    for path in shelf.files():
        name = str(path.relative_to(shelf.content))
        if not shelf.is_foreign(path):
            [content] = [each for each in world.contents if path in shelf.copies(each.hash)]
            if place not in records(world, content):  # another file of it may have the record
                yield f"{place}: {name} has no record"


def records(world: "World", content: Expected) -> dict[str, InventoryRecord]:
    """By place."""
    documents = world.place.shared.inventory.now().values()
    found = [InventoryRecord.from_document(d) for d in documents if d.id.startswith(content.hash)]
    return {each.place: each for each in found}


def wrong(world: "World", content: Expected) -> Iterator[str]:
    known, whole = records(world, content), good(world, content)
    there = {place for place, shelf in world.shelves.items() if shelf.presence == "there"}
    serving = serving_stores(world)
    for place in known.keys() & there:
        yield from wrong_clone(world.shelves[place], known[place], content)
    if content.fate == "gone" or (content.fate == "either" and is_gone(world, content)):
        listed = known.keys() & there  # a removal that was cut short knows nothing of the others
        if whole & there or listed:
            yield f"is removed, and on {sorted(whole & there)}, listed on {sorted(listed)}"
    elif whole & serving:
        yield from miscounted(world, content, known.keys() & serving)


def serving_stores(world: "World") -> set[str]:
    """The stores that count."""
    return {
        place
        for place, shelf in world.shelves.items()
        if shelf.presence == "there" and not {place, place.partition(":")[0]} & world.inactive
    }


def wrong_clone(shelf: Shelf, record: InventoryRecord, content: Expected) -> Iterator[str]:
    path, place = shelf.content / record.relative_path, record.place
    if not path.exists():
        yield f"{place} has a record and no file"
    elif not content.is_good(path.read_bytes()):
        yield f"{place} has a corrupt file"
    elif record.size != len(content.data):
        yield f"{place} has a record of another size"
    elif record.verified is None:
        yield f"{place} has a file that was never verified"


def is_gone(world: "World", content: Expected) -> bool:
    """Whether no clone is left but those from before a removal, if there was one."""
    document = world.place.shared.content.now().get(content.hash)
    note = Content.from_document(document) if document else Content(content.hash)
    return all(is_buried(note, each.created) for each in records(world, content).values())


def miscounted(world: "World", content: Expected, live: set[str]) -> Iterator[str]:
    """`live` are the stores that count and have a clone."""
    serving = serving_stores(world)
    able = live | (serving - world.read_only)
    machines = {role.machine for role in world.roles for each in role.stores if each in able}
    most = len(machines) if len(machines) > 1 else len(able)
    count, is_protected = len(live), True in content.protections
    wishes = [CLONES.minimum if wish is None else wish for wish in content.wishes]
    if not any(min(wish, most) <= count and (count <= wish or is_protected) for wish in wishes):
        yield f"has {sorted(live)}, not {sorted(wishes)}"
    for process in world.processes.values():
        if process.role.prism is not None:
            answer = at_once(process.assembly.existence.answer(content.hash))
            if set(answer["map"]) != live:
                yield f"{process.role.prism} says {answer['map']}, not {sorted(live)}"
    for place in sorted(live):
        if not content.is_good(read(world, place, content)):
            yield f"{place} delivers something else"


def read(world: "World", place: str, content: Expected) -> bytes:
    """What a viewer is sent."""
    stores = [each for one in world.processes.values() for each in one.assembly.holdings]
    [holdings] = [each for each in stores if each.place == place]
    record = at_once(holdings.own_record(content.hash))
    if record is None:
        return b"no record"
    file = at_once(holdings.open(record))
    file.close()
    assert file.whole is not None
    return file.whole
