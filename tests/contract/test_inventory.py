"""The contract of `oose.metadata.documents.Inventory`: what one store has."""

import hashlib
from collections.abc import Sequence

import pytest_twisted
from attrs import evolve

from oose.metadata.documents import Held, Inventory, Stale, Write
from oose.metadata.records import InventoryRecord
from tests.contract.kept import KeepsInventory

NOW = 1_700_000_000_000
PLACE = "p1:s1"


def record(content_hash: str, place: str = PLACE) -> InventoryRecord:
    prism, _, store = place.partition(":")
    return InventoryRecord(
        hash=content_hash,
        prism=prism,
        store=store,
        mime_type="video/mp4",
        mime_extension="mp4",
        relative_path=f"{content_hash[:2]}/{content_hash}.mp4",
        size=int(content_hash[-3:], 16),
        created=NOW,
    )


def hash_of(number: int) -> str:
    return hashlib.sha1(str(number).encode()).hexdigest()


async def put(inventory: Inventory, *records: InventoryRecord) -> list[str]:
    """Write new records; their revisions."""
    done = await inventory.put_many([Write(each.id, each.to_body()) for each in records])
    return [each for each in done if not isinstance(each, Stale)]


def hashes(found: Sequence[Held]) -> list[str]:
    return [each.hash for each in found]


@pytest_twisted.ensureDeferred
async def test_what_a_store_has_is_told_in_short(keeps_inventory: KeepsInventory) -> None:
    inventory = await keeps_inventory.inventory()
    never, seen = record(hash_of(1)), evolve(record(hash_of(2)), verified=NOW + 5)
    revs = dict(zip((never.hash, seen.hash), await put(inventory, never, seen), strict=True))
    found = await inventory.held(PLACE)
    assert sorted(found, key=lambda each: each.verified or 0) == [
        Held(each.hash, revs[each.hash], each.relative_path, each.size, NOW, each.verified)
        for each in (never, seen)
    ]


@pytest_twisted.ensureDeferred
async def test_of_an_empty_inventory_nobody_has_anything(keeps_inventory: KeepsInventory) -> None:
    inventory = await keeps_inventory.inventory()
    assert list(await inventory.held(PLACE)) == []
    assert list(await inventory.held(PLACE, "ab", after="ab12", limit=5)) == []


@pytest_twisted.ensureDeferred
async def test_what_others_have_is_never_among_it(keeps_inventory: KeepsInventory) -> None:
    inventory = await keeps_inventory.inventory()
    others = ["p1:s", "p1:s11", "p1:S1", "p:s1", "p1", "s1", "p1:s1:s1", "p1:s1 ", "p1:sé"]
    first, second = record(hash_of(1)), record(hash_of(2))
    await put(inventory, first, second, *(record(hash_of(1), each) for each in others))
    await put(inventory, record("a" * 40, "p1:sé"), record("b" * 40, "p2:s1"))
    assert hashes(await inventory.held(PLACE)) == sorted([first.hash, second.hash])
    assert hashes(await inventory.held("p1:sé")) == sorted([first.hash, "a" * 40])
    assert list(await inventory.held("p3:s1")) == []


@pytest_twisted.ensureDeferred
async def test_it_is_in_the_order_of_ids_whatever_the_length_of_hashes(
    keeps_inventory: KeepsInventory,
) -> None:
    inventory = await keeps_inventory.inventory()
    lengths = [32, 40, 56, 64, 128]
    mixed = [hashlib.shake_128(b"%d" % n).hexdigest(lengths[n % 5] // 2) for n in range(50)]
    begins = ["ab12", "ab1200", "ab12ff", "ab13"]
    await put(inventory, *map(record, [*reversed(mixed), *begins]))
    in_order = sorted([*mixed, *begins], key=lambda each: f"{each}:{PLACE}")
    assert hashes(await inventory.held(PLACE)) == in_order
    seen: list[str] = []
    while page := hashes(await inventory.held(PLACE, after=seen[-1] if seen else "", limit=1)):
        seen += page
    assert seen == in_order


@pytest_twisted.ensureDeferred
async def test_a_prefix_limits_it(keeps_inventory: KeepsInventory) -> None:
    inventory = await keeps_inventory.inventory()
    all_of_it = sorted(hash_of(n) for n in range(200))
    await put(inventory, *map(record, all_of_it))
    for prefix in ("", "0", "a", "f", "ff", "7c", all_of_it[50], all_of_it[50] + ":"):
        own = [each for each in all_of_it if f"{each}:{PLACE}".startswith(prefix)]
        assert hashes(await inventory.held(PLACE, prefix)) == own
        for after in ("0" * 40, all_of_it[0], all_of_it[50], all_of_it[199], "f" * 40):
            rest = [each for each in own if each > after]
            assert hashes(await inventory.held(PLACE, prefix, after=after)) == rest
            assert hashes(await inventory.held(PLACE, prefix, after=after, limit=3)) == rest[:3]


@pytest_twisted.ensureDeferred
async def test_thousands_come_in_pages_of_any_size(keeps_inventory: KeepsInventory) -> None:
    inventory = await keeps_inventory.inventory()
    own = sorted(hash_of(n) for n in range(2500))
    await put(inventory, *map(record, own))
    await put(inventory, *(record(hash_of(n), f"p2:s{n % 3}") for n in range(1200)))
    assert hashes(await inventory.held(PLACE)) == own
    assert list(await inventory.held(PLACE, limit=0)) == []
    for size in (1000, 1001, 2499, 2500, 5000):
        seen: list[str] = []
        while page := hashes(
            await inventory.held(PLACE, after=seen[-1] if seen else "", limit=size)
        ):
            assert len(page) <= size
            seen += page
        assert seen == own


@pytest_twisted.ensureDeferred
async def test_what_is_written_is_seen_in_the_end(keeps_inventory: KeepsInventory) -> None:
    inventory = await keeps_inventory.inventory()
    elsewhere = await keeps_inventory.inventory()
    kept, changed, gone = (record(hash_of(n)) for n in range(3))
    await put(inventory, kept, changed, gone)
    assert len(await inventory.held(PLACE)) == len(await elsewhere.held(PLACE)) == 3
    before = {each.hash: each.rev for each in await inventory.held(PLACE)}
    newer = evolve(changed, verified=NOW + 7, relative_path="elsewhere")
    rev = await inventory.put(newer.id, newer.to_body(), before[changed.hash])
    await inventory.delete(gone.id, before[gone.hash])
    for way in (inventory, elsewhere):
        now = {each.hash: each for each in await way.held(PLACE)}
        assert set(now) == {kept.hash, changed.hash}
        assert now[kept.hash].rev == before[kept.hash]
        assert now[changed.hash] == Held(
            changed.hash, str(rev), "elsewhere", changed.size, NOW, NOW + 7
        )
    again = evolve(gone, created=NOW + 9)
    await put(inventory, again)
    assert [
        each.created for each in await inventory.held(PLACE, gone.hash) if each.hash == gone.hash
    ] == [NOW + 9]


@pytest_twisted.ensureDeferred
async def test_a_damaged_record_is_told_with_what_it_says(keeps_inventory: KeepsInventory) -> None:
    inventory = await keeps_inventory.inventory()
    name = hash_of(1)
    await inventory.put("nothing of ours", {"size": 5})
    rev = await inventory.put(f"{name}:{PLACE}", {"createdAt": NOW})
    nonsense = {"relativePath": 5, "size": "large", "createdAt": [1], "verifiedAt": "never"}
    other = await inventory.put(f"{hash_of(2)}:{PLACE}", nonsense)
    assert sorted(await inventory.held(PLACE), key=lambda each: each.created) == [
        Held(hash_of(2), str(other), "", 0, 0, None),
        Held(name, str(rev), "", 0, NOW, None),
    ]


@pytest_twisted.ensureDeferred
async def test_nothing_but_records_is_read_as_one(keeps_inventory: KeepsInventory) -> None:
    """Whatever the database keeps there for itself."""
    inventory = await keeps_inventory.inventory()
    since = (await inventory.changes(None, 0)).since
    own = sorted(["0" * 40, "f" * 40])
    await put(inventory, *map(record, own))
    ids = [f"{each}:{PLACE}" for each in own]
    assert [each.id for each in await inventory.range("", "\uffff")] == ids
    assert [each.id for each in await inventory.range("1", "\uffff", limit=1)] == ids[1:]
    for prefixes in (["", "_", "_design/", "f"], [f"{n:x}" for n in range(16)] + ["_", ""]):
        under = await inventory.under(prefixes)
        assert [each.id for each in under[""]] == ids
        assert [each.id for each in under["f"]] == ids[1:]
        assert list(under["_"]) == []
    assert sorted((await inventory.changes(since, 99)).ids) == ids
