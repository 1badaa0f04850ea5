from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose.embedded import EmbeddedDatabase, EmbeddedDocuments
from oose.errors import Conflict
from oose.metadata.documents import Document, Documents, Stale
from oose.pool import Inline
from oose.registry import Peer, Registry

PRISM = Peer(
    kind="prism",
    name="p1",
    prism="p1",
    host="192.0.2.1",
    port=5971,
    url="https://p1.example:5971",
    group="main",
    machine="machine1",
    version="3.0.0",
    created=1_700_000_000_000,
)
STORE = evolve(
    PRISM,
    kind="store",
    name="s1",
    port=5972,
    url="https://s1.example:5972",
    capacity=1000,
    free=400,
    identity="a1b2",
)


@pytest_twisted.async_yield_fixture
async def documents(tmp_path: Path) -> AsyncIterator[Documents]:
    database = EmbeddedDatabase(tmp_path / "x.sqlite", writer=Inline(), readers=Inline())
    await database.open()
    yield EmbeddedDocuments(database, "peer")
    await database.close()


async def loaded(documents: Documents) -> Registry:
    registry = Registry(documents)
    await registry.load()
    return registry


async def written(documents: Documents, peer: Peer) -> Document:
    document = await documents.get(peer.id)
    assert document is not None
    return document


async def edit(documents: Documents, peer: Peer, **fields: Any) -> None:
    """What an administrator changes behind the process's back."""
    document = await written(documents, peer)
    await documents.put(document.id, {**document.body, **fields}, document.rev)


# A peer


@pytest.mark.parametrize(
    ("peer", "place", "document_id"),
    [(PRISM, "p1", "prism:p1"), (STORE, "p1:s1", "store:p1:s1")],
)
def test_a_peer_is_called_by_its_place(peer: Peer, place: str, document_id: str) -> None:
    assert (peer.place, peer.id) == (place, document_id)


@pytest.mark.parametrize("peer", [PRISM, STORE, evolve(STORE, identity=None, active=False)])
def test_a_peer_comes_back_from_its_document_as_it_was(peer: Peer) -> None:
    assert Peer.from_document(Document(peer.id, "1-x", peer.to_body())) == peer


def test_the_document_of_a_prism_says_nothing_of_a_disk() -> None:
    assert not {"capacity", "free", "identity", "prism"} & set(PRISM.to_body())
    assert {"capacity", "free", "identity", "prism"} <= set(STORE.to_body())


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("available", [True, False])
def test_a_peer_counts_by_the_administrators_word_and_the_clusters(
    active: bool, available: bool
) -> None:
    assert evolve(STORE, active=active, available=available).counts is (active and available)


# Who there is


@pytest_twisted.ensureDeferred
async def test_what_is_registered_is_there_for_other_processes(documents: Documents) -> None:
    registry = await loaded(documents)
    assert await registry.register(STORE) == STORE
    assert await registry.register(PRISM) == PRISM
    for each in (registry, await loaded(documents)):
        assert each.peers() == [PRISM, STORE]
        assert each.store("p1:s1") == STORE
        assert each.serving("p1:s1") == STORE


@pytest_twisted.ensureDeferred
async def test_nothing_is_known_before_it_is_registered(documents: Documents) -> None:
    registry = await loaded(documents)
    assert registry.peers() == []
    assert registry.store("p1:s1") is None
    assert registry.serving("p1:s1") is None


@pytest.mark.parametrize("which", [PRISM, STORE])
@pytest.mark.parametrize("word", ["active", "available"])
@pytest_twisted.ensureDeferred
async def test_a_store_serves_when_it_counts_and_its_prism_does(
    documents: Documents, which: Peer, word: str
) -> None:
    registry = await loaded(documents)
    await registry.register(PRISM)
    await registry.register(STORE)
    await edit(documents, which, **{word: False})
    await registry.load()
    assert registry.serving("p1:s1") is None
    assert registry.store("p1:s1") is not None


@pytest_twisted.ensureDeferred
async def test_a_store_serves_without_a_prism_of_its_own(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(STORE)
    assert registry.serving("p1:s1") == STORE


# Registration


@pytest_twisted.ensureDeferred
async def test_a_second_start_keeps_what_only_the_first_knew(documents: Documents) -> None:
    await (await loaded(documents)).register(STORE)
    await edit(documents, STORE, active=False, writable=False)
    registry = await loaded(documents)
    again = evolve(STORE, created=STORE.created + 5, identity=None, version="3.1.0", port=1)
    assert await registry.register(again) == evolve(
        STORE, active=False, writable=False, version="3.1.0", port=1
    )
    assert registry.serving("p1:s1") is None


@pytest_twisted.ensureDeferred
async def test_a_disk_that_was_given_a_new_identity_is_known_by_it(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(STORE)
    await registry.register(evolve(STORE, identity="c3d4"))
    found = (await loaded(documents)).store("p1:s1")
    assert found is not None
    assert found.identity == "c3d4"


@pytest.mark.parametrize(
    "other",
    [evolve(STORE, prism="p2"), evolve(STORE, machine="machine2")],
    ids=["prism", "machine"],
)
@pytest_twisted.ensureDeferred
async def test_a_stores_name_is_held_by_one_prism_on_one_machine(
    documents: Documents, other: Peer
) -> None:
    await (await loaded(documents)).register(STORE)
    registry = await loaded(documents)
    with pytest.raises(Conflict, match="'s1' is held by p1:s1 on machine1"):
        await registry.register(other)
    assert (await loaded(documents)).peers() == [STORE]


@pytest_twisted.ensureDeferred
async def test_names_of_prisms_and_stores_do_not_clash(documents: Documents) -> None:
    registry = await loaded(documents)
    same = [PRISM, evolve(STORE, name="p1"), STORE, evolve(STORE, name="s2")]
    for peer in same:
        await registry.register(peer)
    assert {peer.id for peer in registry.peers()} == {peer.id for peer in same}


@pytest_twisted.ensureDeferred
async def test_a_prism_may_move_to_another_machine(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(PRISM)
    moved = evolve(PRISM, machine="machine2", host="192.0.2.2")
    assert await registry.register(moved) == moved


# Updates


@pytest_twisted.ensureDeferred
async def test_what_has_not_changed_is_not_written(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(STORE)
    before = (await written(documents, STORE)).rev
    assert await registry.update(evolve(STORE)) == STORE
    assert (await written(documents, STORE)).rev == before


@pytest_twisted.ensureDeferred
async def test_an_update_leaves_the_administrators_word_alone(documents: Documents) -> None:
    """Also when it was given since the peers were loaded."""
    registry = await loaded(documents)
    await registry.register(STORE)
    await edit(documents, STORE, active=False, writable=False)
    after = await registry.update(evolve(STORE, free=5))
    assert after == evolve(STORE, free=5, active=False, writable=False)
    assert registry.store("p1:s1") == after
    assert (await loaded(documents)).store("p1:s1") == after


class Interrupted:
    """Documents of which somebody else writes one just before the first write."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    async def put(self, document_id: str, body: Any, rev: str | None = None) -> str | Stale:
        if not self.refused:
            await edit(self._documents, STORE, writable=False)
        answer = await self._documents.put(document_id, body, rev)
        self.refused += isinstance(answer, Stale)
        return answer


@pytest_twisted.ensureDeferred
async def test_an_update_that_came_too_late_is_made_again(documents: Documents) -> None:
    await (await loaded(documents)).register(STORE)
    interrupted = Interrupted(documents)
    registry = await loaded(interrupted)
    after = await registry.update(evolve(STORE, free=5))
    assert after == evolve(STORE, free=5, writable=False)
    assert interrupted.refused == 1
    assert (await loaded(documents)).peers() == [after]
