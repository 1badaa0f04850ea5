import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import Deferred

from oose.disk import IDENTITY
from oose.errors import NotAllowed, OoseError, Unavailable
from oose.holdings import Holdings
from oose.registry import Peer
from oose.upkeep import Upkeep
from tests.unit.faults import fail
from tests.unit.keeping import NOW, Keeping
from tests.unit.logged import debugged, logged


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    keeping.clock.advance(1000.0)  # machines do not start at 1970 either
    yield keeping
    await keeping.database.close()


def upkeep(keeping: Keeping, *stores: Holdings) -> Upkeep:
    own = [f"store:{store.place}" for store in stores]
    return Upkeep(["prism:p1", *own], stores, keeping.registry, keeping.now)


async def look(keeping: Keeping, *stores: Holdings) -> None:
    """One look at each disk."""
    for store in stores:
        await upkeep(keeping, store).look_after(store)


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
    away = keeping.folder / "away"
    for _ in range(2):
        store.volume.disk.root.rename(away)
        await look(keeping, store)
        assert not registered(keeping, store).available
        assert keeping.registry.serving(store.place) is None
        away.rename(store.volume.disk.root)
        await look(keeping, store)
        assert registered(keeping, store).available
        assert keeping.registry.serving(store.place) is not None


@pytest_twisted.ensureDeferred
async def test_a_disk_that_comes_after_the_start_is_taken_into_use(keeping: Keeping) -> None:
    before = await keeping.start()
    before.volume.release()  # its process has ended
    disk = before.volume.disk.root
    away = keeping.folder / "away"
    disk.rename(away)
    disk.mkdir()  # the mount point
    store = await keeping.start()
    assert not registered(keeping, store).available
    disk.rmdir()
    away.rename(disk)
    await look(keeping, store)
    assert registered(keeping, store).available
    assert registered(keeping, store).identity == before.volume.identity


@pytest_twisted.ensureDeferred
async def test_the_identity_of_a_disk_that_is_away_is_not_forgotten(keeping: Keeping) -> None:
    before = await keeping.start()
    before.volume.release()  # its process has ended
    disk = before.volume.disk.root
    disk.rename(keeping.folder / "away")
    store = await keeping.start()
    keeper = upkeep(keeping, store)
    for _ in range(2):
        await keeper.look_after(store)
        await keeper.renew()
    assert registered(keeping, store).identity == before.volume.identity
    assert not disk.exists()  # nothing was made in its place


@pytest_twisted.ensureDeferred
async def test_the_room_is_written_down_now_and_then(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await keeping.start()
    keeper = upkeep(keeping, store)
    values = [*os.statvfs(keeping.folder)]
    values[1:5] = [4096, 1000, 500, 450]
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(values))
    before = await revision(keeping, store)
    await keeper.look_after(store)
    assert await revision(keeping, store) == before
    await keeper.renew()
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
    await look(keeping, store)
    await upkeep(keeping, store).renew()
    await keeping.registry.load()
    assert registered(keeping, store).active == shut.active


@pytest_twisted.ensureDeferred
async def test_a_store_that_nobody_registered_is_looked_at_and_not_written_down(
    keeping: Keeping,
) -> None:
    store = keeping.holdings()
    await look(keeping, store)
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
        await look(keeping, *stores)
    assert [registered(keeping, store).available for store in stores] == [False, True, False]


@pytest_twisted.ensureDeferred
async def test_a_disk_that_hangs_or_fails_in_a_new_way_keeps_nobody_from_the_others(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [await keeping.start(name) for name in ("s1", "s2", "s3")]
    (stores[2].volume.disk.root / IDENTITY).unlink()

    async def hang() -> None:
        await Deferred()

    async def broken() -> None:
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr(stores[0], "look", hang)
    monkeypatch.setattr(stores[1], "look", broken)
    before = await revision(keeping, stores[0])
    for loop in upkeep(keeping, *stores).loops(keeping.clock, 5.0, 20.0):
        loop.start()
    with logged("critical") as events:
        keeping.clock.pump([5.0] * 4)
    assert events == ["Looking after p1:s2 failed; the next round comes all the same"] * 4
    assert not registered(keeping, stores[2]).available
    assert await revision(keeping, stores[0]) != before


# Renewals


PRISM = Peer("prism", "p1", "p1", "192.0.2.1", 5971, "", "main", "machine1", "3.0.0", NOW)


@pytest_twisted.ensureDeferred
async def test_all_of_a_process_is_renewed_at_once(keeping: Keeping) -> None:
    stores = [await keeping.start(name) for name in ("s1", "s2")]
    await keeping.registry.register(PRISM)
    keeper = upkeep(keeping, *stores)
    assert not keeper.contact.is_there
    await keeper.renew()
    await keeping.registry.load()
    assert {peer.renewed for peer in keeping.registry.peers()} == {keeping.now()}
    assert keeper.contact.is_there


@pytest_twisted.ensureDeferred
async def test_a_prism_that_was_voted_down_renews_what_is_registered(keeping: Keeping) -> None:
    await keeping.registry.register(PRISM)
    await keeping.registry.vote_down(PRISM.id)
    await upkeep(keeping).renew()
    (peer,) = keeping.registry.peers()
    assert (peer.available, peer.voted, peer.renewed) == (False, True, keeping.now())


@pytest_twisted.ensureDeferred
async def test_a_disk_that_goes_while_its_store_is_voted_down_is_no_longer_their_business(
    keeping: Keeping,
) -> None:
    store = await keeping.start()
    await keeping.registry.vote_down(f"store:{store.place}")
    await look(keeping, store)
    assert registered(keeping, store).voted
    store.volume.disk.root.rename(keeping.folder / "away")
    keeper = upkeep(keeping, store)
    await keeper.look_after(store)
    await keeper.renew()
    assert (registered(keeping, store).available, registered(keeping, store).voted) == (False,) * 2


@pytest.mark.parametrize(
    ("error", "told"),
    [(Unavailable("No route"), []), (NotAllowed("No"), ["Our peers cannot be renewed: No"])],
    ids=["away", "refused"],
)
@pytest_twisted.ensureDeferred
async def test_a_database_that_fails_is_noticed_and_told_once_unless_others_tell_it(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch, error: OoseError, told: list[str]
) -> None:
    keeper = upkeep(keeping, await keeping.start())
    await keeper.renew()

    async def away(_: object) -> None:
        raise error

    with monkeypatch.context() as faulty, logged("warn") as warnings:
        faulty.setattr(keeping.registry, "renew", away)
        for _ in range(3):
            await keeper.renew()
    assert (keeper.contact.is_there, keeper.contact.losses) == (False, 3)
    assert warnings == told
    await keeper.renew()
    assert keeper.contact.is_there


@pytest_twisted.ensureDeferred
async def test_a_renewal_that_fails_in_a_new_way_counts_as_failed(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = upkeep(keeping, await keeping.start())

    async def broken(_: object) -> None:
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr(keeping.registry, "renew", broken)
    with pytest.raises(RuntimeError, match="nobody expected"):
        await keeper.renew()
    assert keeper.contact.losses == 1


@pytest_twisted.ensureDeferred
async def test_a_look_at_a_disk_is_one_line_for_whoever_looks_closely(keeping: Keeping) -> None:
    store = await keeping.start()
    with debugged("oose:heartbeat") as said:
        await look(keeping, store)
        store.volume.disk.root.rename(keeping.folder / "away")
        await look(keeping, store)
    free = store.volume.space.free
    assert said == [f"p1:s1: there, {free} bytes free", f"p1:s1: not there, {free} bytes free"]
