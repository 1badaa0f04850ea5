"""What a store answers, by the table of the HTTP contract."""

import hashlib
import json
from pathlib import Path

import pytest_twisted

from oose.address import old_relative_path
from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import exchange, parse, request

HELLO = hashlib.sha1(b"hello").hexdigest()
NOBODY = hashlib.sha1(b"nobody has this").hexdigest()
PLACE = f"{HELLO[:2]}/{HELLO[2:4]}/{HELLO}.txt"


async def put(machine: Machine, data: bytes = b"hello", name: str = f"{HELLO}.txt") -> None:
    answer = await machine.ask(f"/content/put/{name}", method="PUT", store=0, body=data)
    assert answer.status == 201, answer.body


@pytest_twisted.ensureDeferred
async def test_the_open_routes_are_those_of_a_prism(machine: Machine) -> None:
    assert (await machine.ask("/ping", store=0)).json() == {"pong": "pong"}
    assert "Welcome" in (await machine.ask("/", store=0)).json()["message"]
    stats = (await machine.ask("/stats", store=0)).json()
    assert stats["disk"]["usable"]
    assert stats["disk"]["capacity"] > stats["disk"]["free"] > 0


@pytest_twisted.ensureDeferred
async def test_a_put_file_is_on_the_disk_and_in_the_inventory(machine: Machine) -> None:
    answer = await machine.ask(f"/content/put/{HELLO}.txt", method="PUT", store=0, body=b"hello")
    assert answer.status == 201
    told = answer.json()
    assert [path.read_bytes() for path in machine.content()] == [b"hello"]
    detail = (await machine.ask("/content/detail", {"hash": HELLO}, store=0)).json()
    assert told == {"hash": HELLO, "record": detail}
    assert detail["relativePath"] == PLACE
    assert detail["size"] == 5
    assert detail["verifiedAt"] == detail["createdAt"]
    assert detail["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert (await machine.ask("/content/detail", {"hash": HELLO})).json()["count"] == 1


@pytest_twisted.ensureDeferred
async def test_wrong_bytes_for_a_hash_leave_the_good_file(machine: Machine) -> None:
    await put(machine)
    wrong = await machine.ask(f"/content/put/{HELLO}.txt", method="PUT", store=0, body=b"jello")
    assert wrong.status == 422
    assert HELLO in wrong.error
    assert [path.read_bytes() for path in machine.content()] == [b"hello"]
    assert await machine.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_files_are_found_one_and_many(machine: Machine) -> None:
    await put(machine)
    one = (await machine.ask("/content/exists", {"hash": HELLO}, store=0)).json()
    assert one == {"exists": {"exists": True, "ext": "txt"}}
    many = (await machine.ask("/content/exists", {"hash": [HELLO, NOBODY]}, store=0)).json()
    assert many == {
        HELLO: {"exists": True, "ext": "txt"},
        NOBODY: {"exists": False, "ext": ""},
    }


@pytest_twisted.ensureDeferred
async def test_peers_download_with_the_stores_credentials(machine: Machine) -> None:
    await put(machine)
    part = await machine.ask(
        "/content/download", {"hash": HELLO}, store=0, headers={"Range": "bytes=-2"}
    )
    assert (part.status, part.body) == (206, b"lo")
    missing = await machine.ask("/content/download", {"hash": NOBODY}, store=0)
    assert missing.status == 404
    bare = request(
        "POST", "/content/download", {"Content-Type": "application/json"}, b'{"hash": ""}'
    )
    assert parse(await exchange(machine.ports[0], bare)).status == 401


@pytest_twisted.ensureDeferred
async def test_verification_tells_ok_corrupt_and_missing(machine: Machine) -> None:
    other = hashlib.md5(b"other").hexdigest()
    await put(machine)
    await put(machine, b"other", f"{other}.bin")
    good = await machine.ask("/content/verify", {"hash": HELLO}, store=0)
    assert good.json() == {"hash": HELLO, "status": "ok"}
    path = next(path for path in machine.content() if path.name.startswith(HELLO))
    path.write_bytes(b"hellO")
    asked = {"hash": [HELLO, other, NOBODY]}
    many = (await machine.ask("/content/verify", asked, store=0)).json()
    assert {key: value["status"] for key, value in many.items()} == {
        HELLO: "corrupt",
        other: "ok",
        NOBODY: "missing",
    }
    assert not (await machine.ask("/content/detail", {"hash": HELLO})).json()["exists"]
    quarantine = machine.settings.stores[0].root / "quarantine"
    assert (quarantine / f"{HELLO}.txt").read_bytes() == b"hellO"
    why = json.loads((quarantine / f"{HELLO}.txt.why.json").read_text())
    assert why["found"] == hashlib.sha1(b"hellO").hexdigest()
    gone = await machine.ask("/content/verify", {"hash": HELLO}, store=0)
    assert gone.json()["status"] == "missing"


@pytest_twisted.ensureDeferred
async def test_a_removed_file_is_gone_from_disk_and_inventory(machine: Machine) -> None:
    await put(machine)
    answer = await machine.ask("/content/remove", {"hash": HELLO}, store=0)
    assert answer.json() == {"success": "File removed"}
    assert machine.content() == []
    assert not (await machine.ask("/content/detail", {"hash": HELLO})).json()["exists"]
    again = await machine.ask("/content/remove", {"hash": HELLO}, store=0)
    assert again.status == 404
    assert again.error


@pytest_twisted.ensureDeferred
async def test_a_file_is_removed_only_before_the_time_that_is_said(machine: Machine) -> None:
    await put(machine)
    for until, status in ((1, 409), ("soon", 400), (-1, 400), (2**53, 200)):
        answer = await machine.ask("/content/remove", {"hash": HELLO, "until": until}, store=0)
        assert answer.status == status, until
        assert bool(machine.content()) is (status != 200), until


@pytest_twisted.ensureDeferred
async def test_a_file_without_a_record_is_said_to_be_one(machine: Machine) -> None:
    path = machine.settings.stores[0].root / "content" / PLACE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"hello")
    answer = await machine.ask("/content/detail", {"hash": HELLO}, store=0)
    assert answer.status == 404
    assert "not in the inventory" in answer.error


@pytest_twisted.ensureDeferred
async def test_files_where_version_2_put_them_are_served_and_verified(machine: Machine) -> None:
    await put(machine)
    old = machine.settings.stores[0].root / "content" / old_relative_path(HELLO, "txt")
    old.parent.mkdir(parents=True)
    machine.content()[0].rename(old)
    sold = await machine.purchase(HELLO)
    assert (await machine.view(f"/{sold['token']}/a.txt")).body == b"hello"
    direct = await machine.ask(f"/static/{old_relative_path(HELLO, 'txt')}", store=0)
    assert direct.body == b"hello"
    verified = await machine.ask("/content/verify", {"hash": HELLO}, store=0)
    assert verified.json()["status"] == "ok"
    assert (await machine.ask("/content/remove", {"hash": HELLO}, store=0)).status == 200
    assert not old.exists()


@pytest_twisted.ensureDeferred
async def test_a_file_is_sent_to_another_store(tmp_path: Path) -> None:
    stores = [{"enabled": True, "port": 0, "min_free": 0} for _ in range(2)]
    async with running(one_machine(tmp_path, store=stores)) as machine:
        await put(machine)
        asked = {"file": f"{HELLO}.txt", "store": "prism1:store2"}
        sent = await machine.ask("/content/send", asked, store=0)
        assert sent.status == 200, sent.body
        assert sent.json()["success"] == "Clone sent"
        assert sent.json()["file"] == f"{HELLO}.txt"
        assert sent.json()["store"]["name"] == "store2"
        assert sent.json()["details"] == {"hash": HELLO, "ext": "txt", "size": 5}
        assert [path.read_bytes() for path in machine.content(1)] == [b"hello"]
        machine.content(0)[0].write_bytes(b"jello")
        await machine.ask("/content/remove", {"hash": HELLO}, store=1)
        rotten = await machine.ask("/content/send", asked, store=0)
        assert rotten.status == 422
        assert "corrupt" in rotten.error
        assert machine.content(1) == []
        for target, status in (
            ("prism1:store9", 404),
            ("prism1:store1", 400),
            ("../etc", 404),
        ):
            answer = await machine.ask("/content/send", {**asked, "store": target}, store=0)
            assert answer.status == status
            assert answer.error
        missing = {"file": f"{NOBODY}.txt", "store": "prism1:store2"}
        assert (await machine.ask("/content/send", missing, store=0)).status == 404


@pytest_twisted.ensureDeferred
async def test_a_copy_that_comes_after_its_content_was_removed_is_not_kept(tmp_path: Path) -> None:
    stores = [{"enabled": True, "port": 0, "min_free": 0} for _ in range(2)]
    async with running(one_machine(tmp_path, store=stores)) as machine:
        await put(machine)
        asked = {"file": f"{HELLO}.txt", "store": "prism1:store2"}
        assert (await machine.ask("/content/send", asked, store=0)).status == 200
        details = [
            (await machine.ask("/content/detail", {"hash": HELLO}, store=n)).json() for n in (0, 1)
        ]
        assert details[0]["createdAt"] == details[1]["createdAt"]
        own = machine.basic("prism")
        gone = await machine.ask("/content/remove", {"hash": HELLO}, headers=own)
        assert gone.json()["removed"] == 2
        name, late = f"/content/put/{HELLO}.txt", details[0]["createdAt"]
        for created, status in ((late, 409), ("soon", 400), (-1, 400), ("", 400), ("9" * 16, 400)):
            path = f"{name}?created={created}"
            answer = await machine.ask(path, method="PUT", store=1, body=b"hello")
            assert (answer.status, machine.content(1)) == (status, [])
        assert (await machine.ask(name, method="PUT", store=1, body=b"hello")).status == 201


@pytest_twisted.ensureDeferred
async def test_only_this_machine_may_ask_where_a_purchase_lies(tmp_path: Path) -> None:
    async with running(one_machine(tmp_path)) as machine:
        await machine.upload(b"hello")
        token = (await machine.purchase(HELLO))["token"]
        answer = await machine.ask(f"/purchase/uri/play/{token}/a.txt", store=0)
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.body.decode() == f"content/{PLACE}"
        unknown = await machine.ask(f"/purchase/uri/play/{'a' * 64}/a.txt", store=0)
        assert unknown.status == 404


@pytest_twisted.ensureDeferred
async def test_with_nginx_the_answer_names_its_internal_location(tmp_path: Path) -> None:
    store = {"enabled": True, "port": 0, "min_free": 0, "accel_redirect": True}
    async with running(one_machine(tmp_path, store=store)) as machine:
        await machine.upload(b"hello")
        token = (await machine.purchase(HELLO))["token"]
        for target in (f"/play/{token}/a.txt", f"/static/{PLACE}"):
            answer = await machine.ask(target, store=0)
            assert answer.body == b""
            assert answer.headers["x-accel-redirect"] == f"/oose-internal/{PLACE}"
            assert answer.headers["etag"] == f'"{HELLO}"'
            known = await machine.ask(target, store=0, headers={"If-None-Match": f'"{HELLO}"'})
            assert (known.status, known.body) == (304, b"")
            for headers in (
                {"X-OOSE-Accel": "no"},
                {"If-Match": f'"{HELLO}"'},
                {"If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"},
            ):
                sent = await machine.ask(target, store=0, headers=headers)
                assert (sent.status, sent.body) == (200, b"hello"), headers
                assert "x-accel-redirect" not in sent.headers
            part = {"Range": "bytes=1-2"}
            head = await machine.ask(target, method="HEAD", store=0, headers=part)
            assert (head.status, head.headers["content-length"]) == (200, "5")


@pytest_twisted.ensureDeferred
async def test_what_nginx_cuts_has_no_hash_for_an_etag(tmp_path: Path) -> None:
    store = {"enabled": True, "port": 0, "min_free": 0, "accel_redirect": True}
    async with running(one_machine(tmp_path, store=store)) as machine:
        await machine.upload(b"hello", "film.mp4", "video/mp4")
        token = (await machine.purchase(HELLO, "mp4"))["token"]
        target = f"/play/{token}/a.mp4?start=1.5"
        answer = await machine.ask(target, store=0, headers={"If-None-Match": f'"{HELLO}"'})
        place = f"/oose-internal/{HELLO[:2]}/{HELLO[2:4]}/{HELLO}.mp4?start=1.5"
        assert (answer.status, answer.headers["x-accel-redirect"]) == (200, place)
        assert "etag" not in answer.headers
        assert answer.headers["x-oose-hash"] == HELLO
        assert answer.headers["content-disposition"] == "inline"
        named = await machine.ask(target, store=0, headers={"X-OOSE-Accel": "named"})
        assert named.headers["x-oose-content-disposition"] == "inline"
        assert named.headers["x-oose-cache-control"] == "private"
        assert not {"content-disposition", "cache-control"} & set(named.headers)


@pytest_twisted.ensureDeferred
async def test_attached_names_break_no_header(machine: Machine) -> None:
    await machine.upload(b"hello")
    token = (await machine.purchase(HELLO))["token"]
    for attach, expected in (
        ("a.txt", 'attachment; filename="a.txt"'),
        ("", 'attachment; filename="notes.txt"'),
        ("a%22%0d%0aSet-Cookie:%20x%00.txt", 'attachment; filename="a___Set-Cookie: x_.txt"'),
        ("..%2f..%2fpasswd", None),
        ("%D0%BA%D0%B8%D0%BD%D0%BE.mp4", None),
    ):
        answer = await machine.view(f"/{token}/notes.txt?attach={attach}")
        assert answer.status == 200
        assert "set-cookie" not in answer.headers
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith("attachment; filename=")
        assert "/" not in disposition
        if expected is not None:
            assert disposition == expected


@pytest_twisted.ensureDeferred
async def test_delivery_speaks_ranges_and_conditions(machine: Machine) -> None:
    data = bytes(range(256)) * 1000
    file = await machine.upload(data, name="a.bin", kind="application/x-thing")
    token = (await machine.purchase(file["hash"], ext="bin"))["token"]
    target = f"/{token}/a.bin"
    etag = f'"{file["hash"]}"'
    head = await machine.view(target, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(data))
    assert head.headers["accept-ranges"] == "bytes"
    many = await machine.view(target, Range="bytes=0-1,100000-100001,-1")
    assert many.status == 206
    assert many.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert data[100000:100002] in many.body
    assert (await machine.view(target, Range="bytes=999999-")).status == 416
    assert (await machine.view(target, **{"If-None-Match": etag})).status == 304
    fresh = {"Range": "bytes=0-0", "If-Range": etag}
    assert (await machine.view(target, **fresh)).status == 206
    stale = {"Range": "bytes=0-0", "If-Range": '"other"'}
    whole = await machine.view(target, **stale)
    assert (whole.status, whole.body) == (200, data)


@pytest_twisted.ensureDeferred
async def test_a_store_refuses_films_without_a_purchase_too(machine: Machine) -> None:
    film = await machine.upload(b"film", name="a.mp4", kind="video/mp4")
    content_hash = film["hash"]
    path = f"/static/{content_hash[:2]}/{content_hash[2:4]}/{content_hash}.mp4"
    refused = await machine.ask(path, store=0)
    assert refused.status == 403
    for odd in (
        f"/static/{PLACE}",
        "/static/../secrets.json",
        "/static/%2e%2e/secrets.json",
        "/static//etc/passwd",
        f"/static/{PLACE}%00",
    ):
        answer = await machine.ask(odd, store=0)
        assert answer.status == 404
        assert answer.error


@pytest_twisted.ensureDeferred
async def test_content_that_left_the_disk_is_not_found_and_said_so(machine: Machine) -> None:
    await machine.upload(b"hello")
    token = (await machine.purchase(HELLO))["token"]
    machine.content()[0].unlink()
    answer = await machine.view(f"/{token}/a.txt")
    assert answer.status == 404
    assert answer.error
    assert (await machine.upload(b"hello"))["count"] == 1
    assert (await machine.view(f"/{token}/a.txt")).body == b"hello"
