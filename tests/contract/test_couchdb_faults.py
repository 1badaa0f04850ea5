"""A real server of CouchDB's protocol behind a network that does everything to it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from oose.couchdb import CouchAccounts, CouchClient, CouchDocuments, prepare
from oose.errors import NotAllowed, Unavailable
from oose.metadata.documents import Stale, Write
from oose.settings.model import CouchSettings
from tests.fault_proxy import (
    Fault,
    FaultProxy,
    LostAnswer,
    ResetAfter,
    ResetBefore,
    Says,
    SaysAfter,
    Silence,
    Truncated,
    proxied,
)
from tests.ports import free_port
from tests.pouchdb import Pouchdb, start
from tests.real import reactor
from tests.unit.couches import client_at

GARBAGE = b"\x16\x03\x01 what?\r\n\r\n"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 17\r\n\r\n{'error': 'oops'}"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"
FAULTS: dict[str, Callable[[], Fault]] = {
    "none": Fault,
    "silence": Silence,
    "lost answer": LostAnswer,
    "reset before": ResetBefore,
    "reset after": ResetAfter,
    "nothing of it": lambda: Truncated(size=0),
    "half a head": lambda: Truncated(size=40),
    "half a body": lambda: Truncated(size=300),
    "garbage": lambda: Says(GARBAGE),
    "garbage after": lambda: SaysAfter(GARBAGE),
    "500": lambda: Says(FAILED),
    "500 after": lambda: SaysAfter(FAILED),
    "a page": lambda: Says(PAGE),
    "a page after": lambda: SaysAfter(PAGE),
}
HANG = (Silence, LostAnswer)
USER = {"type": "user", "name": "stranger", "password": "stranger", "roles": []}
numbers = count()


@frozen
class Way:
    """Our client with an account of its own, behind the proxy, by a clock that the test moves."""

    proxy: FaultProxy
    clock: Clock
    client: CouchClient

    async def end(self, work: Coroutine[Any, Any, Any], faults: list[Fault]) -> Any:
        """What `work` comes to while `faults` happen: where one hangs, the time runs out."""
        self.proxy.script.clear()
        self.proxy.script.extend(faults)
        working = Deferred.fromCoroutine(work)
        for fault in faults:
            if isinstance(fault, HANG):
                _ = fault.struck.addCallback(lambda _: self.clock.advance(1.5))
        try:
            return await working
        except Unavailable as error:
            return error
        finally:
            self.proxy.script.clear()
            self.clock.advance(5)


@pytest_twisted.async_yield_fixture
async def way(pouchdb: Pouchdb) -> AsyncIterator[Way]:
    clock = Clock()
    async with proxied(pouchdb.port) as proxy:
        config = CouchSettings(
            f"http://127.0.0.1:{proxy.port}", f"us{next(numbers)}", "ours alone", "faults"
        )
        admin = client_at(
            evolve(config, username=pouchdb.username, password=pouchdb.password), clock
        )
        await prepare(admin, config)
        client = client_at(config, clock)
        yield Way(proxy, clock, client)
        await client.close()
        await admin.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.sampled_from(sorted(FAULTS)), max_size=5), st.integers(1, 3))
@pytest_twisted.ensureDeferred
async def test_whatever_happens_on_the_way_what_is_answered_is_true(
    way: Way, names: list[str], size: int
) -> None:
    documents = CouchDocuments(way.client, "content")
    own = f"{next(numbers):06}:"
    ids = [f"{own}{n}" for n in range(size)]

    def faults() -> list[Fault]:
        return [FAULTS[name]() for name in names]

    made = await way.end(documents.put_many([Write(each, {"n": 1}) for each in ids]), faults())
    there = await documents.get_many(ids)
    if not isinstance(made, Unavailable):
        assert made == [there[each].rev for each in ids]
    for each, document in there.items():
        assert (document.id, document.body) == (each, {"n": 1})

    for work in (documents.get_many(ids), documents.range(own, own + "~")):
        seen = await way.end(work, faults())
        if isinstance(seen, dict):
            assert seen == there
        elif not isinstance(seen, Unavailable):
            assert seen == list(there.values())

    for old in there.values():
        changed = await way.end(documents.put(old.id, {"n": 2}, old.rev), faults())
        now = await documents.get(old.id)
        assert now is not None
        assert not isinstance(changed, Stale)
        assert now.body in ({"n": 1}, {"n": 2})
        if isinstance(changed, str):
            assert (now.rev, now.body) == (changed, {"n": 2})
        deleted = await way.end(documents.delete(old.id, now.rev), faults())
        if isinstance(deleted, str | Stale):
            assert await documents.get(old.id) is None


@pytest.mark.parametrize("name", sorted(FAULTS))
@pytest_twisted.ensureDeferred
async def test_nobody_is_let_in_who_should_not_be(way: Way, name: str) -> None:
    accounts = CouchAccounts(way.client, way.clock, service="nobody", floor=0.0)
    for password, is_right in (("wrong", False), ("ours alone", True)):
        verifying = accounts.verify(way.client.settings.username, password)
        faults = [FAULTS[name](), FAULTS[name]()]
        pending = Deferred.fromCoroutine(way.end(verifying, faults))
        while not pending.called:
            way.clock.advance(0)
            await deferLater(reactor, 0)
        answer = await pending
        assert isinstance(answer, Unavailable) or answer is is_right


@pytest_twisted.ensureDeferred
async def test_the_account_of_oose_has_the_rights_it_needs_and_no_more(
    way: Way, pouchdb: Pouchdb
) -> None:
    documents = CouchDocuments(way.client, "peer")
    rev = await documents.put(f"a{next(numbers)}", {})
    assert isinstance(rev, str)
    with pytest.raises(NotAllowed):
        await CouchAccounts(way.client, way.clock, service="nobody").list()
    pouchdb.ask("PUT", "/_users/org.couchdb.user:stranger", USER)
    stranger = client_at(
        evolve(way.client.settings, username="stranger", password="stranger"), way.clock
    )
    with pytest.raises(Unavailable, match="refuses the account"):
        await CouchDocuments(stranger, "peer").range("", "~")
    await stranger.close()


@pytest_twisted.ensureDeferred
async def test_a_server_that_comes_back_empty_is_used_again(tmp_path: Path) -> None:
    port = free_port()
    clock = Clock()
    with start(tmp_path, port) as server:
        config = CouchSettings(server.url, server.username, server.password, "oose")
        client = client_at(config, clock)
        await prepare(client, config)
        documents = CouchDocuments(client, "peer")
        since = (await documents.changes(None, 0)).since
        await documents.put("a", {})
    with pytest.raises(Unavailable):
        await documents.get("a")
    with pytest.raises(Unavailable):
        await documents.changes(since, 25)
    with start(tmp_path, port) as server:
        clock.advance(1)
        with pytest.raises(Unavailable, match="oose couchdb setup"):
            await documents.get("a")
        await prepare(client, config)
        assert await documents.get("a") is None
        assert not (await documents.changes(since, 25)).is_whole
    await client.close()
