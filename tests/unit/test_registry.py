from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose.embedded import EmbeddedDatabase, EmbeddedDocuments
from oose.errors import Conflict, NotFound
from oose.metadata.documents import Document, Documents, Stale
from oose.pool import Inline
from oose.registry import Peer, Registry
from tests.unit.logged import logged

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


# What others write


@pytest_twisted.ensureDeferred
async def test_changed_peers_are_read_again_in_one_request(documents: Documents) -> None:
    writer, registry = await loaded(documents), await loaded(documents)
    await writer.register(PRISM)
    await writer.register(STORE)
    await registry.apply([PRISM.id, STORE.id, "_design/anything"])
    assert registry.peers() == [PRISM, STORE]
    await writer.deactivate(STORE.id)
    await writer.remove(STORE.id)
    await registry.apply([STORE.id])
    assert registry.peers() == [PRISM]
    await registry.apply([])
    await registry.load()
    assert registry.peers() == [PRISM]


@pytest_twisted.ensureDeferred
async def test_what_was_removed_is_not_there_after_all_was_read_again(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(STORE)
    await documents.delete(STORE.id, (await written(documents, STORE)).rev)
    await registry.load()
    assert registry.peers() == []


@pytest_twisted.ensureDeferred
async def test_a_peer_that_nobody_understands_is_told_and_left_out(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(STORE)
    await registry.register(PRISM)
    document = await written(documents, STORE)
    await documents.put(STORE.id, {"name": "by hand"}, document.rev)
    with logged("error") as errors:
        await registry.apply([STORE.id])
    assert registry.peers() == [PRISM]
    assert errors == ["The peer store:p1:s1 cannot be understood: KeyError('prism')"]


@pytest_twisted.ensureDeferred
async def test_the_edition_changes_with_who_there_is_and_who_counts(documents: Documents) -> None:
    registry = await loaded(documents)
    editions = [registry.edition]
    await registry.register(STORE)
    editions.append(registry.edition)
    await registry.vote_down(STORE.id)
    editions.append(registry.edition)
    await registry.update(evolve(STORE, available=False))
    editions.append(registry.edition)
    await registry.remove(STORE.id)
    editions.append(registry.edition)
    assert len(set(editions)) == 5
    await registry.register(STORE)
    before = registry.edition
    await registry.renew([evolve(STORE, renewed=5, free=7)])
    await registry.apply([STORE.id])
    await registry.load()
    assert registry.edition == before


# Several who write


@pytest_twisted.ensureDeferred
async def test_several_are_renewed_although_somebody_else_wrote_one(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(STORE)
    await registry.register(PRISM)
    await edit(documents, STORE, writable=False)
    told = await registry.renew([evolve(STORE, renewed=5), evolve(PRISM, renewed=5)])
    assert told == [evolve(STORE, renewed=5, writable=False), evolve(PRISM, renewed=5)]
    assert (await loaded(documents)).peers() == [told[1], told[0]]


@pytest_twisted.ensureDeferred
async def test_who_was_removed_is_not_made_again_by_a_renewal(documents: Documents) -> None:
    registry, other = await loaded(documents), await loaded(documents)
    await registry.register(STORE)
    await registry.register(PRISM)
    await other.deactivate(STORE.id)
    await other.remove(STORE.id)
    await registry.renew([evolve(STORE, renewed=5), evolve(PRISM, renewed=5)])
    assert registry.peers() == [evolve(PRISM, renewed=5)]
    assert (await loaded(documents)).peers() == [evolve(PRISM, renewed=5)]


@pytest_twisted.ensureDeferred
async def test_a_vote_stands_until_it_is_taken_back_or_the_peer_starts_or_stops(
    documents: Documents,
) -> None:
    own, watcher = await loaded(documents), await loaded(documents)
    await own.register(STORE)
    await watcher.load()
    assert await watcher.vote_down(STORE.id)
    down = evolve(STORE, available=False, voted=True)
    assert await own.update(evolve(STORE, renewed=5)) == evolve(down, renewed=5)
    assert not await watcher.vote_down(STORE.id)
    assert not await watcher.bring_back(STORE.id)  # it has been renewed meanwhile
    assert await watcher.bring_back(STORE.id)
    assert (await loaded(documents)).store("p1:s1") == evolve(STORE, renewed=5)
    assert not await watcher.bring_back(STORE.id)
    await watcher.vote_down(STORE.id)
    assert await (await loaded(documents)).register(STORE) == STORE
    await watcher.load()
    await watcher.vote_down(STORE.id)
    assert await own.update(evolve(STORE, available=False)) == evolve(STORE, available=False)
    assert not await watcher.vote_down("store:p1:unknown")


@pytest_twisted.ensureDeferred
async def test_who_was_stopped_is_not_brought_back(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(STORE)
    await registry.update(evolve(STORE, available=False))
    assert not await registry.vote_down(STORE.id)
    assert not await registry.bring_back(STORE.id)
    assert await registry.update(STORE) == STORE


@pytest_twisted.ensureDeferred
async def test_a_start_that_changes_nothing_writes_nothing(documents: Documents) -> None:
    await (await loaded(documents)).register(STORE)
    before = (await written(documents, STORE)).rev
    assert await (await loaded(documents)).register(STORE) == STORE
    assert (await written(documents, STORE)).rev == before


class Together:
    """Documents of which one is written just before ours."""

    def __init__(self, documents: Documents, other: Peer) -> None:
        self._documents = documents
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    async def put(self, document_id: str, body: Any, rev: str | None = None) -> str | Stale:
        await self._documents.put(self._other.id, self._other.to_body())
        return await self._documents.put(document_id, body, rev)


@pytest.mark.parametrize(
    "other",
    [evolve(STORE, prism="p2"), evolve(STORE, machine="machine2")],
    ids=["prism", "machine"],
)
@pytest_twisted.ensureDeferred
async def test_of_two_that_take_one_name_at_the_same_moment_not_both_have_it(
    documents: Documents, other: Peer
) -> None:
    registry = await loaded(Together(documents, other))
    with pytest.raises(Conflict, match="'s1' is held by"):
        await registry.register(STORE)
    assert (await loaded(documents)).peers() == [other]


# The administrator


@pytest_twisted.ensureDeferred
async def test_an_order_is_written_and_stands(documents: Documents) -> None:
    own, administrator = await loaded(documents), await loaded(documents)
    await own.register(STORE)
    assert not (await administrator.deactivate(STORE.id)).active
    assert not (await administrator.set_writable(STORE.id, False)).writable
    assert await own.update(evolve(STORE, free=5)) == evolve(
        STORE, free=5, active=False, writable=False
    )
    await administrator.set_writable(STORE.id, True)
    assert await administrator.activate(STORE.id) == evolve(STORE, free=5)
    before = (await written(documents, STORE)).rev
    await administrator.activate(STORE.id)
    assert (await written(documents, STORE)).rev == before


@pytest_twisted.ensureDeferred
async def test_an_order_that_came_too_late_is_given_again(documents: Documents) -> None:
    await (await loaded(documents)).register(STORE)
    administrator = await loaded(Interrupted(documents))
    after = await administrator.deactivate(STORE.id)
    assert after == evolve(STORE, active=False, writable=False)
    assert (await loaded(documents)).peers() == [after]


@pytest_twisted.ensureDeferred
async def test_there_is_no_order_for_whom_nobody_knows(documents: Documents) -> None:
    registry = await loaded(documents)
    with pytest.raises(NotFound, match="no peer store:p1:s1"):
        await registry.activate(STORE.id)
    with pytest.raises(NotFound, match="no peer store:p1:s1"):
        await registry.remove(STORE.id)


@pytest_twisted.ensureDeferred
async def test_who_is_in_use_is_not_removed(documents: Documents) -> None:
    registry = await loaded(documents)
    await registry.register(STORE)
    with pytest.raises(Conflict, match="p1:s1 is in use"):
        await registry.remove(STORE.id)
    await registry.vote_down(STORE.id)
    await registry.remove(STORE.id)
    assert registry.peer(STORE.id) is None
    assert (await loaded(documents)).peers() == []


class Renewed(Interrupted):
    """Documents of which somebody else writes one just before the first removal."""

    async def delete(self, document_id: str, rev: str) -> str | Stale:
        if not self.refused:
            await edit(self._documents, STORE, renewedAt=5)
        answer = await self._documents.delete(document_id, rev)
        self.refused += isinstance(answer, Stale)
        return answer


@pytest_twisted.ensureDeferred
async def test_who_has_written_meanwhile_is_removed_all_the_same(documents: Documents) -> None:
    own = await loaded(documents)
    await own.register(STORE)
    await own.update(evolve(STORE, available=False))
    renewed = Renewed(documents)
    await (await loaded(renewed)).remove(STORE.id)
    assert renewed.refused == 1
    assert await documents.get(STORE.id) is None


class Forgetful:
    """Documents of which a range misses what was written last, as it may in a cluster."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    async def range(self, start: str, end: str, *, limit: int | None = None) -> Any:
        return (await self._documents.range(start, end))[:-1]


@pytest_twisted.ensureDeferred
async def test_a_peer_knows_itself_although_a_range_misses_it(documents: Documents) -> None:
    await (await loaded(documents)).register(PRISM)
    registry = await loaded(Forgetful(documents))
    await registry.register(STORE)
    assert registry.store("p1:s1") == STORE
