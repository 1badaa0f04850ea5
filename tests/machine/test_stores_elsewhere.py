"""What prisms ask stores in other processes, and what stores make of connections."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from oose.errors import NotFound, Unavailable
from oose.metadata.records import InventoryRecord
from oose.peers.answers import Unreachable
from oose.peers.links import MOST_IDLE, MOST_USES, YOUNG, Link, Links
from oose.peers.remote import RemoteStore, usual_least
from oose.peers.sending import ClusterSender
from oose.reachability import Refused
from tests.machine.elsewhere import CREDENTIALS, Cluster, cluster, passing, send, turns, until
from tests.machine.talk import basic, connect, request

HELLO = hashlib.sha1(b"hello").hexdigest()


def remote(made: Cluster, place: str = "p1:s1") -> RemoteStore:
    store = made.keepers.get(place)
    assert isinstance(store, RemoteStore)
    return store


async def clone(made: Cluster) -> InventoryRecord:
    return await made.keeping.put(made.stores["s1"].holdings, b"hello", ext="txt")


# As candidates.


@pytest_twisted.ensureDeferred
async def test_a_store_is_a_candidate_as_its_peer_says(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1:g1") as made:
        store = remote(made)
        peer = made.keeping.registry.store("p1:s1")
        assert peer is not None
        candidate = store.candidate()
        assert candidate is not None
        assert (candidate.name, candidate.machine, candidate.group) == ("p1:s1", "m1", "g1")
        assert (candidate.free, candidate.min_free, candidate.load) == (peer.free, 0, 0)
        reception = store.receive("sha1")
        busy = store.candidate()
        assert busy is not None
        assert busy.load == 1
        await reception.withdraw()
        await reception.withdraw()
        assert store.load == 0
        assert made.told.answers == made.told.failures == []
        made.told.avoided.add("p1:s1")
        assert store.candidate() is None
        assert usual_least(peer) == 1_000_000_000


@pytest_twisted.ensureDeferred
async def test_a_store_that_does_not_serve_is_none(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        store = remote(made)
        await made.change("p1:s1", available=False)
        assert store.candidate() is None
        assert made.keepers.get("p1:s1") is None
        assert made.keepers.all() == []
        with pytest.raises(Unavailable, match="p1:s1"):
            made.keepers.receive("p1:s1", "sha1")
        with pytest.raises(Unavailable, match="p1:s1"):
            await sender(made).send(await clone(made), "p1:s1")


@pytest_twisted.ensureDeferred
async def test_a_store_that_has_moved_is_asked_where_it_is_now(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        before = remote(made)
        assert remote(made) is before
        await made.change("p1:s1", url="http://127.0.0.1:9")
        assert remote(made).url == "http://127.0.0.1:9"


# Questions.


@pytest_twisted.ensureDeferred
async def test_a_clone_is_there_or_not_or_its_store_cannot_be_asked(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        record = await clone(made)
        store = remote(made)
        assert await store.holds(record)
        assert not await store.holds(evolve(record, hash="0" * 40))
        assert made.told.answers == ["p1:s1", "p1:s1"]
        await made.stores["s1"].die()
        assert not await store.holds(record)
        assert made.told.failures == ["p1:s1"]
        assert not await store.holds(record)
        assert made.told.failures == ["p1:s1"]


@pytest_twisted.ensureDeferred
async def test_a_store_that_refuses_our_credentials_has_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path, "s1:m1") as made:

        async def refuse(*what: Any) -> Any:
            raise Refused("s1 refuses our credentials")

        monkeypatch.setattr(made.peers, "ask", refuse)
        assert not await remote(made).holds(await clone(made))
        assert (made.told.failures, made.told.answers) == (["p1:s1"], [])


@pytest_twisted.ensureDeferred
async def test_a_clone_is_removed_with_its_record(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        record = await clone(made)
        store = remote(made)
        await store.remove(record.hash)
        assert await made.records(HELLO) == []
        assert made.stores["s1"].files() == []
        with pytest.raises(NotFound):
            await store.remove(record.hash)
        assert made.told.failures == []


@pytest_twisted.ensureDeferred
async def test_a_peer_that_stops_answering_is_asked_no_longer(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        made.stores["s1"].port.stopReading()
        asking = Deferred.fromCoroutine(made.peers.ask(remote(made).url, "/content/exists", {}))
        await passing(made, lambda: asking.called)
        assert 3 <= made.keeping.clock.seconds() < 4
        with pytest.raises(Unreachable, match="does not answer any more"):
            await asking


@pytest_twisted.ensureDeferred
async def test_a_question_that_nobody_wants_answered_is_given_up(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        made.stores["s1"].port.stopReading()
        url = remote(made).url
        link = made.peers.links(url).take()
        for work in (made.peers.ask(url, "/content/exists", {}), link.ask("POST", "/x", None)):
            asking = Deferred.fromCoroutine(work)
            await turns()
            asking.cancel()
            with pytest.raises(CancelledError):
                await asking
        link.close()


# Sending from one to another.


def sender(made: Cluster) -> ClusterSender:
    return ClusterSender(made.keeping.registry, made.peers, made.told)


@pytest_twisted.ensureDeferred
async def test_a_clone_is_sent_and_recorded_by_who_gets_it(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        record = await clone(made)
        with pytest.raises(Unavailable):
            await sender(made).send(record, "p1:s3")
        document = await made.keeping.inventory.get(record.id)
        assert document is not None
        known = evolve(record, sha256=hashlib.sha256(b"hello").hexdigest())
        await made.keeping.inventory.put(record.id, known.to_body(), document.rev)
        told = await sender(made).send(record, "p1:s2")
        assert await made.records(HELLO) == [known, told]
        await made.stores["s2"].die()
        with pytest.raises(Unavailable, match="p1:s2 does not answer"):
            await sender(made).send(record, "p1:s2")
        assert made.told.failures == ["p1:s2"]


# Links.


@pytest_twisted.ensureDeferred
async def test_a_link_is_used_again_while_it_is_young(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        links = made.peers.links(remote(made).url)
        link = links.take()
        await link.ask("POST", "/ping", None)
        links.give(link)
        assert links.take() is link
        links.give(link)
        made.keeping.clock.advance(YOUNG)
        assert links.take() is not link
        await until(lambda: made.stores["s1"].channels == [])
        with pytest.raises(Unavailable, match="given up"):
            await link.ask("POST", "/ping", None)


@pytest_twisted.ensureDeferred
async def test_a_link_that_was_lost_used_up_or_is_one_too_many_is_not_used_again(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        links = made.peers.links(remote(made).url)
        link = links.take()
        await link.ask("POST", "/ping", None)
        links.give(link)
        for channel in made.stores["s1"].channels:
            channel.transport.abortConnection()
        await until(lambda: link.is_lost)
        fresh = links.take()
        assert fresh is not link
        fresh.uses = MOST_USES
        links.give(fresh)
        assert fresh.is_lost
        many = [links.take() for _ in range(MOST_IDLE + 1)]
        for each in many:
            links.give(each)
        assert [each.is_lost for each in many] == [False] * MOST_IDLE + [True]
        links.close()
        assert links._idle == {}


@pytest_twisted.ensureDeferred
async def test_a_store_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        upload = made.uploads(1).open("sha1", None)
        made.stores["s1"].port.stopReading()
        upload.sink.feed(b"x" * 5_000_000)
        await until(lambda: not upload.sink._turn.locked)
        sending = Deferred.fromCoroutine(send(upload, b"more"))
        await passing(made, lambda: sending.called)
        assert 3 <= made.keeping.clock.seconds() < 4
        with pytest.raises(Unreachable, match="does not answer any more"):
            await sending
        assert made.told.failures == ["p1:s1"]


# Receptions that go wrong.


class Odd(Link):
    """A link over which a test answers."""

    def __init__(self, answer: Any) -> None:
        self.uses = 0
        self.answer = answer
        self.closed = False

    @property
    def peer(self) -> str:
        return "odd"

    @property
    def is_lost(self) -> bool:
        return self.closed

    def attended(self, moved: Any) -> Any:
        moved()

        class Nobody:
            def __enter__(self) -> None: ...

            def __exit__(self, *error: object) -> None: ...

        return Nobody()

    async def ask(self, method: str, path: str, body: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self, why: Any = None) -> None:
        self.closed = True


def odd(made: Cluster, answer: Any) -> Any:
    store = remote(made)
    store._links = Links(lambda: Odd(answer), made.keeping.clock)
    return store.receive("sha1")


@pytest_twisted.ensureDeferred
async def test_a_store_that_answers_nonsense_has_not_kept_it(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        with pytest.raises(Unavailable, match="did not say where"):
            await odd(made, {}).commit([b"hello"], HELLO, "txt")
        early = odd(made, {})
        with pytest.raises(Unavailable, match="before it had everything"):
            await early.write([b"hello"])
        with pytest.raises(Unavailable, match="before it had everything"):
            await early.seal()
        with pytest.raises(Unavailable, match="could not be sent"):
            await odd(made, ZeroDivisionError()).write([b"hello"])
        over = odd(made, {})
        await over.withdraw()
        with pytest.raises(Unavailable, match="given up"):
            await over.write([b"hello"])


@pytest_twisted.ensureDeferred
async def test_a_stopped_body_is_a_failure(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        reception: Any = remote(made).receive("sha1")
        await reception.write([b"hello"])
        reception._link.close()
        await until(lambda: reception._body.is_over)
        with pytest.raises(Unavailable, match="given up"):
            await reception.write([b"hello"])
        await reception.withdraw()
        assert made.told.failures == []


@pytest_twisted.ensureDeferred
async def test_an_upload_that_is_given_up_says_nothing_of_its_stores(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(b"x" * 5_000_000)
        await until(lambda: made.stores["s1"].leftovers() != [])
        await upload.abandon()
        await until(lambda: made.stores["s1"].channels == [])
        await turns()
        assert made.told.failures == made.told.answers == []
        assert made.stores["s1"].leftovers() == []


# A store's routes for it.


def put(path: str, body: bytes | None = None, **more: str) -> bytes:
    who = basic((CREDENTIALS.username, CREDENTIALS.password))
    return request("PUT", path, {"Connection": "keep-alive", **who, **more}, body)


@pytest_twisted.ensureDeferred
async def test_a_connection_holds_one_reception(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        store = await made.add("s1", "m1", max_upload=10)
        connection = await connect(store.port.getHost().port)
        for path, body, code, words in (
            (f"/content/commit/k/{HELLO}.txt", b"hellohellohello", 413, b"over the limit"),
            ("/content/receive/crc/k", b"hello", 400, b"not a hash type"),
        ):
            other = await connect(store.port.getHost().port)
            other.transport.write(put(path, body))
            await other.until(words)
            assert other.received.startswith(b"HTTP/1.1 %d" % code)
            other.transport.loseConnection()
        connection.transport.write(put("/content/receive/sha1/k", b"hello"))
        await connection.until(b"File received")
        connection.transport.write(put("/content/confirm/other", b"").replace(b"PUT", b"POST"))
        await connection.until(b"Nothing is received under this name")
        connection.transport.write(put("/content/receive/sha1/k2", b"hello"))
        await connection.until(b"A copy is being received on this connection")
        await connection.closed
        await until(lambda: store.leftovers() == [])


@pytest_twisted.ensureDeferred
async def test_what_was_received_is_not_added_to(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        store = made.stores["s1"]
        connection = await connect(store.port.getHost().port)
        connection.transport.write(put("/content/receive/sha1/k", b"hello"))
        await connection.until(b"File received")
        connection.transport.write(put(f"/content/commit/k/{HELLO}.txt", b"more"))
        await connection.until(b"What was received is whole already")
        await connection.closed
        await until(lambda: store.leftovers() == [])
        assert store.files() == []


@pytest_twisted.ensureDeferred
async def test_a_store_that_stops_lets_what_it_holds_be_finished(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        store = made.stores["s1"]
        upload = made.uploads(1).open("sha1", None)
        upload.sink.feed(b"hello")
        await upload.sink.seal()
        draining = Deferred.fromCoroutine(store.site.drain(30))
        await turns()
        assert not draining.called
        assert (await upload.settle("txt", "text/plain")).count == 1
        assert await draining == 0
        assert len(store.files()) == 1
        assert store.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_other_credentials_receive_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        connection = await connect(made.stores["s1"].port.getHost().port)
        line = put("/content/receive/sha1/k", b"hello")
        connection.transport.write(b"\r\n".join(x for x in line.split(b"\r\n") if b"Auth" not in x))
        assert (await connection.closed).startswith(b"HTTP/1.1 401")
        assert made.stores["s1"].leftovers() == []
