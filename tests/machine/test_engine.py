"""A process comes up whole or not at all, and goes down in order."""

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest
import pytest_twisted
from attrs import evolve

from oose.engine import CannotStart
from oose.settings.model import PurchaseSettings
from oose.tap import put_together
from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import FORM, basic, connect, exchange, form, parse, request
from tests.unit.logged import logged

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
async def test_others_may_read_content_whatever_the_umask(tmp_path: Path) -> None:
    """A daemon's umask would hide it from nginx."""
    old = os.umask(0o077)
    try:
        async with running(one_machine(tmp_path)) as machine:
            await machine.upload(b"hello")
            path = machine.content()[0]
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.parent.stat().st_mode & 0o777 == 0o755


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
async def test_a_disk_that_another_process_uses_ends_the_start(tmp_path: Path) -> None:
    store = {"enabled": True, "port": 0, "min_free": 0, "root": str(tmp_path / "disk")}
    with logged("error") as said:
        async with (
            running(one_machine(tmp_path / "first", store=store)) as first,
            running(one_machine(tmp_path / "second", store=store)) as second,
        ):
            assert (first.failures, second.failures) == ([], [None])
    assert f"Cannot start: {tmp_path / 'disk'} is in use by process {os.getpid()}" in said[0]


@pytest_twisted.ensureDeferred
async def test_a_database_of_a_newer_version_ends_the_start(tmp_path: Path) -> None:
    settings = one_machine(tmp_path)
    async with running(settings) as machine:
        writer = machine.database._writer
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
        await machine.service._assembly.membership._loops[0]._work()
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
        certificate = settings.root / "self-signed.crt"
        assert machine.login["ca"] == str(certificate)
        assert b"PRIVATE" not in certificate.read_bytes()
        assert machine.login["url"] == f"https://127.0.0.1:{machine.ports[-1]}"
        assert (settings.root / "self-signed.pem").stat().st_mode & 0o077 == 0
        plain = await exchange(machine.ports[-1], request("GET", "/ping"))
        assert b"pong" not in plain


@pytest_twisted.ensureDeferred
async def test_an_unexpected_error_ends_the_start_too(tmp_path: Path) -> None:
    failures: list[None] = []
    service = put_together(one_machine(tmp_path), lambda: failures.append(None))
    service.privilegedStartService()

    async def broken() -> None:
        raise ZeroDivisionError

    service._assembly.registry.load = broken  # type: ignore[method-assign] # the fault
    service.startService()
    assert service.starting is not None
    await service.starting
    assert failures == [None]
    assert service._ports == []
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_what_has_expired_is_forgotten(machine: Machine) -> None:
    await machine.upload(b"hello")
    await machine.purchase(HELLO, life=1)
    kept = (await machine.purchase(HELLO))["token"]
    machine.service._settings = evolve(
        machine.service._settings, purchase=PurchaseSettings(afterlife=-1.0)
    )
    await machine.service._forgetting._work()
    reader = machine.database._reader
    assert reader is not None
    assert reader.execute("SELECT token FROM purchases").fetchall() == [(kept,)]


def test_rooms_are_advertised_where_others_can_reach_them(tmp_path: Path) -> None:
    def url(**prism: object) -> str:
        given = {"enabled": True, "port": 0, **prism}
        settings = one_machine(tmp_path, prism=given, machine="host.example", insecure=True)
        service = put_together(settings, lambda: None)
        service.privilegedStartService()
        service.release()
        return service.url.rpartition(":")[0]

    assert url(url="https://prism.example:1") == "https://prism.example"
    assert url(listen="0.0.0.0") == "http://host.example"
    assert url(listen="localhost") == "http://localhost"
    assert url(listen="::1") == "http://[::1]"


@pytest_twisted.ensureDeferred
async def test_only_this_machine_and_proxies_may_ask_where_a_purchase_lies(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oose.web.client.ClientAddress.is_near", lambda self, request: False)
    answer = await machine.ask(f"/purchase/uri/play/{'a' * 64}/a.txt", store=0)
    assert answer.status == 403
    assert "this machine" in answer.error


@pytest_twisted.ensureDeferred
async def test_a_store_does_not_know_what_it_does_not_hold(machine: Machine) -> None:
    await machine.upload(b"hello")
    token = (await machine.purchase(HELLO))["token"]
    assert (await machine.ask("/play/short/a.txt", store=0)).status == 404
    await machine.ask("/content/remove", {"hash": HELLO}, store=0)
    answer = await machine.ask(f"/play/{token}/a.txt", store=0)
    assert (answer.status, answer.error) == (404, "The content is not on this store")


@pytest_twisted.ensureDeferred
async def test_a_stop_in_the_middle_of_a_start_stops(tmp_path: Path) -> None:
    service = put_together(one_machine(tmp_path), lambda: None)
    service.privilegedStartService()
    service.startService()
    await service.stopService()
    assert not service.running


@pytest_twisted.ensureDeferred
async def test_what_does_not_end_in_time_is_cut_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oose.engine.DRAIN", 0.01)
    with logged("warn") as said:
        async with running(one_machine(tmp_path)) as machine:
            head = {**FORM, "X-OOSE-Token": machine.token, "Content-Length": "1000"}
            connection = await connect(machine.ports[-1])
            expecting = {**head, "Expect": "100-continue"}
            connection.transport.write(request("POST", "/content/upload", expecting))
            await connection.until(b"100 Continue")
        await connection.closed
    assert "Cut after 0.01 s: 1 connection" in said


@pytest_twisted.ensureDeferred
async def test_peers_of_other_machines_are_left_as_they_are_at_the_end(tmp_path: Path) -> None:
    settings = one_machine(tmp_path)
    async with running(settings) as machine:
        registry = machine.service._assembly.registry
        [own, *_] = registry.peers()
        await registry.register(evolve(own, name="elsewhere", prism="elsewhere", machine="other"))
    async with running(settings) as machine:
        peers = {peer.name: peer.available for peer in machine.service._assembly.registry.peers()}
        assert peers["elsewhere"]


@pytest_twisted.ensureDeferred
async def test_what_was_bound_and_never_started_can_be_stopped(tmp_path: Path) -> None:
    service = put_together(one_machine(tmp_path), lambda: None)
    for pool in service._assembly.pools.all():
        pool.start()
    await service.stopService()
    assert service.starting is None


def test_one_machine_asks_no_database_of_others(machine: Machine) -> None:
    assert machine.service._assembly.databases.describe() == {}
