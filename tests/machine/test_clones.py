"""Clones of one content, made and removed on stores over real connections."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from oose.claims import CLAIM_LIFE, Claims
from oose.clones import Clones, Moved
from oose.contents import Content
from oose.errors import BadInput, DiskFull, NotFound, Unavailable
from oose.metadata.records import InventoryRecord
from oose.trimming import RECENT
from tests.machine.elsewhere import Cluster, Elsewhere, cluster, turns
from tests.unit.keeping import NOW

HELLO = hashlib.sha1(b"hello").hexdigest()
FOUR = ("s1:m1:g1", "s2:m2:g1", "s3:m3:g2", "s4:m4:g2")
OLD = -int(RECENT * 1000) - 60_000  # ms; the prism's clock begins at 0
FRESH = {0, NOW}  # as stores hash what they receive, or what they verify


async def make(made: Cluster, *names: str, verified: int | None = OLD) -> list[InventoryRecord]:
    """Clones on stores, verified long ago."""
    records = []
    for name in names:
        record = await made.keeping.put(made.stores[name].holdings, b"hello", ext="txt")
        records.append(await write(made, evolve(record, verified=verified)))
    return records


async def write(made: Cluster, record: InventoryRecord) -> InventoryRecord:
    """The record as it is from now on."""
    document = await made.keeping.inventory.get(record.id)
    assert document is not None
    await made.keeping.inventory.put(record.id, record.to_body(), document.rev)
    return record


def spoil(store: Elsewhere) -> None:
    """Turn a bit of its only file."""
    [path] = store.files()
    path.write_bytes(b"Hello")


def names(records: Sequence[InventoryRecord]) -> set[str]:
    return {record.store for record in records}


async def there(made: Cluster) -> set[str]:
    """The stores with a good file; each has a record, and nobody else has one."""
    files = {name for name, store in made.stores.items() if store.files()}
    assert names(await made.records(HELLO)) == files
    for name in files:
        assert [path.read_bytes() for path in made.stores[name].files()] == [b"hello"]
    return files


async def is_claimed(clones: Clones) -> bool:
    return "claim" in (await clones.contents.get(HELLO)).others


async def away(*args: Any, **more: Any) -> Any:
    raise Unavailable("away")


# Looking.


@pytest_twisted.ensureDeferred
async def test_what_a_range_misses_is_seen_and_what_it_still_has_is_not(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        clones = made.clones()
        assert names(await clones.look(HELLO)) == {"s1", "s2", "s3"}
        existence: Any = made.keeping.existence

        async def late(*args: Any, **more: Any) -> Any:
            return known[:2]

        existence.records = late
        await made.stores["s1"].holdings.remove(HELLO)
        assert names(await clones.look(HELLO, [each.id for each in known])) == {"s2", "s3"}


# Making more.


@pytest_twisted.ensureDeferred
async def test_clones_are_made_in_other_groups_first_from_one_that_was_read_again(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1")
        clones = made.clones()
        [new] = await clones.add(HELLO, known, 1)
        assert new.store == "s3"
        assert new.verified in FRESH
        assert (new.mime_extension, new.size) == ("txt", 5)
        assert new in await made.records(HELLO)
        [source] = [each for each in await clones.look(HELLO) if each.store == "s1"]
        assert source.verified in FRESH
        assert await there(made) == {"s1", "s3"}


@pytest_twisted.ensureDeferred
async def test_as_many_are_made_as_there_are_stores_for(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1")
        clones = made.clones()
        assert await clones.add(HELLO, known, 0) == ()
        assert len(await clones.add(HELLO, known, 7)) == 3
        assert await there(made) == {"s1", "s2", "s3", "s4"}
        with pytest.raises(Unavailable, match="No other store"):
            await clones.add(HELLO, await clones.look(HELLO), 1)
        assert set(clones._sending.values()) == {0}


@pytest_twisted.ensureDeferred
async def test_a_machine_that_takes_nothing_more_counts_as_one_that_has_a_clone(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m1", "s3:m2") as made:
        known = await make(made, "s1")
        await made.keeping.registry.set_writable("store:p1:s1", False)
        gone = evolve(known[0], store="gone")
        assert names(await made.clones().add(HELLO, [*known, gone], 1)) == {"s3"}


@pytest_twisted.ensureDeferred
async def test_a_corrupt_source_is_quarantined_and_another_taken(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2")
        spoil(made.stores["s1"])
        assert names(await made.clones().add(HELLO, known, 1)) == {"s3"}
        assert await there(made) == {"s2", "s3"}
        quarantine = made.stores["s1"].holdings.volume.disk.root / "quarantine"
        assert any(path.read_bytes() == b"Hello" for path in quarantine.iterdir())


@pytest_twisted.ensureDeferred
async def test_what_rots_after_it_was_read_is_found_on_its_way(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", verified=NOW)
        spoil(made.stores["s1"])
        assert names(await made.clones().add(HELLO, known, 1)) == {"s3"}
        assert await there(made) == {"s2", "s3"}


@pytest_twisted.ensureDeferred
async def test_without_a_good_clone_none_is_made(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2")
        spoil(made.stores["s1"])
        made.stores["s2"].files()[0].unlink()
        with pytest.raises(NotFound, match=r"No clone of .* can be read now"):
            await made.clones().add(HELLO, known, 1)
        assert await made.records(HELLO) == []
        with pytest.raises(NotFound, match=r"No clone of .* can be read now"):
            await made.clones().add(HELLO, [], 1)


@pytest_twisted.ensureDeferred
async def test_a_target_that_fails_is_replaced(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1")
        await made.stores["s3"].die()
        assert names(await made.clones().add(HELLO, known, 1)) == {"s4"}
        assert made.told.failures == ["p1:s3"]


@pytest_twisted.ensureDeferred
async def test_a_target_that_is_full_is_not_asked_again_for_each_source(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2")
        asked: list[tuple[str, str]] = []

        class Full:
            async def send(self, record: InventoryRecord, target: str) -> None:
                asked.append((record.store, target))
                raise DiskFull("There is no room")

        with pytest.raises(DiskFull, match="There is no room"):
            await made.clones(sender=Full()).add(HELLO, known, 1)
        assert sorted(target for _, target in asked) == ["p1:s3", "p1:s4"]


@pytest_twisted.ensureDeferred
async def test_where_no_other_store_has_room_that_is_said(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1")
        for name in ("s2", "s3", "s4"):
            await made.change(f"p1:{name}", free=0)
        with pytest.raises(DiskFull, match="No store has room"):
            await made.clones().add(HELLO, known, 1)
        with pytest.raises(DiskFull, match="p1:s2 has no room"):
            await made.clones().add(HELLO, known, 1, to="p1:s2")


@pytest_twisted.ensureDeferred
async def test_a_clone_is_made_on_the_store_that_is_named(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1")
        clones = made.clones()
        [new] = await clones.add(HELLO, known, 1, to="p1:s2")
        assert new.store == "s2"
        assert await clones.add(HELLO, [*known, new], 1, to="p1:s2") == ()
        await made.change("p1:s4", available=False)
        for place in ("p1:s4", "p1:nobody"):
            with pytest.raises(Unavailable, match=f"{place} takes nothing now"):
                await clones.add(HELLO, known, 1, to=place)


@pytest_twisted.ensureDeferred
async def test_the_clones_to_be_left_behind_take_no_place(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m1", "s3:m2") as made:
        known = await make(made, "s1", "s3")
        [new] = await made.clones().add(HELLO, known, 1, avoid=["p1:s1"])
        assert new.store == "s2"
        read = {each.store: each.verified for each in await made.records(HELLO)}
        assert read == {"s1": OLD, "s2": 0, "s3": NOW}  # who is to stay is the better source


@pytest_twisted.ensureDeferred
async def test_a_source_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2")
        disk: Any = made.stores["s1"].holdings
        disk.verify = away
        assert names(await made.clones().add(HELLO, known, 1)) == {"s3"}
        assert await there(made) == {"s1", "s2", "s3"}
        disk = made.stores["s2"].holdings
        disk.verify = away
        with pytest.raises(Unavailable, match="away"):
            await made.clones().add(HELLO, known, 1)


@pytest_twisted.ensureDeferred
async def test_a_source_that_goes_while_it_is_asked_is_none(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1")
        keepers: Any = made.make_keepers()
        keepers.get = lambda place: None
        with pytest.raises(NotFound, match=r"No clone of .* can be read now"):
            await made.clones(keepers=keepers).add(HELLO, known, 1)


@pytest_twisted.ensureDeferred
async def test_a_clone_without_a_record_is_none(tmp_path: Path) -> None:
    class Nothing:
        async def send(self, record: InventoryRecord, target: str) -> None:
            pass

    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        known = await make(made, "s1")
        with pytest.raises(Unavailable, match="p1:s2 was sent a clone and has no record of it"):
            await made.clones(sender=Nothing()).add(HELLO, known, 1)


@pytest_twisted.ensureDeferred
async def test_those_who_send_least_are_asked_first(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", verified=NOW)
        asked: list[tuple[str, str]] = []
        real: Any = made.clones().sender

        class Noted:
            async def send(self, record: InventoryRecord, target: str) -> None:
                asked.append((record.store, target))
                await real.send(record, target)

        assert len(await made.clones(sender=Noted()).add(HELLO, known, 2)) == 2
        assert sorted(source for source, _ in asked) == ["s1", "s2"]


# Removing.


@pytest_twisted.ensureDeferred
async def test_those_that_stay_are_read_again_before_others_go(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3", "s4")
        clones = made.clones()
        removed = await clones.trim(HELLO, 2)
        left = await made.records(HELLO)
        assert names(left) | names(removed) == {"s1", "s2", "s3", "s4"}
        assert [each.verified for each in left] == [NOW, NOW]
        assert len(await there(made)) == 2
        assert not await is_claimed(clones)
        assert await clones.trim(HELLO, 2) == ()


@pytest_twisted.ensureDeferred
async def test_a_corrupt_clone_is_no_reason_to_remove_another(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3", "s4")
        clones = made.clones()
        for name in ("s1", "s2", "s3"):
            spoil(made.stores[name])
        assert await clones.trim(HELLO, 2) == ()
        assert made.stores["s4"].files()


@pytest_twisted.ensureDeferred
async def test_the_last_clone_stays_whatever_is_wished(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2")
        assert len(await made.clones().trim(HELLO, 0)) == 1
        assert await made.clones().trim(HELLO, -1, off=["p1:s1", "p1:s2"]) == ()
        assert len(await there(made)) == 1


@pytest_twisted.ensureDeferred
async def test_nothing_of_what_is_protected_goes_and_nothing_below_the_wish(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3", "s4")
        clones = made.clones()
        await clones.contents.change(HELLO, lambda known: evolve(known, protected=True))
        assert await clones.trim(HELLO, 1) == ()
        await clones.contents.change(HELLO, lambda known: Content(HELLO, wanted=3))
        assert len(await clones.trim(HELLO, 1)) == 1
        assert len(await there(made)) == 3


@pytest_twisted.ensureDeferred
async def test_clones_from_before_a_removal_are_no_reason_to_remove_another(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        [old, *new] = await make(made, "s1", "s2", "s3")
        await write(made, evolve(old, created=NOW - 10))
        clones = made.clones()
        await clones.contents.change(HELLO, lambda known: evolve(known, removed=NOW))
        assert await clones.trim(HELLO, 2) == ()
        assert names(await clones.trim(HELLO, 1)) < names(new)
        left = await there(made)
        assert len(left) == 2
        assert "s1" in left
        with pytest.raises(NotFound):
            await clones.move(HELLO, "p1:s1")


@pytest_twisted.ensureDeferred
async def test_who_protects_it_while_it_is_verified_is_heard(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3")
        clones = made.clones()
        holdings: Any = made.stores["s1"].holdings
        real = holdings.verify

        async def verify(content_hash: str) -> Any:
            await clones.contents.change(HELLO, lambda known: evolve(known, protected=True))
            return await real(content_hash)

        for store in made.stores.values():
            changed: Any = store.holdings
            changed.verify = verify
        assert await clones.trim(HELLO, 1) == ()
        assert len(await there(made)) == 3


@pytest_twisted.ensureDeferred
async def test_clones_go_from_the_stores_that_are_named_first_or_only(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3", "s4")
        clones = made.clones()
        assert names(await clones.trim(HELLO, 2, off=["p1:s2"], only_off=True)) == {"s2"}
        assert "s3" in names(await clones.trim(HELLO, 1, off=["p1:s3"]))
        assert len(await there(made)) == 1


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_away_neither_counts_nor_is_asked(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3")
        await made.change("p1:s3", available=False)
        assert await made.clones().trim(HELLO, 2) == ()
        assert len(await made.records(HELLO)) == 3


@pytest_twisted.ensureDeferred
async def test_a_store_that_cannot_verify_its_clone_is_no_reason_to_remove_another(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3")
        for name in ("s1", "s2"):
            holdings: Any = made.stores[name].holdings
            holdings.verify = away
        assert await made.clones().trim(HELLO, 2) == ()
        assert len(await there(made)) == 3


@pytest_twisted.ensureDeferred
async def test_a_store_that_goes_before_it_can_verify_is_none_either(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3")
        keepers: Any = made.make_keepers()
        asked: list[str] = []
        real = keepers.get

        def once(place: str) -> Any:
            asked.append(place)
            return real(place) if len(asked) <= 3 else None

        keepers.get = once
        assert await made.clones(keepers=keepers).trim(HELLO, 2) == ()


@pytest_twisted.ensureDeferred
async def test_reading_may_take_longer_than_what_counts_as_just_now(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3")
        clones = made.clones()

        class Late(Claims):
            async def take(self, content_hash: str) -> Any:
                made.claiming.advance(RECENT + 10)
                return await super().take(content_hash)

        clones.claims = Late(clones.claims.documents, made.claiming, "prism1")
        assert len(await clones.trim(HELLO, 2)) == 1


@pytest_twisted.ensureDeferred
async def test_while_somebody_else_has_the_claim_nothing_goes(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3")
        clones = made.clones()

        class Lost(Claims):
            async def take(self, content_hash: str) -> None:
                return None

        clones.claims = Lost(clones.claims.documents, made.claiming, "prism1")
        assert await clones.trim(HELLO, 2) == ()
        assert len(await there(made)) == 3


# Moving.


@pytest_twisted.ensureDeferred
async def test_a_clone_is_moved_to_where_placement_says(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s3")
        moved = await made.clones().move(HELLO, "p1:s1")
        assert (names(moved.added), names(moved.removed)) == ({"s2"}, {"s1"})
        assert await there(made) == {"s2", "s3"}


@pytest_twisted.ensureDeferred
async def test_a_move_that_was_cut_short_makes_no_other_clone(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2", "s3")
        assert names((await made.clones().move(HELLO, "p1:s1", wanted=2)).removed) == {"s1"}
        assert await there(made) == {"s2", "s3"}
        with pytest.raises(NotFound, match="has no clone on p1:s1"):
            await made.clones().move(HELLO, "p1:s1", wanted=2)


@pytest_twisted.ensureDeferred
async def test_a_move_to_a_store_that_has_a_clone_only_removes(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2")
        moved = await made.clones().move(HELLO, "p1:s1", "p1:s2")
        assert (names(moved.added), names(moved.removed)) == (set(), {"s1"})
        with pytest.raises(BadInput, match="to itself"):
            await made.clones().move(HELLO, "p1:s2", "p1:s2")


@pytest_twisted.ensureDeferred
async def test_what_is_on_a_store_that_is_away_is_made_up_for(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s2")
        await made.change("p1:s1", available=False)
        moved = await made.clones().move(HELLO, "p1:s1")
        assert (names(moved.added), moved.removed) == ({"s3"}, ())
        assert names(await made.records(HELLO)) == {"s1", "s2", "s3"}


@pytest_twisted.ensureDeferred
async def test_a_move_may_be_cancelled_at_any_moment_and_done_again(tmp_path: Path) -> None:
    moment = 0
    async with cluster(tmp_path, *FOUR) as made:
        await make(made, "s1", "s3")
        clones = made.clones()
        while "s1" in await there(made):
            moving: Deferred[Moved] = Deferred.fromCoroutine(clones.move(HELLO, "p1:s1", wanted=2))
            await turns(moment)
            moving.cancel()
            with suppress(CancelledError):
                await moving
            assert len(await there(made)) >= 2
            if await is_claimed(clones):  # a store may still be removing one
                made.claiming.advance(CLAIM_LIFE)
            assert set(clones._sending.values()) <= {0}
            moment += 1


# Notes.


@pytest_twisted.ensureDeferred
async def test_a_note_says_what_is_so_now(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m2") as made:
        known = await make(made, "s1", "s2", "s3")
        clones = made.clones()
        one, two, three = [
            await write(made, evolve(each, note="1 of 2 clones: no other store could take one"))
            for each in known
        ]

        async def notes() -> dict[str, str | None]:
            return {each.store: each.note for each in await made.records(HELLO)}

        await clones.correct([one, two], 2)
        assert (await notes())["s1"] is (await notes())["s2"] is None
        await clones.correct([three], 2)
        assert (await notes())["s3"] == "1 of 2 clones: no other store could take one"
        await clones.correct([two, three], 2)  # as they were read before
        shared = "Clones share a machine: there is no other"
        assert await notes() == {"s1": None, "s2": shared, "s3": shared}
        await clones.correct([one], 1)  # it says so already
        assert await notes() == {"s1": None, "s2": shared, "s3": shared}
