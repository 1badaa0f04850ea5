"""What a prism tells the others of its part of all content, in its document."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest_twisted
from attrs import define, evolve, field

from oose.embedded import EmbeddedDocuments
from oose.existence import Existence
from oose.membership import Membership
from oose.metadata.documents import Document
from oose.peer import Peer
from oose.reachability import Reachability, Refused
from oose.settings import Settings
from oose.settings.model import CouchSettings, PrismSettings
from oose.upkeep import Upkeep
from tests.unit.keeping import NOW, Keeping

PRISM = Peer("prism", "p1", "p1", "h", 1, "u", "g", "m", "3", NOW)
CARE = {"repair": {"contents": 3}}
COUCH = CouchSettings(url="http://x", username="x", password="x")
CLUSTER = Settings(
    path=None, root=Path("/"), machine="m", prism=PrismSettings(), stores=(), couchdb=COUCH
)


@pytest_twisted.async_yield_fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = await Keeping.begin(tmp_path)
    yield keeping
    await keeping.database.close()


def care_of(keeping: Keeping, peer_id: str) -> Mapping[str, Any] | None:
    peer = keeping.registry.peer(peer_id)
    assert peer is not None
    return peer.care


def test_a_document_without_it_can_be_read() -> None:
    assert "care" not in PRISM.to_body()
    assert Peer.from_document(Document("prism:p1", "1-a", PRISM.to_body())) == PRISM
    told = evolve(PRISM, care=CARE)
    assert Peer.from_document(Document("prism:p1", "1-a", told.to_body())) == told
    assert told != PRISM
    assert hash(told) == hash(PRISM)


@pytest_twisted.ensureDeferred
async def test_it_is_renewed_with_the_prisms_document(keeping: Keeping) -> None:
    store = await keeping.start()
    await keeping.registry.register(PRISM)
    own = ["prism:p1", "store:p1:s1"]
    await Upkeep(own, [store], keeping.registry, keeping.now, lambda: CARE).renew()
    assert care_of(keeping, "prism:p1") == CARE
    assert care_of(keeping, "store:p1:s1") is None
    await keeping.registry.register(PRISM)  # it has started again, and nothing is known yet
    assert care_of(keeping, "prism:p1") == CARE
    await Upkeep(own, [store], keeping.registry, keeping.now).renew()
    assert care_of(keeping, "prism:p1") is None


@pytest_twisted.ensureDeferred
async def test_who_refuses_us_is_no_other_for_what_it_tells(keeping: Keeping) -> None:
    async def ping(peer: Peer) -> None:
        raise AssertionError(peer.id)

    await keeping.registry.register(PRISM)
    reachability = Reachability(ping, keeping.registry, keeping.clock, timeout=1, concurrency=1)
    reachability.failed("p1", Refused("no"))
    await keeping.registry.update(evolve(PRISM, care=CARE))
    assert reachability.avoids("p1")


@define
class Told:
    """Stands for repair."""

    hints: list[str] = field(factory=list)
    misses: int = 0

    def hint(self, ids: Sequence[str]) -> None:
        self.hints += ids

    def missed(self) -> None:
        self.misses += 1

    def care(self) -> Mapping[str, Any]:
        return CARE


@define
class Kept:
    """Databases that others write to."""

    peer: EmbeddedDocuments
    inventory: EmbeddedDocuments
    content: EmbeddedDocuments
    heartbeat: EmbeddedDocuments


def membership(keeping: Keeping, settings: Settings, **more: Any) -> Membership:
    names: Any = ("peer", "inventory", "content", "heartbeat")
    databases: Any = Kept(*(EmbeddedDocuments(keeping.database, name) for name in names))
    reachability: Any = Reachability(
        lambda peer: None,  # type: ignore[arg-type,return-value] # nobody is pinged
        keeping.registry,
        keeping.clock,
        timeout=1,
        concurrency=1,
    )
    return Membership(
        ["prism:p1"],
        [],
        databases,
        keeping.registry,
        keeping.existence,
        reachability,
        settings,
        clock=keeping.clock,
        now=keeping.now,
        chance=lambda: 0.5,
        **more,
    )


@pytest_twisted.ensureDeferred
async def test_repair_is_told_what_is_written_and_what_may_have_been(keeping: Keeping) -> None:
    await keeping.registry.register(PRISM)
    told = Told()
    part = membership(keeping, CLUSTER, repairing=told)
    part.join()
    assert told.misses == 1
    await keeping.inventory.put("ab:p1:s1", {})
    keeping.clock.advance(1)
    assert told.hints == ["ab:p1:s1"]
    for _ in range(30):
        keeping.clock.advance(1)
    assert care_of(keeping, "prism:p1") == CARE
    await part.leave()


@pytest_twisted.ensureDeferred
async def test_where_nobody_repairs_nobody_is_told(keeping: Keeping) -> None:
    await keeping.registry.register(PRISM)
    existence: Existence = keeping.existence
    part = membership(keeping, CLUSTER)
    part.join()
    await existence.records("ab")
    await keeping.inventory.put("ab:p1:s1", {})
    keeping.clock.advance(1)
    assert existence.known() == {}
    await part.leave()
    assert care_of(keeping, "prism:p1") is None
