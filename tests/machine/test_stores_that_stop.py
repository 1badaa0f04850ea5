"""Stores that go out of service while they receive: what they have received is kept."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred

from oose.errors import Unavailable
from oose.sink import BATCH
from oose.uploads import Upload
from tests.machine.elsewhere import Cluster, Elsewhere, cluster, send, turns, until
from tests.unit.logged import logged

DATA = os.urandom(3 * BATCH + 1000)
HASH = hashlib.sha1(DATA).hexdigest()


async def feed(made: Cluster, upload: Upload) -> None:
    """Have its stores receive all of the file but what is still in memory."""
    upload.sink.feed(DATA)
    stores = [made.stores[copy.place[3:]] for copy in upload.sink.copies]
    await until(lambda: all(each.leftovers() for each in stores) and not upload.sink._turn.locked)


async def drain(store: Elsewhere, cut: list[int]) -> None:
    """Have a store begin to stop in good order; `cut` tells how many connections it had to cut."""
    await maybeDeferred(store.port.stopListening)
    _ = Deferred.fromCoroutine(store.site.drain(60)).addCallback(cut.append)


class Pings:
    """How many a client has sent."""

    def __init__(self, peers: Any) -> None:
        self.begun = self.ended = 0
        self._ping = peers._ping
        peers._ping = self._count

    async def _count(self, url: str) -> None:
        self.begun += 1
        try:
            await self._ping(url)
        finally:
            self.ended += 1


async def trouble(made: Cluster, kind: str, *names: str) -> None:
    """What an administrator, a vote, or a single ping may do."""
    for name in names:
        store = made.stores[name]
        if kind == "unreachable":
            made.told.avoided.add(store.place)
        elif kind == "draining":
            await made.change(store.place, available=False)
            await drain(store, [])
        elif kind == "full":
            await made.change(store.place, free=0)
        else:
            await made.change(store.place, **{kind: kind == "voted"})


KINDS = ["writable", "available", "voted", "unreachable", "draining", "full"]


@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_what_stores_have_received_is_kept_when_they_take_nothing_else(
    kind: str, tmp_path: Path
) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3") as made:
        upload = made.uploads(2).open("sha1", None)
        await feed(made, upload)
        await trouble(made, kind, "s1", "s2", "s3")
        assert (await send(upload, b"")).count == 2
        assert {each.place for each in await made.records(HASH)} == {"p1:s1", "p1:s2"}
        for name in ("s1", "s2"):
            store = made.stores[name]
            await until(lambda store=store: store.leftovers() == [])
            assert [each.read_bytes() for each in store.files()] == [DATA]


@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_a_clone_is_added_from_a_store_that_takes_nothing_else(
    kind: str, tmp_path: Path
) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        assert (await send(made.uploads(1).open("sha1", None), DATA)).count == 1
        await until(lambda: made.stores["s1"].leftovers() == [])
        upload = made.uploads(2).open("sha1", None)
        await feed(made, upload)
        await trouble(made, kind, "s2")
        with logged("info") as said:
            assert (await send(upload, b"")).count == 2
        assert f"p1:s1 has received {HASH} in vain: clones are on p1:s1 p1:s2" in said
        await until(lambda: made.stores["s2"].leftovers() == [])
        assert [each.read_bytes() for each in made.stores["s2"].files()] == [DATA]


@pytest_twisted.ensureDeferred
async def test_a_store_that_drains_ends_what_it_receives_and_goes(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        upload = made.uploads(2).open("sha1", None)
        await feed(made, upload)
        cut: list[int] = []
        for store in made.stores.values():
            await drain(store, cut)
        await turns()
        assert cut == []
        assert (await send(upload, b"")).count == 2
        await until(lambda: cut == [0, 0])
        assert made.told.failures == []


@pytest.mark.parametrize("drains", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_store_may_take_its_time_also_one_that_drains_and_answers_no_ping(
    drains: bool, tmp_path: Path
) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(DATA)
        await upload.sink.seal()
        door: Deferred[None] = Deferred()
        receiving: Any = made.stores["s1"].holdings.volume._receiving
        pool = receiving.pool

        class Slow:
            async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
                await door
                return await pool.run(call, *args, **kwargs)

        receiving.pool = Slow()
        pings = Pings(made.peers)
        if drains:
            await drain(made.stores["s1"], [])
        sending = Deferred.fromCoroutine(send(upload, b""))
        await turns()
        for _ in range(20):
            made.keeping.clock.advance(1)
            await until(lambda: pings.begun == pings.ended)
        assert pings.ended > 10
        assert not sending.called
        door.callback(None)
        assert (await sending).count == 1
        assert made.told.failures == []


@pytest_twisted.ensureDeferred
async def test_why_no_store_could_keep_a_file_is_in_the_log(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        upload = made.uploads(2).open("sha1", None)
        await feed(made, upload)
        for store in made.stores.values():
            await store.die()
        with logged("error") as said, pytest.raises(Unavailable):
            await send(upload, b"")
        [line] = [each for each in said if "could keep it" in each]
        assert line.startswith(f"{HASH}: no store could keep it: ")


@pytest_twisted.ensureDeferred
async def test_why_there_are_too_few_clones_is_in_the_log(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        upload = made.uploads(2, accept_fewer=False).open("sha1", None)
        await made.stores["s2"].die()
        with logged("error") as said, pytest.raises(Unavailable, match="Only 1 of 2"):
            await send(upload, b"hello")
        [line] = [each for each in said if "Only 1 of 2 clones" in each]
        assert "refused the connection" in line
