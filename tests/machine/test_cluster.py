"""Machines that share a CouchDB and a Redis: their whole life, in this process."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve

from oose import engine, tombstones
from oose.address import relative_path
from oose.errors import Unavailable
from oose.settings import Settings
from oose.settings.reader import check
from oose.tap import put_together
from tests.machine.running import Machine
from tests.machine.talk import FORM, basic, exchange, parse, request
from tests.ports import free_port
from tests.pouchdb import Pouchdb, start
from tests.redis_server import RedisServer, running, until
from tests.unit.logged import logged

PEER = ("peer", "p" * 20)
USER = {"username": "anna", "password": "a good password"}
TEMPO = {"start_delay": 0.05, "frequency": 0.05, "vote_life": 1, "ping_response_timeout": 1}


@define
class Shared:
    """The databases, and machines that use them; `couchdb` may come later than they do."""

    folder: Path
    redis: RedisServer
    port: int

    def settings(self, number: int, **sections: Any) -> Settings:
        room = {"enabled": True, "port": 0, "username": PEER[0], "password": PEER[1]}
        url = f"http://127.0.0.1:{self.port}"
        names = {
            "root": str(self.folder / f"data{number}"),
            "machine": f"m{number}",
            "group": f"g{number}",
            "prism": {**room, "name": f"p{number}"},
            "store": {**room, "name": f"s{number}", "min_free": 0},
            "couchdb": {"url": url, "username": "admin", "password": "an admin's password"},
            "redis": {"url": f"redis://127.0.0.1:{self.redis.port}"},
            "heartbeat": TEMPO,
            **sections,
        }
        return check(names, None)

    @asynccontextmanager
    async def machine(self, settings: Settings) -> AsyncIterator[Machine]:
        """A machine that has begun to start; it is stopped after."""
        failures: list[None] = []
        service = put_together(settings, lambda: failures.append(None))
        machine = Machine(service, settings, failures=failures)
        service.privilegedStartService()
        service.startService()
        try:
            yield machine
        finally:
            if service.running:
                await service.stopService()


async def ready(machine: Machine) -> None:
    assert machine.service.starting is not None
    await machine.service.starting
    assert machine.failures == []


async def log_in(machine: Machine) -> None:
    answer = await machine.ask("/user/login", USER)
    assert answer.status == 200, answer.body
    machine.token = answer.json()["session"]["token"]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    (tmp_path / "redis").mkdir()
    with running(tmp_path / "redis") as redis:
        yield Shared(tmp_path, redis, free_port())


@pytest.fixture
def couchdb(shared: Shared) -> Iterator[Pouchdb]:
    (shared.folder / "couchdb").mkdir()
    with start(shared.folder / "couchdb", shared.port) as server:
        document = {"name": USER["username"], "password": USER["password"]}
        server.ask(
            "PUT",
            f"/_users/org.couchdb.user:{USER['username']}",
            {**document, "roles": [], "type": "user"},
        )
        yield server


def peer(couchdb: Pouchdb, peer_id: str) -> Any:
    return couchdb.ask("GET", f"/oose-peer/{peer_id}")[1]


@pytest_twisted.ensureDeferred
async def test_what_one_prism_takes_all_have(shared: Shared, couchdb: Pouchdb) -> None:
    async with (
        shared.machine(shared.settings(1)) as one,
        shared.machine(shared.settings(2)) as two,
    ):
        await ready(one)
        await ready(two)
        registry = one.service._assembly.registry
        await until(lambda: registry.serving("p2:s2"))
        await log_in(one)
        two.token = one.token
        file = await one.upload(b"hello")
        assert (file["count"], file["wanted"]) == (2, 2)
        detail = (await two.ask("/content/detail", {"hash": file["hash"]})).json()
        assert detail["map"] == ["p1:s1", "p2:s2"]
        token = (await two.purchase(file["hash"]))["token"]
        assert (await one.view(f"/{token}/a.txt")).body == b"hello"
        stats = (await one.ask("/stats")).json()
        assert stats["databases"]["couchdb"] > 0
        assert stats["databases"]["redis"] > 0
        again = await two.upload(b"hello", name="b.txt")
        assert again["count"] == 2
        assert (await two.ask("/user/logout", {})).status == 200
        await until_refused(one)
        votes = {"_id": "down:store:p1:s1:x", "peer": "store:p1:s1"}
        couchdb.ask("PUT", "/oose-heartbeat/down:store:p1:s1:x", votes)
        await one.service.stopService()
        assert peer(couchdb, "store:p1:s1")["available"] is False
        assert peer(couchdb, "prism:p1")["voted"] is False
        assert peer(couchdb, "store:p2:s2")["available"] is True
        async with shared.machine(shared.settings(1)) as one_again:
            await ready(one_again)
            assert peer(couchdb, "store:p1:s1")["available"] is True
            assert couchdb.ask("GET", "/oose-heartbeat/down:store:p1:s1:x")[0] == 404


async def until_refused(machine: Machine) -> None:
    """Word of a logout is on its way."""
    statuses: list[int] = []
    while 401 not in statuses:
        statuses.append((await machine.ask("/user/session/validate", {})).status)
        assert len(statuses) < 100


@pytest_twisted.ensureDeferred
async def test_peers_open_with_the_pair_that_all_have(shared: Shared, couchdb: Pouchdb) -> None:
    settings = shared.settings(1, heartbeat={**TEMPO, "enabled": False})
    async with shared.machine(settings) as machine:
        await ready(machine)
        asked = {"hash": "0" * 40}
        for pair, status in ((PEER, 200), (("peer", "another password"), 401)):
            answer = await machine.ask("/content/exists", asked, store=None, headers=basic(pair))
            assert answer.status == status


@pytest_twisted.ensureDeferred
async def test_who_has_no_store_shows_the_prisms_pair(shared: Shared, couchdb: Pouchdb) -> None:
    async with (
        shared.machine(shared.settings(1, store={})) as prism,
        shared.machine(shared.settings(2, prism={"name": "p1"})) as store,
    ):
        await ready(store)
        await ready(prism)
        await log_in(prism)
        file = await prism.upload(b"hello")
        assert (file["count"], file["wanted"]) == (1, 2)
        _, found = couchdb.ask("GET", f"/oose-inventory/{file['hash']}:p1:s2")
        assert found["note"] == "1 of 2 clones: no other store could take one"
        assert (await prism.ask("/content/download", {"hash": file["hash"]})).body == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_start_waits_for_databases_that_are_away(shared: Shared) -> None:
    with logged("warn") as messages, ExitStack() as later:
        async with shared.machine(shared.settings(1)) as machine:
            await until(lambda: any("Waiting for the databases" in each for each in messages))
            folder = shared.folder / "couchdb"
            folder.mkdir()
            later.enter_context(start(folder, shared.port))
            await ready(machine)
            assert (await machine.ask("/ping")).status == 200
            later.close()
            with logged("warn") as said:
                await machine.service.stopService()
            assert [each for each in said if "could not be written down" in each]


@pytest_twisted.ensureDeferred
async def test_a_start_that_waits_says_so_now_and_then_and_can_be_stopped(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT", 0.001)
    monkeypatch.setattr(engine, "SAY_AGAIN", 5)
    with logged("warn") as messages:
        async with shared.machine(shared.settings(1)) as machine:

            def said_again() -> bool:
                waiting = [each for each in messages if "Waiting for the databases" in each]
                return len(waiting) > len(set(waiting))

            await until(said_again)
            await machine.service.stopService()
            assert machine.failures == []


@pytest_twisted.ensureDeferred
async def test_a_name_that_another_machine_holds_ends_the_start(
    shared: Shared, couchdb: Pouchdb
) -> None:
    async with shared.machine(shared.settings(1)) as one:
        await ready(one)
        settings = shared.settings(2)
        same = evolve(settings, stores=(evolve(settings.stores[0], name="s1"),))
        with logged("error") as messages:
            async with shared.machine(same) as two:
                assert two.service.starting is not None
                await two.service.starting
                assert two.failures == [None]
    assert [each for each in messages if "The store name 's1' is held by p1:s1" in each]


@pytest_twisted.ensureDeferred
async def test_a_ping_that_fails_says_whose(shared: Shared, couchdb: Pouchdb) -> None:
    async with shared.machine(shared.settings(1)) as machine:
        await ready(machine)
        assembly = machine.service._assembly
        gone = evolve(assembly.registry.peers()[0], url=f"http://127.0.0.1:{free_port()}")
        with pytest.raises(Unavailable, match="refused the connection"):
            await assembly._ping(gone)


@pytest_twisted.ensureDeferred
async def test_while_couchdb_is_known_to_be_away_no_upload_is_read(
    shared: Shared, couchdb: Pouchdb
) -> None:
    content_hash = hashlib.sha1(b"x" * 1000).hexdigest()
    async with shared.machine(shared.settings(1)) as machine:
        await ready(machine)
        await log_in(machine)
        await machine.upload(b"hello")
        couchdb.process.kill()
        couchdb.process.wait()
        await until(lambda: is_away(machine))
        expecting = {"Content-Length": "1000", "Expect": "100-continue"}
        session = {"X-OOSE-Token": machine.token}
        put = f"/content/put/{content_hash}.txt"
        store, prism = machine.ports
        for port, method, target, more in (
            (prism, "POST", "/content/upload", {**FORM, **expecting, **session}),
            (prism, "PUT", put, {**expecting, **basic(PEER)}),
            (store, "PUT", put, {**expecting, **basic(PEER)}),
        ):
            answer = await exchange(port, request(method, target, more))
            assert answer.startswith(b"HTTP/1.1 503 "), answer
            assert "away" in parse(answer).error


def is_away(machine: Machine) -> bool:
    try:
        machine.service._assembly.databases.refuse_if_away()
    except Unavailable:
        return True
    return False


@pytest_twisted.ensureDeferred
async def test_a_store_that_was_away_while_content_was_removed_does_not_bring_it_back(
    shared: Shared, couchdb: Pouchdb
) -> None:
    async with shared.machine(shared.settings(1)) as one:
        await ready(one)
        async with shared.machine(shared.settings(2)) as two:
            await ready(two)
            await until(lambda: one.service._assembly.registry.serving("p2:s2"))
            await log_in(one)
            file = await one.upload(b"hello")
            assert file["count"] == 2
        await until(lambda: not one.service._assembly.registry.serving("p2:s2"))
        answer = await one.ask("/content/remove", {"hash": file["hash"]}, headers=basic(PEER))
        assert answer.json()["removed"] == 1
        assert answer.json()["waiting"] == ["p2:s2"]
        async with shared.machine(shared.settings(2)) as two:
            await ready(two)
            place = two.service._assembly.holdings[0]
            path = f"/static/{relative_path(file['hash'], 'txt')}"
            assert (await two.ask(path, method="GET", store=0)).status == 404
            await until(lambda: two.content() == [])
            assert [each.name for each in place.volume.disk.quarantine.glob("*.txt")] == [
                f"{file['hash']}.txt"
            ]
            assert (await one.ask("/content/detail", {"hash": file["hash"]})).json()[
                "exists"
            ] is False
            keeper = one.service._assembly.keepers.get
            await until(lambda: (store := keeper("p2:s2")) and store.candidate())
            assert (await one.upload(b"hello"))["count"] == 2


@pytest_twisted.ensureDeferred
async def test_one_that_could_not_be_reached_hears_of_it(
    shared: Shared, couchdb: Pouchdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "GRACE", 0)
    async with (
        shared.machine(shared.settings(1)) as one,
        shared.machine(shared.settings(2)) as two,
    ):
        await ready(one)
        await ready(two)
        await until(lambda: one.service._assembly.registry.serving("p2:s2"))
        await log_in(one)
        file = await one.upload(b"hello")
        clearance = two.service._assembly.holdings[0].burial.clearance
        await until(lambda: clearance.is_given)
        monkeypatch.setattr(one.service._assembly.keepers, "get", lambda place: None)
        answer = await one.ask("/content/remove", {"hash": file["hash"]}, headers=basic(PEER))
        assert answer.json()["waiting"] == ["p1:s1", "p2:s2"]
        await until(lambda: (one.content(), two.content()) == ([], []))
