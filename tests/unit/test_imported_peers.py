"""Peers that were imported from 2.x, and start."""

from pathlib import Path

import pytest
import pytest_twisted
from attrs import evolve

from oose.errors import Conflict
from oose.moving.old_documents import translated
from oose.peer import Peer
from oose.repairing.fleet import Absences
from tests.unit.keeping import NOW, Keeping, peer_of
from tests.unit.logged import logged

OLD = {"name": "s1", "prism": "p1", "host": "10.0.0.1", "port": 5972, "active": False}


@pytest.fixture
def imported() -> Peer:
    found = translated("oose:store:p1:s1", OLD, NOW)
    assert isinstance(found, Peer)
    return found


@pytest_twisted.ensureDeferred
async def test_it_starts_wherever_it_is_now(imported: Peer, tmp_path: Path) -> None:
    keeping = await Keeping.begin(tmp_path)
    registry, documents = keeping.registry, keeping.registry._documents
    await documents.put(imported.id, imported.to_body())
    await registry.load()
    assert registry.serving("p1:s1") is None
    started = peer_of(keeping.holdings("s1"))
    known = await registry.register(evolve(started, available=True))
    assert (known.machine, known.created, known.active) == ("machine1", NOW, False)
    with pytest.raises(Conflict, match="held by"):
        await registry.register(evolve(started, machine="another"))
    with pytest.raises(Conflict, match="held by"):
        await registry.register(evolve(started, prism="p2"))
    await keeping.database.close()


@pytest_twisted.ensureDeferred
async def test_a_new_disk_for_one_that_is_lost_has_another_name(tmp_path: Path) -> None:
    before = await Keeping.begin(tmp_path)
    old = await before.start("s1")
    record = await before.put(old, b"a film")
    peer = evolve(peer_of(old), available=False)
    await before.database.close()
    (tmp_path / "new").mkdir()
    keeping = await Keeping.begin(tmp_path / "new")
    await keeping.registry._documents.put(peer.id, peer.to_body())
    await keeping.inventory.put(record.id, record.to_body())
    await keeping.registry.load()
    with logged("error") as said:
        assert not (await keeping.start("s1")).volume.usable
    assert "`oose peer remove s1`" in said[0]
    assert "another name" in said[0]
    await keeping.registry.remove(peer.id)
    with logged("error"):
        assert not (await keeping.start("s1")).volume.usable  # it has records
    await keeping.registry.remove(peer.id)
    assert (await keeping.start("s2")).volume.usable
    fleet = Absences(keeping.registry, 3600.0).fleet(NOW)
    assert [fleet.standing(place) for place in ("p1:s1", "p1:s2")] == ["gone", "there"]
    await keeping.database.close()


@pytest_twisted.ensureDeferred
async def test_its_name_is_its_prisms(imported: Peer, tmp_path: Path) -> None:
    keeping = await Keeping.begin(tmp_path)
    await keeping.registry._documents.put(imported.id, imported.to_body())
    await keeping.registry.load()
    with pytest.raises(Conflict, match="held by"):
        await keeping.registry.register(evolve(peer_of(keeping.holdings("s1")), prism="p2"))
    await keeping.database.close()
