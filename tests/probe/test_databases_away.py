"""CouchDB or Redis dies or freezes: what goes on goes on, the rest is refused soon and clearly."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from install.cluster.cluster import USER
from install.cluster.servers import Server
from tests.probe.client import Client, Refused
from tests.probe.running import SOON, Running, within

SOON_REFUSED = 3.0  # seconds: two, and what a busy machine adds
# Seconds: two in which what is remembered is believed (decision 11), two requests that time out,
# and what a busy machine adds.
NOTICED = 8.0
PAGE = {"Referer": "http://localhost/"}
ENDS = pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])


@contextmanager
def away(server: Server, end: signal.Signals) -> Iterator[None]:
    """`server` is dead or frozen, and is back after."""
    server.signal(end)
    try:
        yield
    finally:
        if end is signal.SIGSTOP:
            server.signal(signal.SIGCONT)
        else:
            server.kill()
            server.start()
            server.wait()


@pytest.fixture
def client(running: Running) -> Client:
    return running.settled("prism1")


def is_refused(client: Client, path: str, value: object) -> None:
    """A 503 with `Retry-After`, soon."""
    begun = time.monotonic()
    headers = {"X-OOSE-Token": client.token, "Content-Type": "application/json"}
    status, found, text = client.ask("POST", client.url + path, as_json(value), headers)
    assert status == 503, text
    assert "retry-after" in found
    assert b"error" in text
    assert time.monotonic() - begun < SOON_REFUSED


def redirected(client: Client, token: str) -> str:
    """Where a viewer with a purchase is sent."""
    status, headers, text = client.ask("GET", f"{client.url}/{token}/a.txt", headers=PAGE)
    if status != 302:
        raise Refused(f"redirect: {status} {text[:200]!r}")
    return headers["location"]


def fetched(client: Client, url: str, **headers: str) -> tuple[int, bytes]:
    """What a viewer gets from a store."""
    status, _, data = client.ask("GET", url, headers={**PAGE, **headers})
    return status, data


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@ENDS
def test_without_couchdb_what_is_known_is_delivered_and_nobody_is_judged(
    running: Running, client: Client, end: signal.Signals
) -> None:
    data = os.urandom(100_000)
    content_hash = client.upload(data)["hash"]
    token = client.purchase(content_hash)
    is_delivered_by_two(client, token, data)  # now both know it
    before = running.peers()
    with away(running.cluster.couchdb, end):
        assert client.ask("GET", f"{client.url}/ping")[0] == 200
        assert within(SOON_REFUSED, lambda: client.deliver(token)) == data
        assert within(SOON_REFUSED, lambda: client.download(content_hash)) == data
        is_refused(client, "/content/detail", {"hash": os.urandom(20).hex()})
        is_refused(client, "/user/login", {"username": "demo", "password": "x" * 20})
        with pytest.raises(Refused, match="503"):
            client.upload(os.urandom(1000))
        assert client.deliver(token) == data
    within(SOON, lambda: client.upload(os.urandom(1000)))
    assert {name: peer["available"] for name, peer in running.peers().items()} == dict.fromkeys(
        before, True
    )


@ENDS
def test_without_redis_uploads_go_on_and_what_was_bought_is_delivered(
    running: Running, client: Client, end: signal.Signals
) -> None:
    data = os.urandom(100_000)
    content_hash = client.upload(data)["hash"]
    token = client.purchase(content_hash)
    assert client.deliver(token) == data
    with away(running.cluster.redis, end):
        assert within(SOON_REFUSED, lambda: client.deliver(token)) == data
        found = within(SOON_REFUSED, lambda: client.upload(os.urandom(1000)))
        assert found["count"] == 2
        asked = {"hash": content_hash, "ext": "txt", "referrer": "*"}
        is_refused(client, "/content/purchase", asked)
        password = (running.cluster.folder / "user-password").read_text().strip()
        is_refused(client, "/user/login", {"username": "demo", "password": password})
        static = f"{client.url}/static/{content_hash}/a.txt"
        status, headers, _ = client.ask("GET", static)
        assert status == 302
        assert client.ask("GET", headers["location"])[2] == data
    within(SOON, lambda: client.purchase(content_hash))
    assert client.deliver(token) == data


@ENDS
def test_without_redis_what_only_a_prism_has_seen_goes_on(
    running: Running, client: Client, end: signal.Signals
) -> None:
    data = os.urandom(100_000)
    content_hash = client.upload(data)["hash"]
    seen = running.client("prism2").purchase(content_hash)
    assert "voucher" not in redirected(client, seen)
    sold = client.purchase(content_hash)
    client.log_in(USER, (running.cluster.folder / "user-password").read_text().strip())
    with away(running.cluster.redis, end):
        within(SOON_REFUSED, lambda: client.post("/user/session/validate", {}))
        places = is_delivered_by_two(client, seen, data)
        is_delivered_by_two(client, sold, data)
        client.post("/user/session/validate", {})
        for place in places:
            assert fetched(client, place.partition("?")[0])[0] == 503
            assert fetched(client, place.replace(seen, sold))[0] == 503
    within(SOON, lambda: client.post("/content/purchase/remove", {"token": seen}))
    within(SOON, lambda: is_gone(client, places))


def is_gone(client: Client, places: list[str]) -> None:
    """For the stores too, which may see the database later."""
    assert [fetched(client, place)[0] for place in places] == [404] * len(places)


def is_delivered_by_two(client: Client, token: str, data: bytes) -> list[str]:
    """Whichever store viewers are sent to; where the two are that they were sent to."""
    within(NOTICED, lambda: client.deliver(token))
    places = {}
    for _ in range(12):
        place = redirected(client, token)
        places[place.partition("/play/")[0]] = place
        assert fetched(client, place) == (200, data)
        assert fetched(client, place, Range="bytes=5-9") == (206, data[5:10])
    assert len(places) == 2
    return list(places.values())


def test_a_removed_purchase_and_a_logout_count_at_once_on_every_prism(running: Running) -> None:
    one, two = running.settled("prism1"), running.settled("prism2")
    content_hash = one.upload(os.urandom(1000))["hash"]
    token = one.purchase(content_hash)
    one.deliver(token)
    two.deliver(token)
    one.post("/content/purchase/remove", {"token": token})
    with pytest.raises(Refused, match="404"):
        two.deliver(token)
    shared = two.token
    one.token = shared
    one.post("/user/session/validate", {})
    two.post("/user/logout", {})
    with pytest.raises(Refused, match="401"):
        one.post("/user/session/validate", {})


@pytest.mark.parametrize("name", ["couchdb", "redis"])
def test_a_start_waits_for_a_database_that_is_away(running: Running, name: str) -> None:
    server: Server = getattr(running.cluster, name)
    store = running.cluster.peers["store4"]
    store.stop()
    with away(server, signal.SIGKILL):
        store.start()

        def says_that_it_waits() -> None:
            assert "Waiting for the databases" in store.log.read_text().rpartition("Stopped")[2]

        within(SOON, says_that_it_waits)
        assert store.process is not None
        assert store.process.poll() is None
    running.wait_until(True, ["store4"])
    store.wait()
