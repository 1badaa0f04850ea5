"""Large files over real connections: plain and TLS, from one clone or another, imported too."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import Connection, connect, parse, request
from tests.real import reactor

DATA = bytes(range(256)) * 8000


@pytest_twisted.ensureDeferred
async def test_a_large_file_is_delivered_whole_and_in_parts(machine: Machine) -> None:
    content_hash = (await machine.upload(DATA, name="a.bin"))["hash"]
    token = (await machine.purchase(content_hash, ext="bin"))["token"]
    whole = await machine.view(f"/{token}/a.bin")
    assert whole.body == DATA
    part = await machine.view(f"/{token}/a.bin", Range="bytes=100000-1900000")
    assert part.body == DATA[100000:1900001]
    many = await machine.view(f"/{token}/a.bin", Range="bytes=0-99999,200000-399999")
    assert DATA[:100000] + b"\r\n--" in many.body
    assert DATA[200000:400000] + b"\r\n--" in many.body
    assert int(many.headers["content-length"]) == len(many.body)
    stats = (await machine.ask("/stats", store=0)).json()["deliveries"]
    assert stats["running"] == 0
    assert stats["bytes"] > len(DATA)


@pytest_twisted.ensureDeferred
async def test_a_condition_that_does_not_hold_is_said(machine: Machine) -> None:
    content_hash = (await machine.upload(b"hello"))["hash"]
    answer = await machine.ask(
        "/content/download", {"hash": content_hash}, headers={"If-Match": '"other"'}
    )
    assert answer.status == 412
    assert "If-Match" in answer.error


@pytest_twisted.ensureDeferred
async def test_a_large_file_goes_through_tls(tmp_path: Path) -> None:
    async with running(one_machine(tmp_path, ssl={"pem": "auto"})) as machine:
        own = {**machine.basic("store")}
        content_hash = hashlib.sha1(DATA).hexdigest()
        put = await over_tls(
            machine.ports[0], request("PUT", f"/content/put/{content_hash}.bin", own, DATA)
        )
        assert parse(put).status == 201
        own["Content-Type"] = "application/json"
        asked = b'{"hash": "%s"}' % content_hash.encode()
        got = await over_tls(machine.ports[0], request("POST", "/content/download", own, asked))
        assert parse(got).body == DATA


async def over_tls(port: int, data: bytes) -> bytes:
    """Send `data` and return all that comes; any certificate will do."""
    endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", port, CertificateOptions())
    connection: Connection = await connectProtocol(endpoint, Connection())
    connection.transport.write(data)
    return await connection.closed


@pytest_twisted.async_yield_fixture
async def two(tmp_path: Path) -> AsyncIterator[Machine]:
    """A prism with two stores."""
    stores = [{"enabled": True, "port": 0, "min_free": 0} for _ in range(2)]
    async with running(one_machine(tmp_path, store=stores)) as machine:
        yield machine


@pytest_twisted.ensureDeferred
async def test_another_clone_is_read_where_one_cannot_be(two: Machine) -> None:
    content_hash = (await two.upload(b"hello"))["hash"]
    for store in (0, 1):
        path = two.content(store)[0]
        away = path.with_name("away")
        path.rename(away)
        for _ in range(4):
            answer = await two.ask("/content/download", {"hash": content_hash})
            assert answer.body == b"hello"
        away.rename(path)


@pytest_twisted.ensureDeferred
async def test_when_no_clone_can_be_read_it_is_said(two: Machine) -> None:
    content_hash = (await two.upload(b"hello"))["hash"]
    for store in (0, 1):
        two.content(store)[0].unlink()
    answer = await two.ask("/content/download", {"hash": content_hash})
    assert answer.status == 404
    assert answer.error


@pytest_twisted.ensureDeferred
async def test_content_on_stores_that_are_not_here_comes_from_their_ports(machine: Machine) -> None:
    content_hash = (await machine.upload(DATA, name="a.bin"))["hash"]
    assert machine.service._assembly.prism is not None
    downloads = machine.service._assembly.prism._parts.downloads
    downloads._sources = {}
    answer = await machine.ask("/content/download", {"hash": content_hash})
    assert answer.body == DATA
    downloads._relay = None
    answer = await machine.ask("/content/download", {"hash": content_hash})
    assert answer.status == 503
    assert "No store with the content can be read" in answer.error


@pytest_twisted.ensureDeferred
async def test_a_viewer_is_told_when_no_store_is_available(machine: Machine) -> None:
    content_hash = (await machine.upload(b"hello"))["hash"]
    token = (await machine.purchase(content_hash))["token"]
    root = machine.settings.stores[0].root
    root.rename(root.with_name("gone"))
    await machine.service._assembly.membership._loops[0]._work()
    answer = await machine.view(f"/{token}/a.txt")
    assert answer.status == 503
    assert "available" in answer.error


@pytest_twisted.ensureDeferred
async def test_behind_a_proxy_that_speaks_https_so_does_the_store(tmp_path: Path) -> None:
    prism = {"enabled": True, "port": 0, "trusted_proxies": ["127.0.0.1"]}
    async with running(one_machine(tmp_path, prism=prism)) as machine:
        content_hash = (await machine.upload(b"hello"))["hash"]
        answer = await machine.ask(
            f"/static/{content_hash}/a.txt", headers={"X-Forwarded-Proto": "https"}
        )
        assert answer.headers["location"].startswith(f"https://127.0.0.1:{machine.ports[0]}/")


class Page(Resource):
    """What a web server elsewhere has."""

    isLeaf = True  # noqa: N815 # Twisted's name

    def render_GET(self, request: Any) -> bytes:  # noqa: N802 # Twisted's name
        if request.path == b"/missing":
            request.setResponseCode(404)
        request.setHeader(b"content-type", b"text/vtt; charset=utf-8")
        return b"WEBVTT"


@pytest.mark.parametrize("extension", [None, "sub"])
@pytest_twisted.ensureDeferred
async def test_a_file_is_imported_from_a_web_server(tmp_path: Path, extension: str | None) -> None:
    port = reactor.listenTCP(0, Site(Page()), interface="127.0.0.1")
    url = f"http://127.0.0.1:{port.getHost().port}"
    settings = one_machine(tmp_path, retrieve={"allow_private": True})
    try:
        async with running(settings) as machine:
            asked = {"request": f"{url}/words", "hashType": "md5"}
            asked |= {"extension": extension} if extension else {}
            answer = (await machine.ask("/content/retrieve", asked)).json()
            expected = hashlib.md5(b"WEBVTT").hexdigest()
            assert answer["hash"] == answer["md5"] == expected
            assert answer["extension"] == (extension or "vtt")
            assert [path.read_bytes() for path in machine.content()] == [b"WEBVTT"]
            missing = await machine.ask("/content/retrieve", {"request": f"{url}/missing"})
            assert missing.status == 502
            assert missing.error
            full = machine.service._assembly.holdings[0].volume.disk
            full.min_free = 10**18
            refused = await machine.ask("/content/retrieve", {"request": f"{url}/other"})
            assert refused.status == 507
            assert await machine.leftovers() == []
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_viewer_who_leaves_in_the_middle_holds_nothing(machine: Machine) -> None:
    content_hash = (await machine.upload(DATA * 10, name="a.bin"))["hash"]
    token = (await machine.purchase(content_hash, ext="bin"))["token"]
    connection = await connect(machine.ports[0])
    connection.transport.write(request("GET", f"/play/{token}/a.bin"))
    await connection.until(b"\r\n\r\n")
    connection.transport.abortConnection()
    await connection.closed
    store = machine.service._assembly.stores[0]
    deliveries = store._parts.deliveries
    while deliveries.running:
        await deferLater(reactor, 0)
    assert (await machine.view(f"/{token}/a.bin", Range="bytes=0-3")).body == DATA[:4]


@pytest.mark.parametrize("name", ["%2e", "%2E%2e", ".%2e"])
@pytest_twisted.ensureDeferred
async def test_a_name_that_means_a_folder_is_none(machine: Machine, name: str) -> None:
    content_hash = (await machine.upload(b"hello"))["hash"]
    token = (await machine.purchase(content_hash))["token"]
    assert (await machine.ask(f"/{token}/{name}")).status == 404
    assert (await machine.ask(f"/{token}/...")).status == 302
