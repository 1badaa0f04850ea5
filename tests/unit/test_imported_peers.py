"""Peers that were imported from 2.x, and start."""

from pathlib import Path

import pytest
import pytest_twisted
from attrs import evolve

from oose.errors import Conflict
from oose.moving.old_documents import translated
from oose.peer import Peer
from tests.unit.keeping import NOW, Keeping, peer_of

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
async def test_its_name_is_its_prisms(imported: Peer, tmp_path: Path) -> None:
    keeping = await Keeping.begin(tmp_path)
    await keeping.registry._documents.put(imported.id, imported.to_body())
    await keeping.registry.load()
    with pytest.raises(Conflict, match="held by"):
        await keeping.registry.register(evolve(peer_of(keeping.holdings("s1")), prism="p2"))
    await keeping.database.close()
