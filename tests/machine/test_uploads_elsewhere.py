"""Uploads to stores in other processes: over real connections, from either end."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose import tls
from oose.errors import DiskFull, TooLarge, Unavailable
from oose.sink import BATCH
from tests.machine.elsewhere import Cluster, cluster, passing, send, turns, until
from tests.unit.logged import logged

HELLO = hashlib.sha1(b"hello").hexdigest()
LARGE = os.urandom(5 * BATCH + 1000)


def name_of(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


async def settled(made: Cluster) -> None:
    """Wait until every store has been told of its records."""
    for store in made.stores.values():
        await until(lambda store=store: all(each.held is None for each in store.channels))


@pytest.mark.parametrize("data", [b"hello", b"", LARGE], ids=["small", "empty", "large"])
@pytest_twisted.ensureDeferred
async def test_a_file_is_on_as_many_stores_as_wanted(data: bytes, tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        kept = await send(made.uploads(2).open("sha1", None), data)
        assert (kept.count, kept.wanted) == (2, 2)
        await settled(made)
        files = [path for store in made.stores.values() for path in store.files()]
        assert [path.read_bytes() for path in files] == [data, data]
        records = await made.records(name_of(data))
        assert len({record.place for record in records}) == 2
        assert all(record.note is None for record in records)
        assert all(store.leftovers() == [] for store in made.stores.values())
        assert made.told.failures == []
        assert [store.load for store in made.keepers._remote.values()] == [0, 0, 0]


@pytest_twisted.ensureDeferred
async def test_a_small_file_costs_two_requests_and_no_new_connection(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        store = made.stores["s1"]
        for data in (b"one", b"two", b"three"):
            await send(made.uploads(1).open("sha256", None), data)
            await until(lambda: made.keepers._remote["p1:s1"]._links._idle)
        assert len(store.channels) == 1
        requests = store.room.lobby.stats.tree(0)["requests"]
        assert requests == {"commit": {"200": 3}, "confirm": {"200": 3}}


@pytest_twisted.ensureDeferred
async def test_stores_are_reached_over_tls_too(tmp_path: Path) -> None:
    pem = tls.self_signed(tmp_path / "own.pem", [], datetime.now(UTC))
    async with cluster(tmp_path, "s1:m1", "s2:m2", pem=pem) as made:
        for data in (b"hello", LARGE):
            assert (await send(made.uploads(2).open("sha1", None), data)).count == 2
        await settled(made)
        for store in made.stores.values():
            assert sorted(path.read_bytes() for path in store.files()) == sorted([b"hello", LARGE])


@pytest_twisted.ensureDeferred
async def test_a_store_here_and_one_elsewhere_take_a_copy_each(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        here = made.stores["s1"].holdings
        keepers = made.make_keepers({here.place: here})
        kept = await send(made.uploads(2, keepers=keepers).open("sha1", None), LARGE)
        assert kept.count == 2
        assert made.stores["s1"].channels == []
        assert len(made.stores["s2"].channels) == 1
        keepers.close()


@pytest_twisted.ensureDeferred
async def test_what_is_known_is_not_sent_again(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        await send(made.uploads(2).open("sha1", None), LARGE)
        await settled(made)
        kept = await send(made.uploads(2).open("sha1", None), LARGE)
        assert kept.count == 2
        await until(lambda: not any(store.leftovers() for store in made.stores.values()))
        assert all(len(store.files()) == 1 for store in made.stores.values())


@pytest_twisted.ensureDeferred
async def test_a_sealed_file_waits_for_its_commit_however_long_that_takes(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(LARGE)
        await upload.sink.seal()
        for _ in range(100):
            made.keeping.clock.advance(100)
            await turns(1)
        assert (await upload.settle("txt", "text/plain")).count == 1


@pytest_twisted.ensureDeferred
async def test_a_body_that_does_not_go_on_is_given_up_by_the_store(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(LARGE)
        store = made.stores["s1"]
        await until(lambda: store.leftovers() != [] and not upload.sink._turn.locked)
        await turns()
        made.keeping.clock.advance(61)
        await until(lambda: store.leftovers() == [])
        with pytest.raises(Unavailable):
            await send(upload, b"more")


# Stores that fail.


@pytest_twisted.ensureDeferred
async def test_a_store_that_dies_on_the_way_is_replaced(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        upload = made.uploads(2).open("sha1", None)
        upload.sink.feed(LARGE[: 2 * BATCH])
        first = upload.sink.copies[0].place
        dying = next(each for each in made.stores.values() if each.place == first)
        await until(lambda: dying.leftovers() != [])
        await dying.die()
        kept = await send(upload, LARGE[2 * BATCH :])
        assert kept.count == 2
        places = {record.place for record in await made.records(name_of(LARGE))}
        assert first not in places
        assert len(places) == 2
        assert made.told.failures == [first]
        files = [path for each in made.stores.values() for path in each.files()]
        assert [path.read_bytes() for path in files] == [LARGE, LARGE]


@pytest_twisted.ensureDeferred
async def test_a_small_file_goes_elsewhere_when_all_that_were_chosen_are_dead(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3", "s4:m4") as made:
        upload = made.uploads(2).open("sha1", None)
        dead = {copy.place for copy in upload.sink.copies}
        for store in made.stores.values():
            if store.place in dead:
                await store.die()
        kept = await send(upload, b"hello")
        assert kept.count == 2
        assert not dead & {record.place for record in await made.records(HELLO)}


@pytest_twisted.ensureDeferred
async def test_a_store_that_answers_nothing_is_given_up_within_seconds(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        store = made.stores["s1"]
        store.port.stopReading()  # connects are taken by the kernel, and by nobody else
        made.told.avoided.add("p1:s2")
        sending = Deferred.fromCoroutine(send(made.uploads(1).open("sha1", None), b"hello"))
        await turns()
        made.told.avoided.clear()
        await passing(made, lambda: bool(made.told.failures))
        assert 3 <= made.keeping.clock.seconds() < 4
        assert (await sending).count == 1
        assert made.told.failures == ["p1:s1"]
        assert [record.place for record in await made.records(HELLO)] == ["p1:s2"]


@pytest_twisted.ensureDeferred
async def test_fewer_clones_are_noted_in_the_record_and_in_the_log(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        await made.stores["s1"].die()
        with logged("warn") as said:
            assert (await send(made.uploads(2).open("sha1", None), b"hello")).count == 1
        [record] = await made.records(HELLO)
        assert record.note == "1 of 2 clones: no other store could take one"
        assert any("1 of 2 clones" in line for line in said)


@pytest_twisted.ensureDeferred
async def test_clones_on_one_machine_are_noted(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m1") as made:
        assert (await send(made.uploads(2).open("sha1", None), b"hello")).count == 2
        notes = {record.note for record in await made.records(HELLO)}
        assert notes == {"Clones share a machine: there is no other"}


@pytest.mark.parametrize("data", [b"hello", LARGE], ids=["small", "large"])
@pytest_twisted.ensureDeferred
async def test_where_fewer_are_not_accepted_nothing_stays(data: bytes, tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        uploads = made.uploads(3, accept_fewer=False)
        upload = uploads.open("sha1", None)
        await made.stores["s3"].die()
        with pytest.raises(Unavailable, match="Only 2 of 3 clones"):
            await send(upload, data)
        await until(lambda: not any(each.channels for each in made.stores.values()))
        made.keeping.clock.advance(31)
        await until(lambda: not any(each.leftovers() for each in made.stores.values()))
        assert not any(each.files() for each in made.stores.values())
        assert await made.records(name_of(data)) == []
        with pytest.raises(Unavailable, match="Only 2 of 3 clones"):
            uploads.check_room(1)


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_full_midway_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        upload = made.uploads(2).open("sha1", None)
        upload.sink.feed(LARGE[:BATCH])
        first = upload.sink.copies[0].place
        full = next(each for each in made.stores.values() if each.place == first)
        await until(lambda: full.leftovers() != [])
        full.holdings.volume.disk.min_free = 0
        sink: Any = next(each.held.sink for each in full.channels if each.held)
        sink.copies[0].reception._incoming.min_free = 10**18
        kept = await send(upload, LARGE[BATCH:])
        assert kept.count == 2
        assert first not in {record.place for record in await made.records(name_of(LARGE))}
        assert full.files() == full.leftovers() == []
        assert made.told.failures == []


@pytest_twisted.ensureDeferred
async def test_what_the_last_store_says_is_what_the_client_is_told(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        await made.add("s1", "m1", max_upload=10)
        with pytest.raises(TooLarge):
            await send(made.uploads(1).open("sha1", None), b"x" * 11)
        with pytest.raises(TooLarge):
            await send(made.uploads(1).open("sha1", None), LARGE)
        made.told.avoided.add("p1:s1")
        with pytest.raises(Unavailable, match="No store is available"):
            made.uploads(1).check_room(1)


@pytest_twisted.ensureDeferred
async def test_a_disk_that_is_not_usable_or_has_no_room_is_said_to_be(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        volume = made.stores["s1"].holdings.volume
        upload = made.uploads(1).open("sha1", None)
        volume.usable = False
        with pytest.raises(Unavailable, match="No store is available"):
            await send(upload, b"hello")
        volume.usable = True
        volume.disk.min_free = 10**18
        with pytest.raises(DiskFull):
            await send(made.uploads(1).open("sha1", None), b"hello")
        with pytest.raises(DiskFull):
            await send(made.uploads(1).open("sha1", None), LARGE)


@pytest_twisted.ensureDeferred
async def test_bytes_that_change_on_the_way_are_not_kept(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        for data in (b"hello", LARGE):
            upload = made.uploads(1).open("sha1", None)
            upload.sink.feed(data)
            received = await upload.sink.finish()
            wrong = name_of(b"another")
            copy = upload.sink.copies[0]
            with pytest.raises(Unavailable, match=received.digests["sha1"]):
                await upload.sink.commit(copy, wrong, "txt")
            await upload.abandon()
        store = made.stores["s1"]
        await until(lambda: store.leftovers() == [])
        assert store.files() == []


@pytest_twisted.ensureDeferred
async def test_a_store_that_has_the_bytes_goes_before_one_that_has_not(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3", "s4:m4") as made:
        await send(made.uploads(1, chance=lambda: 0.9).open("sha1", None), LARGE)
        upload = made.uploads(2).open("sha1", None)
        upload.sink.feed(LARGE[:BATCH])
        await turns(50)
        first, second = (copy.place for copy in upload.sink.copies)
        await made.stores[first[3:]].die()
        assert (await send(upload, LARGE[BATCH:])).count == 2
        assert {each.place for each in await made.records(name_of(LARGE))} == {"p1:s4", second}


@pytest_twisted.ensureDeferred
async def test_another_clone_is_sent_where_the_first_cannot_be(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3", "s4:m4") as made:
        upload = made.uploads(3).open("sha1", None)
        places = [copy.place for copy in upload.sink.copies]
        assert places == ["p1:s1", "p1:s2", "p1:s3"]
        upload.sink.feed(LARGE[:BATCH])
        await until(lambda: made.stores["s3"].leftovers() != [])
        await made.stores["s3"].die()
        asked: list[str] = []
        ask = made.peers.ask

        async def deaf(url: str, path: str, *args: Any, **more: Any) -> Any:
            asked.append(path)
            if len(asked) == 1:
                raise Unavailable("away")
            return await ask(url, path, *args, **more)

        peers: Any = made.peers
        peers.ask = deaf
        assert (await send(upload, LARGE[BATCH:])).count == 3
        assert asked == ["/content/send", "/content/send"]


@pytest_twisted.ensureDeferred
async def test_a_file_too_large_for_memory_needs_a_clone_to_be_sent_from(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(LARGE)
        await upload.sink.seal()
        await made.stores["s1"].die()
        with pytest.raises(Unavailable):
            await send(upload, b"")
        assert await made.records(name_of(LARGE)) == []


@pytest_twisted.ensureDeferred
async def test_a_store_that_goes_out_of_service_meanwhile_is_passed_over(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        upload = made.uploads(1).open("sha1", None)
        await made.stores["s1"].die()
        keepers: Any = made.keepers
        receive = keepers.receive

        def gone(place: str, hash_type: str) -> Any:
            keepers.receive = receive
            raise Unavailable(f"{place} is gone")

        keepers.receive = gone
        assert (await send(upload, b"hello")).count == 1
        assert [each.place for each in await made.records(HELLO)] == ["p1:s3"]


@pytest_twisted.ensureDeferred
async def test_a_clone_that_was_sent_is_removed_again_where_fewer_are_not_accepted(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3", "s4:m4") as made:
        upload = made.uploads(3, accept_fewer=False).open("sha1", None)
        upload.sink.feed(LARGE[:BATCH])
        await until(lambda: all(made.stores[each].leftovers() for each in ("s1", "s2", "s3")))
        await made.stores["s2"].die()
        await made.stores["s3"].die()
        made.told.avoided |= {"p1:s2", "p1:s3"}
        with pytest.raises(Unavailable, match="Only 2 of 3 clones"):
            await send(upload, LARGE[BATCH:])
        assert await made.records(name_of(LARGE)) == []
        assert made.stores["s4"].files() == []
        await until(lambda: made.stores["s1"].channels == [])
        made.keeping.clock.advance(30)
        await until(lambda: made.stores["s1"].leftovers() == [])
        assert made.stores["s1"].files() == []


@pytest_twisted.ensureDeferred
async def test_a_clone_that_was_sent_and_cannot_be_removed_is_told_of(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        upload = made.uploads(3, accept_fewer=False).open("sha1", None)
        upload.sink.feed(LARGE[:BATCH])
        await until(lambda: all(each.leftovers() for each in made.stores.values()))
        await made.stores["s3"].die()
        await made.add("s4", "m4")
        await made.stores["s2"].die()
        made.told.avoided.add("p1:s2")
        holdings: Any = made.stores["s4"].holdings

        async def away(content_hash: str) -> None:
            raise Unavailable("away")

        holdings.remove = away
        with logged("warn") as said, pytest.raises(Unavailable, match="Only 2 of 3 clones"):
            await send(upload, LARGE[BATCH:])
        assert any("p1:s4 keeps" in line for line in said)


@pytest_twisted.ensureDeferred
async def test_a_clone_that_nobody_can_send_is_left_out(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        upload = made.uploads(2).open("sha1", None)
        upload.sink.feed(LARGE[:BATCH])
        await until(lambda: made.stores["s2"].leftovers() != [])
        await made.stores["s2"].die()
        made.stores["s3"].holdings.volume.disk.min_free = 10**18
        assert (await send(upload, LARGE[BATCH:])).count == 1


# A connection lost between commit and confirmation.


@pytest.mark.parametrize("recorded", [True, False])
@pytest_twisted.ensureDeferred
async def test_what_was_committed_and_not_confirmed_is_kept_where_it_is_recorded(
    recorded: bool, tmp_path: Path
) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        store = made.stores["s1"]
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(b"hello")
        await upload.sink.finish()
        await upload.sink.commit(upload.sink.copies[0], HELLO, "txt")
        if recorded:
            await made.keeping.put(store.holdings, b"hello", ext="txt")
        inventory: Any = made.keeping.inventory
        get, asked = inventory.get, []

        async def away(document_id: str) -> Any:
            asked.append(document_id)
            if len(asked) == 1:
                raise Unavailable("The database is away")
            return await get(document_id)

        inventory.get = away
        arrival = next(each.held for each in store.channels)
        await upload.abandon()
        await until(lambda: store.channels == [])
        made.keeping.clock.advance(29)
        assert (len(store.files()), asked) == (1, [])
        made.keeping.clock.advance(1)
        assert (len(store.files()), len(asked)) == (1, 1)
        made.keeping.clock.advance(10)
        await until(lambda: store.leftovers() == [])
        assert len(store.files()) == int(recorded)
        await arrival.end(recorded=not recorded)
        assert len(store.files()) == int(recorded)


@pytest_twisted.ensureDeferred
async def test_a_store_that_stops_leaves_the_question_to_its_next_start(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        store = made.stores["s1"]
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(b"hello")
        await upload.sink.finish()
        await upload.sink.commit(upload.sink.copies[0], HELLO, "txt")
        await upload.abandon()
        await until(lambda: store.channels == [])
        inventory: Any = made.keeping.inventory
        asked: list[str] = []

        async def never(document_id: str) -> Any:
            asked.append(document_id)
            await Deferred()

        get, inventory.get = inventory.get, never
        made.keeping.clock.advance(30)
        assert len(asked) == 1
        store.room.arrivals.stop()
        inventory.get = get
        made.keeping.clock.advance(100)
        assert len(store.files()) == len(store.leftovers()) == 1
        await store.holdings.enroll()
        assert store.files() == store.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_a_store_that_could_not_be_told_of_its_record_asks_and_keeps(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        store = made.stores["s1"]
        inventory: Any = made.keeping.inventory
        put_many = inventory.put_many

        async def lost(writes: Any) -> Any:
            for channel in store.channels:
                channel.transport.abortConnection()
            await until(lambda: store.channels == [])
            return await put_many(writes)

        inventory.put_many = lost
        assert (await send(made.uploads(1).open("sha1", None), b"hello")).count == 1
        made.keeping.clock.advance(30)
        await until(lambda: store.leftovers() == [])
        assert len(store.files()) == 1


@pytest_twisted.ensureDeferred
async def test_a_connection_lost_before_the_commit_costs_the_copy(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        store = made.stores["s1"]
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(LARGE)
        await upload.sink.seal()
        assert len(store.leftovers()) == 1
        for channel in store.channels:
            channel.transport.abortConnection()
        await until(lambda: store.leftovers() == [])
        reception: Any = upload.sink.copies[0].reception
        await until(lambda: reception._link.is_lost)
        with pytest.raises(Unavailable, match="was lost"):
            await send(upload, b"")
        assert store.files() == []


# Slow stores.


@pytest_twisted.ensureDeferred
async def test_a_slow_store_holds_its_source_back(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        door: Deferred[None] = Deferred()
        upload = made.uploads(1).open("sha1", None)
        calls: list[str] = []
        upload.sink.on_pressure(lambda: calls.append("pause"), lambda: calls.append("resume"))
        volume: Any = made.stores["s1"].holdings.volume
        pool = volume._receiving.pool

        class Slow:
            async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
                await door
                return await pool.run(call, *args, **kwargs)

        volume._receiving.pool = Slow()
        fed = 0
        while not calls and fed < 100:
            upload.sink.feed(LARGE[:BATCH])
            fed += 1
            await turns(10)
        assert calls == ["pause"]
        assert fed < 30  # three batches here, as many there, one and the sockets' between
        store = made.stores["s1"]
        await until(lambda: any(each.held for each in store.channels))
        await turns(100)
        [held] = [each.held for each in store.channels]
        assert held.sink._queued < 6 * BATCH
        door.callback(None)
        await until(lambda: "resume" in calls)
        kept = await send(upload, b"end")
        assert kept.record.size == fed * BATCH + 3
