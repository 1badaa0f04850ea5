"""A prism whose Redis or store is behind a network that does everything, as its clients see it."""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
import pytest_twisted
from attrs import frozen
from twisted.internet.task import deferLater

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
from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import FORM, Response, form
from tests.ports import free_port
from tests.pouchdb import start
from tests.real import reactor
from tests.redis_server import PATIENCE, until
from tests.redis_server import running as redis

TRACE = b"Traceback (most recent call last):"
GARBAGE = b"\x16\x03\x01 what?\r\n\r\n"
FAULTS: dict[str, Callable[[], Fault]] = {
    "silence": Silence,
    "lost answer": LostAnswer,
    "reset before": ResetBefore,
    "reset after": ResetAfter,
    "half an answer": lambda: Truncated(size=20),
    "garbage": lambda: Says(GARBAGE),
    "an error after": lambda: SaysAfter(b"-ERR " + TRACE + b"\r\n"),
    "500 after": lambda: SaysAfter(b"HTTP/1.1 500 Oops\r\nContent-Length: 34\r\n\r\n" + TRACE),
}
EACH = pytest.mark.parametrize("name", FAULTS)
USER = {"username": "anna", "password": "right"}


@frozen
class Door:
    """A prism and a store in two processes' worth of objects, and the ways between."""

    prism: Machine
    store: Machine
    to_redis: FaultProxy
    to_store: FaultProxy

    async def post(self, path: str, value: object) -> Response:
        """What a client is answered: what it asked for, or that it cannot be had now."""
        return said(await self.prism.ask(path, value))

    async def upload(self, data: bytes) -> Response:
        body = form(("file", "a.txt", "text/plain", data))
        return said(await self.prism.ask("/content/upload", headers=FORM, body=body))

    async def purchase(self, data: bytes) -> Response:
        asked = {"hash": name_of(data), "ext": "txt", "referrer": "*"}
        return await self.post("/content/purchase", asked)

    async def deliver(self, token: str) -> Response:
        return said(await self.prism.ask(f"/{token}/a.txt"))

    async def works(self, ask: Callable[[], Awaitable[Response]]) -> Response:
        """The answer, once what was away is found again."""
        end = time.monotonic() + PATIENCE
        while (answer := await ask()).status == 503:
            assert time.monotonic() < end, answer
            await deferLater(reactor, 0.02)
        return answer


def said(answer: Response) -> Response:
    assert answer.status in {200, 302, 503}, answer
    assert b"Traceback" not in answer.body
    assert answer.status != 503 or answer.error
    return answer


def name_of(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest_twisted.async_yield_fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    folder: Path = tmp_path_factory.mktemp("door")
    async with AsyncExitStack() as stack:
        couch = stack.enter_context(start(tmp_path_factory.mktemp("couchdb")))
        server = stack.enter_context(redis(folder / "redis"))
        user = {"type": "user", "name": "anna", "password": "right", "roles": []}
        assert couch.ask("PUT", "/_users/org.couchdb.user:anna", user)[0] == 201
        port = free_port()
        to_redis = await stack.enter_async_context(proxied(server.port))
        to_store = await stack.enter_async_context(proxied(port))
        peer = {"enabled": True, "username": "peer", "password": "a long secret of peers"}
        cluster = {
            "couchdb": {"url": couch.url, "username": couch.username, "password": couch.password},
            "redis": {"url": f"redis://127.0.0.1:{to_redis.port}"},
            "clones": {"minimum": 1},
            "heartbeat": {"start_delay": 0.1, "frequency": 0.2, "retries": 1000},
        }
        off = {"enabled": False}
        url = f"http://127.0.0.1:{to_store.port}"
        store = await stack.enter_async_context(
            running(
                one_machine(
                    folder / "store",
                    **cluster,
                    prism=off,
                    store={**peer, "port": port, "min_free": 0, "url": url},
                )
            )
        )
        own = folder / "prism" / "data"  # where a first user's profile would be
        own.mkdir(parents=True)
        (own / "login.toml").write_text("".join(f"{k} = '{v}'\n" for k, v in USER.items()))
        prism = await stack.enter_async_context(
            running(one_machine(folder / "prism", **cluster, prism={**peer, "port": 0}, store=off))
        )
        yield Door(prism, store, to_redis, to_store)


@contextmanager
def broken(proxy: FaultProxy, name: str) -> Iterator[None]:
    """Everything that comes to the proxy meets the fault."""
    proxy.rule = FAULTS[name]
    try:
        yield
    finally:
        proxy.rule = Fault


@EACH
@pytest_twisted.ensureDeferred
async def test_a_bad_way_to_redis_is_a_503_and_ends_with_its_cause(door: Door, name: str) -> None:
    data = os.urandom(1000)
    await door.works(lambda: door.upload(data))
    bought, ended = [(await door.purchase(data)).json()["token"] for _ in range(2)]
    with broken(door.to_redis, name):
        first = await door.purchase(data)
        assert (first.status, first.headers["retry-after"]) == (503, "2")
        assert (await door.post("/user/login", USER)).status == 503
        assert (await door.deliver("0" * 64)).status == 503  # nobody knows whether there is one
        assert (await door.deliver(bought)).status == 302
        assert (await door.post("/content/purchase/remove", {"token": ended})).status == 503
        assert (await door.upload(os.urandom(1000))).status == 200
    again = await door.works(lambda: door.purchase(data))
    for token in (bought, again.json()["token"]):
        await door.works(lambda token=token: door.deliver(token))  # type: ignore[misc]
        assert (await door.prism.view(f"/{token}/a.txt")).body == data
    assert (await door.post("/user/session/validate", {})).status == 200


@EACH
@pytest_twisted.ensureDeferred
async def test_a_bad_way_to_the_store_is_a_503_and_leaves_nothing(
    door: Door, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oose.arrivals.GRACE", 0.0)
    data, refused = os.urandom(300_000), os.urandom(300_000)
    await door.works(lambda: door.upload(data))
    with broken(door.to_store, name):
        assert (await door.upload(refused)).status == 503
        assert (await door.post("/content/download", {"hash": name_of(data)})).status == 503
    answer = await door.works(lambda: door.post("/content/download", {"hash": name_of(data)}))
    assert answer.body == data
    assert (await door.works(lambda: door.upload(data))).json()["files"]["file"]["count"] == 1
    assert not (await door.post("/content/detail", {"hash": name_of(refused)})).json()["exists"]
    await until(lambda: name_of(refused) not in {path.stem for path in door.store.content()})
    incoming = door.store.settings.stores[0].root / "incoming"
    await until(lambda: not list(incoming.iterdir()))
