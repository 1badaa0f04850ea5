"""Two prisms that receive the same content at once, and the clones too many that come of it."""

import hashlib
from pathlib import Path
from typing import Any

import pytest_twisted
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from oose.claims import CLAIM_LIFE, PAUSE, TRIES
from oose.embedded import EmbeddedDocuments
from oose.errors import Unavailable
from oose.metadata.documents import Stale
from oose.metadata.records import InventoryRecord
from oose.surplus import RECENT, Surplus, keep
from tests.machine.elsewhere import Cluster, cluster, send, turns, until

HELLO = hashlib.sha1(b"hello").hexdigest()
FOUR = ("s1:m1:g1", "s2:m2:g1", "s3:m3:g2", "s4:m4:g2")


class AtOnce:
    """Lets two write their records only when both have come so far."""

    def __init__(self, made: Cluster) -> None:
        inventory: Any = made.keeping.inventory
        self.put_many, inventory.put_many = inventory.put_many, self.wait
        self.door: Deferred[None] = Deferred()
        self.waiting = 0

    async def wait(self, writes: Any) -> Any:
        self.waiting += 1
        if self.waiting == 2:
            self.door.callback(None)
        else:
            await self.door
        return await self.put_many(writes)


async def finished(made: Cluster, *works: Deferred[Any]) -> list[Any]:
    """What works come to. Time passes where somebody waits for a claim that nobody has by now."""
    content = await claims(made)
    while not all(work.called and not work.paused for work in works):
        document = await content.get(HELLO)
        is_free = document is None or "claim" not in document.body
        if is_free and made.claiming.getDelayedCalls():
            made.claiming.advance(PAUSE)
        await turns(1)
    return [await work for work in works]


async def claims(made: Cluster) -> EmbeddedDocuments:
    return EmbeddedDocuments(made.keeping.database, "content")


async def make(made: Cluster, *names: str) -> list[InventoryRecord]:
    """Clones on stores, verified."""
    records = []
    for name in names:
        record = await made.keeping.put(made.stores[name].holdings, b"hello", ext="txt")
        document = await made.keeping.inventory.get(record.id)
        assert document is not None
        record = evolve(record, verified=1)
        await made.keeping.inventory.put(record.id, record.to_body(), document.rev)
        records.append(record)
    return records


@pytest_twisted.ensureDeferred
async def test_two_prisms_with_the_same_content_make_as_many_clones_as_wanted(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        AtOnce(made)
        first = made.uploads(2, "prism1", chance=lambda: 0.0)
        second = made.uploads(2, "prism2", chance=lambda: 0.999)
        works = [
            Deferred.fromCoroutine(send(uploads.open("sha1", None), b"hello"))
            for uploads in (first, second)
        ]
        kept = await finished(made, *works)
        assert min(each.count for each in kept) >= 2
        records = await made.records(HELLO)
        assert len(records) == 2
        groups = {made.keeping.registry.store(each.place).group for each in records}  # type: ignore[union-attr] # all are there
        assert groups == {"g1", "g2"}
        files = {each.place for each in made.stores.values() if each.files()}
        assert files == {record.place for record in records}
        assert await (await claims(made)).get(HELLO) is None


@pytest_twisted.ensureDeferred
async def test_a_new_file_costs_three_requests_to_the_database(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        inventory: Any = made.keeping.inventory
        asked: list[str] = []

        def counted(name: str, real: Any) -> Any:
            def count(*args: Any) -> Any:
                asked.append(name)
                return real(*args)

            return count

        for name in ("get", "get_many", "range", "under", "put", "put_many", "delete"):
            setattr(inventory, name, counted(name, getattr(inventory, name)))
        await send(made.uploads(2, "prism1").open("sha1", None), b"hello")
        assert asked == ["under", "put_many", "under"]


@pytest_twisted.ensureDeferred
async def test_nothing_is_removed_where_there_are_no_more_than_wanted(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2")
        assert await made.surplus("prism1").trim(HELLO, known) == known


@pytest_twisted.ensureDeferred
async def test_a_range_that_misses_fresh_writes_is_not_believed(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        existence: Any = made.keeping.existence

        async def blind(*args: Any, **more: Any) -> Any:
            raise Unavailable("away")

        existence.records = blind
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 2


@pytest_twisted.ensureDeferred
async def test_a_clone_that_is_not_there_is_no_reason_to_remove_another(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        made.stores["s3"].files()[0].unlink()
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 2
        assert len(await made.records(HELLO)) == 3
        await made.stores["s2"].die()
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 1
        assert [bool(made.stores[name].files()) for name in ("s1", "s2")] == [True, True]


@pytest_twisted.ensureDeferred
async def test_a_clone_that_was_never_verified_is_no_reason_either(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1")
        for name in ("s2", "s3"):
            known.append(await made.keeping.put(made.stores[name].holdings, b"hello", ext="txt"))
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 3


@pytest_twisted.ensureDeferred
async def test_a_clone_that_was_verified_long_ago_may_have_rotted_since(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        made.claiming.advance(RECENT + 1)
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 3
        assert len(await made.records(HELLO)) == 3


@pytest_twisted.ensureDeferred
async def test_a_claim_of_somebody_else_is_waited_for_and_then_left_alone(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        content = await claims(made)
        theirs = {"claim": {"by": "prism2", "until": 10_000}, "protected": True}
        rev = await content.put(HELLO, theirs)
        assert isinstance(rev, str)
        trimming = Deferred.fromCoroutine(made.surplus("prism1").trim(HELLO, known))
        for _ in range(TRIES - 1):
            await until(made.claiming.getDelayedCalls)
            assert not trimming.called
            made.claiming.advance(PAUSE)
        assert len(await trimming) == 3
        document = await content.get(HELLO)
        assert document is not None
        assert document.body == theirs


@pytest_twisted.ensureDeferred
async def test_a_claim_that_has_run_out_is_taken_over_and_the_rest_of_it_stays(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3", "s4")
        content = await claims(made)
        await content.put(HELLO, {"claim": {"by": "prism2", "until": 0}, "wanted": 3})
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 3
        document = await content.get(HELLO)
        assert document is not None
        assert document.body == {"wanted": 3}


@pytest_twisted.ensureDeferred
async def test_a_claim_that_somebody_else_wins_meanwhile_is_lost(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        content = await claims(made)
        await content.put(HELLO, {"wanted": 2})
        surplus = made.surplus("prism1")
        real: Any = surplus.claims.documents
        put = real.put
        raced: list[Any] = []

        async def slower(*args: Any) -> Any:
            if len(args) == 3 and not raced:
                raced.append(args)
                return Stale(HELLO)
            return await put(*args)

        real.put = slower
        [left] = await finished(made, Deferred.fromCoroutine(surplus.trim(HELLO, known)))
        assert len(left) == 2
        assert len(raced) == 1


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_removed_or_released_now_stays(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")

        async def away(*args: Any) -> Any:
            raise Unavailable("away")

        surplus = made.surplus("prism1")
        content: Any = surplus.claims.documents
        content.delete = away
        for store in made.stores.values():
            holdings: Any = store.holdings
            holdings.remove = away
        assert len(await surplus.trim(HELLO, known)) == 3


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_away_leaves_all_as_it_is(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")

        async def away(*args: Any) -> Any:
            raise Unavailable("away")

        surplus = made.surplus("prism1")
        content: Any = surplus.claims.documents
        content.put = away
        assert await surplus.trim(HELLO, known) == known
        assert len(await made.records(HELLO)) == 3


@pytest_twisted.ensureDeferred
async def test_nothing_is_removed_after_the_claim_has_run_out(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        inventory: Any = made.keeping.inventory
        get_many = inventory.get_many

        async def slow(ids: Any) -> Any:
            made.claiming.advance(31)
            return await get_many(ids)

        inventory.get_many = slow
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 3
        assert len(await made.records(HELLO)) == 3


@pytest_twisted.ensureDeferred
async def test_a_store_that_stood_still_removes_nothing_after_the_claim_has_run_out(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        for store in made.stores.values():
            holdings: Any = store.holdings

            async def remove(*args: Any, real: Any = holdings.remove, **more: Any) -> None:
                made.claiming.advance(CLAIM_LIFE)
                await real(*args, **more)

            holdings.remove = remove
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 3
        assert len(await made.records(HELLO)) == 3
        assert sum(len(store.files()) for store in made.stores.values()) == 3
        assert await (await claims(made)).get(HELLO) is None  # it has said that it will not


@pytest_twisted.ensureDeferred
async def test_a_store_to_which_the_same_is_coming_says_that_it_will_not(tmp_path: Path) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")
        for store in made.stores.values():
            await store.holdings.volume.passage.come(HELLO)
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 3
        assert await (await claims(made)).get(HELLO) is None
        for store in made.stores.values():
            store.holdings.volume.passage.came(HELLO)
        assert len(await made.surplus("prism2").trim(HELLO, known)) == 2


@pytest_twisted.ensureDeferred
async def test_while_a_store_may_still_remove_a_clone_nobody_else_counts_on_it(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, *FOUR) as made:
        known = await make(made, "s1", "s2", "s3")

        async def lost(*args: Any, **more: Any) -> None:
            raise Unavailable("the answer is lost")

        for store in made.stores.values():
            holdings: Any = store.holdings
            holdings.remove = lost
        assert len(await made.surplus("prism1").trim(HELLO, known)) == 3
        document = await (await claims(made)).get(HELLO)
        assert document is not None
        assert document.body["claim"]["by"] == "prism1"
        other = made.surplus("prism2").claims
        made.claiming.advance(CLAIM_LIFE - 1)
        assert await other._take(HELLO) is None
        made.claiming.advance(1)
        assert await other._take(HELLO) is not None


# Which to keep.

RECORD = InventoryRecord(HELLO, "p", "s", "text/plain", "txt", "x", 5, 0, verified=1)
places = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("gh")), min_size=1, max_size=8)


def site_of(place: str) -> tuple[str, str]:
    _, _, name = place.partition(":")
    machine, group, _ = name.split("-")
    return machine, group


@given(places, st.integers(1, 4), st.randoms())
def test_the_same_are_kept_whoever_asks_and_on_as_many_machines_as_can_be(
    sites: list[tuple[str, str]], wanted: int, chance: Any
) -> None:
    records = [evolve(RECORD, store=f"{m}-{g}-{n}") for n, (m, g) in enumerate(sites)]
    kept = keep(records, wanted, site_of)
    shuffled = list(records)
    chance.shuffle(shuffled)
    assert keep(shuffled, wanted, site_of) == kept
    assert len(kept) == min(wanted, len(records))
    machines = {machine for machine, _ in sites}
    assert len({site_of(each.place)[0] for each in kept}) == min(wanted, len(machines))


@pytest_twisted.ensureDeferred
async def test_a_store_that_nobody_knows_any_more_is_a_machine_of_its_own(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        surplus: Surplus = made.surplus("prism1")
        assert surplus._site("p1:gone") == ("p1:gone", "p1:gone")
        assert surplus._site("p1:s1") == ("m1", "main")
        await until(lambda: True)
