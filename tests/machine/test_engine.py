"""A process comes up whole or not at all, and goes down in order."""

import hashlib
import json
import socket
from pathlib import Path

import pytest
import pytest_twisted

from oose.engine import CannotStart
from oose.tap import put_together
from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import FORM, basic, connect, exchange, form, parse, request

HELLO = hashlib.sha1(b"hello").hexdigest()


@pytest_twisted.ensureDeferred
async def test_a_second_start_finds_users_secrets_and_content(tmp_path: Path) -> None:
    settings = one_machine(tmp_path)
    async with running(settings) as machine:
        await machine.upload(b"hello")
        first = (machine.login, (settings.root / "secrets.json").read_text())
    async with running(settings) as machine:
        assert (machine.login, (settings.root / "secrets.json").read_text()) == first
        assert (await machine.ask("/content/detail", {"hash": HELLO})).json()["exists"]


@pytest_twisted.ensureDeferred
async def test_what_only_the_owner_may_read_is_readable_by_the_owner_only(tmp_path: Path) -> None:
    settings = one_machine(tmp_path)
    async with running(settings) as machine:
        await machine.upload(b"hello")
        for name in ("secrets.json", "login.toml", "oose.sqlite"):
            assert (settings.root / name).stat().st_mode & 0o077 == 0
        assert machine.content()[0].stat().st_mode & 0o444 == 0o444


@pytest_twisted.ensureDeferred
async def test_a_session_outlives_a_restart(tmp_path: Path) -> None:
    settings = one_machine(tmp_path)
    async with running(settings) as machine:
        token = machine.token
    async with running(settings) as machine:
        answer = await machine.ask(
            "/user/session/validate", method="POST", headers={"X-OOSE-Token": token}
        )
        assert answer.status == 200


@pytest_twisted.ensureDeferred
async def test_a_port_in_use_ends_the_start_before_anything_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = one_machine(tmp_path, prism={"enabled": True, "port": port})
        service = put_together(settings, lambda: None)
        with pytest.raises(CannotStart) as caught:
            service.privilegedStartService()
        assert str(port) in str(caught.value)
        assert "Is another instance running?" in str(caught.value)


@pytest_twisted.ensureDeferred
async def test_a_database_of_a_newer_version_ends_the_start(tmp_path: Path) -> None:
    settings = one_machine(tmp_path)
    async with running(settings) as machine:
        writer = machine.service._assembly.database._writer
        assert writer is not None
        writer.execute("PRAGMA user_version = 99")
    async with running(settings) as machine:
        assert machine.failures == [None]
        assert machine.service._ports == []


@pytest_twisted.ensureDeferred
async def test_a_root_that_is_not_the_stores_disk_is_not_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    store = {"enabled": True, "port": 0, "min_free": 0, "root": str(disk)}
    settings = one_machine(tmp_path, store=store)
    async with running(settings) as machine:
        await machine.upload(b"hello")
    disk.rename(tmp_path / "unmounted")
    disk.mkdir()
    async with running(settings) as machine:
        body = form(("file", "a.txt", "text/plain", b"other"))
        refused = await machine.ask("/content/upload", headers=FORM, body=body)
        assert refused.status == 503
        assert refused.error == "No store is available"
        assert int(refused.headers["retry-after"]) > 0
        detail = (await machine.ask("/content/detail", {"hash": HELLO})).json()
        assert (detail["exists"], detail["map"]) == (False, [])
        assert list(disk.iterdir()) == []
        disk.rmdir()
        (tmp_path / "unmounted").rename(disk)
        (loop, _) = machine.service._loops
        await loop._work()
        assert (await machine.ask("/content/detail", {"hash": HELLO})).json()["exists"]
        assert (await machine.upload(b"other"))["count"] == 1


@pytest_twisted.ensureDeferred
async def test_another_stores_disk_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "oose-store.json").write_text(json.dumps({"store": "other", "id": "x"}))
    store = {"enabled": True, "port": 0, "min_free": 0, "root": str(disk)}
    async with running(one_machine(tmp_path, store=store)) as machine:
        assert [path.name for path in disk.iterdir()] == ["oose-store.json"]
        stats = (await machine.ask("/stats", store=0)).json()
        assert not stats["disk"]["usable"]


@pytest_twisted.ensureDeferred
async def test_a_disk_that_vanishes_under_way_is_noticed(machine: Machine) -> None:
    root = machine.settings.stores[0].root
    root.rename(root.with_name("gone"))
    body = form(("file", "a.txt", "text/plain", b"hello"))
    refused = await machine.ask("/content/upload", headers=FORM, body=body)
    assert refused.status == 503
    assert "is not there" in refused.error
    assert not root.exists()
    root.with_name("gone").rename(root)
    assert (await machine.upload(b"hello"))["count"] == 1


@pytest_twisted.ensureDeferred
async def test_a_store_alone_is_a_process_too(tmp_path: Path) -> None:
    store = {"enabled": True, "port": 0, "min_free": 0}
    async with running(one_machine(tmp_path, prism={}, store=store)) as machine:
        answer = await machine.ask(
            f"/content/put/{HELLO}.txt", method="PUT", store=0, body=b"hello"
        )
        assert answer.status == 201
        assert "url" in machine.login


@pytest_twisted.ensureDeferred
async def test_a_prism_alone_says_that_no_store_is_there(tmp_path: Path) -> None:
    async with running(one_machine(tmp_path, store={})) as machine:
        body = form(("file", "a.txt", "text/plain", b"hello"))
        answer = await machine.ask("/content/upload", headers=FORM, body=body)
        assert answer.status == 503
        assert answer.error == "No store is available"


@pytest_twisted.ensureDeferred
async def test_configured_credentials_are_those_of_the_room(tmp_path: Path) -> None:
    prism = {"enabled": True, "port": 0, "username": "tools", "password": "a long password here"}
    async with running(one_machine(tmp_path, prism=prism)) as machine:
        assert machine.login["prism_username"] == "tools"
        good = basic(("tools", "a long password here"))
        asked = {"command": "all"}
        assert (await machine.ask("/cache/detail", asked, headers=good)).status == 200
        made = machine.basic("prism")
        assert (await machine.ask("/cache/detail", asked, headers=made)).status == 401


@pytest_twisted.ensureDeferred
async def test_what_is_under_way_is_finished_before_the_end(tmp_path: Path) -> None:
    async with running(one_machine(tmp_path)) as machine:
        body = form(("file", "a.txt", "text/plain", b"hello"))
        head = {**FORM, "X-OOSE-Token": machine.token, "Connection": "keep-alive"}
        whole = request("POST", "/content/upload", head, body)
        connection = await connect(machine.ports[-1])
        idle = await connect(machine.ports[-1])
        idle.transport.write(request("GET", "/ping", {"Connection": "keep-alive"}))
        await idle.until(b"pong")
        expecting = whole.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n", 1)
        at = expecting.index(b"\r\n\r\n") + 4
        connection.transport.write(expecting[:at])
        await connection.until(b"100 Continue")
        stopped = machine.service.stopService()
        await idle.closed
        with pytest.raises(Exception, match="refused"):
            await exchange(machine.ports[-1], b"")
        assert not stopped.called
        connection.transport.write(expecting[at:])
        answer = parse(await connection.closed)
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        await stopped
    assert [path.name for path in machine.content()] == [f"{HELLO}.txt"]


@pytest_twisted.ensureDeferred
async def test_tls_is_spoken_where_configured(tmp_path: Path) -> None:
    settings = one_machine(tmp_path, ssl={"pem": "auto"})
    async with running(settings) as machine:
        certificate = settings.root / "self-signed.pem"
        assert machine.login["ca"] == str(certificate)
        assert machine.login["url"] == f"https://127.0.0.1:{machine.ports[-1]}"
        assert certificate.stat().st_mode & 0o077 == 0
        plain = await exchange(machine.ports[-1], request("GET", "/ping"))
        assert b"pong" not in plain
