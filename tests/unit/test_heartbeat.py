import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from attrs import evolve

from oose.disk import IDENTITY
from oose.heartbeat import FRESH, Heartbeat
from oose.holdings import Holdings
from oose.registry import Peer
from tests.unit.faults import fail
from tests.unit.keeping import Keeping


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    keeping.clock.advance(1000.0)  # machines do not start at 1970 either
    yield keeping
    await keeping.database.close()


def heart(keeping: Keeping, *stores: Holdings) -> Heartbeat:
    return Heartbeat(stores, keeping.registry, keeping.clock)


def registered(keeping: Keeping, store: Holdings) -> Peer:
    peer = keeping.registry.store(store.place)
    assert peer is not None
    return peer


async def revision(keeping: Keeping, store: Holdings) -> str:
    """Changes whenever the peer is written down."""
    row = await keeping.database.read(
        lambda c: c.execute(
            "SELECT rev FROM documents WHERE db = 'peer' AND id = ?", (f"store:{store.place}",)
        ).fetchone()
    )
    return str(row[0])


@pytest_twisted.ensureDeferred
async def test_a_disk_that_goes_makes_its_store_unavailable_until_it_is_back(
    keeping: Keeping,
) -> None:
    store = await keeping.start()
    heartbeat = heart(keeping, store)
    away = keeping.folder / "away"
    for _ in range(2):
        store.volume.disk.root.rename(away)
        await heartbeat.beat()
        assert not registered(keeping, store).available
        assert keeping.registry.serving(store.place) is None
        away.rename(store.volume.disk.root)
        await heartbeat.beat()
        assert registered(keeping, store).available
        assert keeping.registry.serving(store.place) is not None


@pytest_twisted.ensureDeferred
async def test_a_disk_that_comes_after_the_start_is_taken_into_use(keeping: Keeping) -> None:
    before = await keeping.start()
    disk = before.volume.disk.root
    away = keeping.folder / "away"
    disk.rename(away)
    disk.mkdir()  # the mount point
    store = await keeping.start()
    assert not registered(keeping, store).available
    disk.rmdir()
    away.rename(disk)
    await heart(keeping, store).beat()
    assert registered(keeping, store).available
    assert registered(keeping, store).identity == before.volume.identity


@pytest_twisted.ensureDeferred
async def test_the_identity_of_a_disk_that_is_away_is_not_forgotten(keeping: Keeping) -> None:
    before = await keeping.start()
    disk = before.volume.disk.root
    disk.rename(keeping.folder / "away")
    store = await keeping.start()
    heartbeat = heart(keeping, store)
    for _ in range(2):
        await heartbeat.beat()
        keeping.clock.advance(FRESH)
    assert registered(keeping, store).identity == before.volume.identity
    assert not disk.exists()  # nothing was made in its place


@pytest_twisted.ensureDeferred
async def test_the_room_is_written_down_now_and_then(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await keeping.start()
    heartbeat = heart(keeping, store)
    await heartbeat.beat()
    values = [*os.statvfs(keeping.folder)]
    values[1:5] = [4096, 1000, 500, 450]
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(values))
    before = await revision(keeping, store)
    keeping.clock.advance(FRESH - 1)
    await heartbeat.beat()
    assert await revision(keeping, store) == before
    keeping.clock.advance(1)
    await heartbeat.beat()
    assert await revision(keeping, store) != before
    assert registered(keeping, store).free == 450 * 4096
    assert registered(keeping, store).capacity == 1000 * 4096


@pytest_twisted.ensureDeferred
async def test_an_administrators_word_is_left_alone(keeping: Keeping) -> None:
    store = await keeping.start()
    shut = evolve(registered(keeping, store), active=False)
    await keeping.database.write(
        lambda c: c.execute(
            "UPDATE documents SET rev = '9-x', body = json_set(body, '$.active', json('false'))"
        )
    )
    await heart(keeping, store).beat()
    keeping.clock.advance(FRESH)
    await keeping.registry.load()
    await heart(keeping, store).beat()
    assert registered(keeping, store).active == shut.active


@pytest_twisted.ensureDeferred
async def test_a_store_that_nobody_registered_is_looked_at_and_not_written_down(
    keeping: Keeping,
) -> None:
    store = keeping.holdings()
    await heart(keeping, store).beat()
    assert store.volume.usable
    assert keeping.registry.peers() == []


@pytest_twisted.ensureDeferred
async def test_a_disk_that_fails_does_not_hide_its_neighbour(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [await keeping.start(name) for name in ("s1", "s2", "s3")]
    (stores[2].volume.disk.root / IDENTITY).unlink()
    with monkeypatch.context() as faulty:
        fail(faulty, "statvfs", errno.EIO, on="s1")
        await heart(keeping, *stores).beat()
    assert [registered(keeping, store).available for store in stores] == [False, True, False]


@pytest_twisted.ensureDeferred
async def test_a_store_that_cannot_be_looked_at_does_not_keep_the_others_from_it(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [await keeping.start(name) for name in ("s1", "s2")]
    (second.volume.disk.root / IDENTITY).unlink()

    async def broken() -> None:
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr(first, "look", broken)
    with pytest.raises(RuntimeError, match="nobody expected"):
        await heart(keeping, first, second).beat()
    assert not registered(keeping, second).available
