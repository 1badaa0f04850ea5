"""A clone is verified on a store elsewhere: real connections, and time in the test's hands."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.errors import Unavailable
from oose.keepers import Keeper
from oose.metadata.records import InventoryRecord
from oose.peers import PeerClient
from oose.peers.answers import Unreachable
from oose.peers.attendance import LOOK
from oose.peers.client import PING
from oose.peers.remote import VERIFYING
from oose.reachability import Refused
from oose.tls import client_policy
from tests.machine.elsewhere import CREDENTIALS, Cluster, Elsewhere, cluster, turns, until
from tests.real import reactor
from tests.unit.test_peers import answer, peer_at


@pytest_twisted.async_yield_fixture
async def made(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path, "s1:m1:g") as made:
        yield made


@pytest.fixture
def store(made: Cluster) -> Elsewhere:
    return made.stores["s1"]


@pytest_twisted.async_yield_fixture
async def record(made: Cluster, store: Elsewhere) -> AsyncIterator[InventoryRecord]:
    yield await made.keeping.put(store.holdings, b"a film")


def keeper(made: Cluster) -> Keeper:
    found = made.keepers.get("p1:s1")
    assert found is not None
    return found


def path_of(store: Elsewhere, record: InventoryRecord) -> Path:
    return store.holdings.volume.disk.content / record.relative_path


@pytest_twisted.ensureDeferred
async def test_a_store_says_how_its_clone_is(
    made: Cluster, store: Elsewhere, record: InventoryRecord
) -> None:
    made.keeping.clock.advance(5)
    assert await keeper(made).verify(record.hash) == "ok"
    [kept] = await made.records(record.hash)
    assert kept.verified == made.keeping.now()
    path_of(store, record).write_bytes(b"b film")
    assert await keeper(made).verify(record.hash) == "corrupt"
    assert await made.records(record.hash) == []
    assert await keeper(made).verify(record.hash) == "missing"
    assert made.told.answers == ["p1:s1"] * 3
    assert made.told.failures == []


@pytest.mark.parametrize(
    "told",
    [{}, {"status": "good"}, {"status": None}, {"status": ["ok"]}, {"hash": {"status": "ok"}}],
)
@pytest_twisted.ensureDeferred
async def test_an_answer_that_is_none_is_no_status(made: Cluster, told: Any) -> None:
    async with peer_at(answer(200, json.dumps(told).encode())) as peer:
        await made.change("p1:s1", url=f"http://127.0.0.1:{peer.port}")
        with pytest.raises(Unavailable, match="p1:s1 answered something that cannot be"):
            await keeper(made).verify("a" * 40)
    assert json.loads(peer.body) == {"hash": "a" * 40}
    assert peer.head.startswith(b"POST /content/verify ")


@pytest_twisted.ensureDeferred
async def test_a_store_that_cannot_be_reached_is_avoided(
    made: Cluster, store: Elsewhere, record: InventoryRecord
) -> None:
    there = keeper(made)
    await store.die()
    with pytest.raises(Unreachable):
        await there.verify(record.hash)
    assert made.told.failures == ["p1:s1"]


@pytest_twisted.ensureDeferred
async def test_a_store_that_takes_other_credentials_is_avoided(made: Cluster) -> None:
    async with peer_at(answer(401, b'{"error": "Who are you?"}')) as peer:
        await made.change("p1:s1", url=f"http://127.0.0.1:{peer.port}")
        with pytest.raises(Refused):
            await keeper(made).verify("a" * 40)
    assert made.told.failures == ["p1:s1"]


@pytest_twisted.ensureDeferred
async def test_a_store_whose_disk_is_away_has_answered_and_tells_nothing(
    made: Cluster, store: Elsewhere, record: InventoryRecord
) -> None:
    disk = store.holdings.volume.disk
    disk.root.rename(disk.root.with_name("away"))
    with pytest.raises(Unavailable, match="is not there"):
        await keeper(made).verify(record.hash)
    assert (made.told.answers, made.told.failures) == (["p1:s1"], [])


# It takes long


@pytest.fixture
def slow(store: Elsewhere) -> Iterator[Deferred[str]]:
    """The store reads until this has a result."""
    reading: Deferred[str] = Deferred()

    async def verify(content_hash: str) -> Any:
        return await reading

    store.holdings.verify = verify  # type: ignore[method-assign]
    yield reading
    if not reading.called:
        reading.callback("ok")


async def asked(made: Cluster, content_hash: str, clock: Clock) -> list[Any]:
    """Begin to ask, and wait until it is being read; what comes of it is added to the list."""
    came: list[Any] = []
    policy = client_policy(True, own=None)
    made.peers = PeerClient(reactor, policy, CREDENTIALS, clock=clock)
    made.keepers = made.make_keepers()
    _ = Deferred.fromCoroutine(keeper(made).verify(content_hash)).addBoth(came.append)
    store = made.stores["s1"]
    await until(lambda: any(channel.requests for channel in store.channels))
    await turns()
    return came


async def minutes(clock: Clock, count: int) -> None:
    """Let time pass, each time until a ping is answered and the next one is waited for."""

    def is_waiting() -> bool:
        return any(call.getTime() == clock.seconds() + LOOK for call in clock.getDelayedCalls())

    for _ in range(int(count * 60 / LOOK)):
        clock.advance(LOOK)
        await until(is_waiting)


@pytest_twisted.ensureDeferred
async def test_as_long_as_a_store_answers_pings_it_is_waited_for(
    made: Cluster, record: InventoryRecord, slow: Deferred[str]
) -> None:
    clock = Clock()
    came = await asked(made, record.hash, clock)
    await minutes(clock, 10)
    assert came == []
    slow.callback("corrupt")
    await until(lambda: came)
    assert came == ["corrupt"]


@pytest_twisted.ensureDeferred
async def test_a_store_that_dies_meanwhile_is_not_waited_for(
    made: Cluster, store: Elsewhere, record: InventoryRecord, slow: Deferred[str]
) -> None:
    clock = Clock()
    came = await asked(made, record.hash, clock)
    await minutes(clock, 1)
    await store.die()
    await until(lambda: came)
    assert came[0].check(Unreachable)
    assert made.told.failures == ["p1:s1"]


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_frozen_meanwhile_is_not_waited_for(
    made: Cluster, store: Elsewhere, record: InventoryRecord, slow: Deferred[str]
) -> None:
    clock = Clock()
    came = await asked(made, record.hash, clock)
    store.port.stopReading()  # nobody takes the connection of a ping
    clock.advance(LOOK)  # a ping
    clock.advance(PING)
    await until(lambda: came)
    assert came[0].check(Unreachable)
    assert "does not answer any more" in came[0].getErrorMessage()
    store.port.startReading()


def test_half_a_day_is_enough_to_read_the_largest_file() -> None:
    assert VERIFYING * 100e6 > 4e12  # of 4 TB, at the speed of one disk
