"""What a prism answers, by the table of the HTTP contract."""

import hashlib
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import FORM, exchange, form, parse, request

HELLO = hashlib.sha1(b"hello").hexdigest()
NOBODY = hashlib.sha1(b"nobody has this").hexdigest()


@pytest_twisted.ensureDeferred
async def test_the_home_page_says_which_version_answers(machine: Machine) -> None:
    for method in ("GET", "POST"):
        answer = await machine.ask("/", method=method)
        assert answer.json()["message"].startswith("Welcome to OOSE version ")
    page = await machine.ask("/", headers={"Accept": "text/html,*/*"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert b"Welcome to OOSE" in page.body


@pytest_twisted.ensureDeferred
async def test_ping_answers_pong_and_head_has_no_body(machine: Machine) -> None:
    assert (await machine.ask("/ping")).json() == {"pong": "pong"}
    assert (await machine.ask("/ping", method="POST")).json() == {"pong": "pong"}
    head = await machine.ask("/ping", method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "16")


@pytest_twisted.ensureDeferred
async def test_old_players_find_their_policy_file(machine: Machine) -> None:
    answer = await machine.ask("/crossdomain.xml")
    assert b"<cross-domain-policy>" in answer.body
    assert answer.headers["content-type"] == "text/x-cross-domain-policy"


@pytest_twisted.ensureDeferred
async def test_the_counters_name_no_token_and_no_user(machine: Machine) -> None:
    await machine.upload(b"hello")
    sold = await machine.purchase(HELLO)
    await machine.view(f"/{sold['token']}/a.txt")
    answer = await machine.ask("/stats", headers={"X-OOSE-Token": ""})
    tree = answer.json()
    assert tree["requests"]["upload"] == {"200": 1}
    assert tree["uploads"] == {"files": 1, "bytes": 5}
    text = answer.body.decode()
    assert sold["token"] not in text
    assert machine.token not in text
    assert "admin" not in text


@pytest_twisted.ensureDeferred
async def test_a_login_gives_a_session_that_validates_until_logout(machine: Machine) -> None:
    answer = (await machine.ask("/user/session/validate", method="POST")).json()
    assert answer["success"] == "Session valid"
    assert answer["session"]["token"] == machine.token
    assert answer["session"]["ip"] == "127.0.0.1"
    assert answer["session"]["data"]["username"] == "admin"
    out = await machine.ask("/user/logout", method="POST")
    assert out.json() == {"success": "User logged out"}
    dead = await machine.ask("/user/session/validate", method="POST")
    assert dead.status == 401
    assert dead.error


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_and_an_unknown_user_are_told_the_same(machine: Machine) -> None:
    for username in ("admin", "nobody"):
        answer = await machine.ask("/user/login", {"username": username, "password": "x" * 20})
        assert (answer.status, answer.error) == (401, "Invalid username or password")


@pytest_twisted.ensureDeferred
async def test_any_text_is_no_session(machine: Machine) -> None:
    for token in ("x", "a" * 64, "' OR 1=1 --", "Bearer"):
        answer = await machine.ask(
            "/content/detail", {"hash": HELLO}, headers={"X-OOSE-Token": token}
        )
        assert answer.status == 401
        assert answer.error


@pytest_twisted.ensureDeferred
async def test_an_upload_is_there_to_be_asked_for(machine: Machine) -> None:
    file = await machine.upload(b"hello")
    assert file == {
        "key": "file",
        "name": "notes.txt",
        "encoding": "7bit",
        "mimetype": "text/plain",
        "ext": "txt",
        "size": 5,
        "hash": HELLO,
        "sha1": HELLO,
        "hashType": "sha1",
        "count": 1,
        "wanted": 2,
    }
    path = f"{HELLO[:2]}/{HELLO[2:4]}/{HELLO}.txt"
    detail = (await machine.ask("/content/detail", {"sha1": HELLO.upper()})).json()
    assert detail == {
        "hash": HELLO,
        "mimeType": "text/plain",
        "mimeExtension": "txt",
        "relativePath": path,
        "size": 5,
        "exists": True,
        "count": 1,
        "map": ["prism1:store1"],
    }
    assert [each.name for each in machine.content()] == [f"{HELLO}.txt"]
    assert machine.content()[0].read_bytes() == b"hello"
    assert await machine.leftovers() == []


@pytest.mark.parametrize("kind", ["sha512", "sha384", "sha256", "sha224", "sha1", "md5"])
@pytest_twisted.ensureDeferred
async def test_every_hash_type_names_content(machine: Machine, kind: str) -> None:
    expected = hashlib.new(kind, b"hello").hexdigest()
    file = await machine.upload(b"hello", hashType=kind)
    assert (file["hash"], file[kind], file["hashType"]) == (expected, expected, kind)
    assert (await machine.ask("/content/detail", {"hash": expected})).json()["exists"]


@pytest_twisted.ensureDeferred
async def test_a_form_may_hold_many_files_each_with_its_own_hash_type(machine: Machine) -> None:
    body = form(
        ("title", "Ünïcode ✓"),
        ("file", "a.txt", "text/plain", b"one"),
        ("hashType", "md5"),
        ("file", "b.txt", "text/plain", b"two"),
        ("other", "c", "image/png", b"three"),
    )
    answer = (await machine.ask("/content/upload", headers=FORM, body=body)).json()
    assert answer["data"]["title"] == "Ünïcode ✓"
    files = answer["files"]
    assert {key: file["hashType"] for key, file in files.items()} == {
        "file": "sha1",
        "file-2": "md5",
        "other": "md5",
    }
    assert files["file-2"]["hash"] == hashlib.md5(b"two").hexdigest()
    assert files["other"]["ext"] == "png"
    assert len(machine.content()) == 3


@pytest_twisted.ensureDeferred
async def test_the_first_extension_of_content_stays(machine: Machine) -> None:
    await machine.upload(b"hello", name="a.txt")
    again = await machine.upload(b"hello", name="b.md", kind="text/markdown")
    assert (again["ext"], again["mimetype"]) == ("txt", "text/plain")
    assert len(machine.content()) == 1


@pytest_twisted.ensureDeferred
async def test_an_empty_file_is_content_too(machine: Machine) -> None:
    file = await machine.upload(b"")
    assert (file["hash"], file["size"]) == (hashlib.sha1().hexdigest(), 0)


@pytest_twisted.ensureDeferred
async def test_the_same_content_at_once_ends_as_one_file(machine: Machine) -> None:
    data = b"x" * 300_000
    files = await gatherResults(
        [Deferred.fromCoroutine(machine.upload(data, name=f"{n}.txt")) for n in range(8)]
    )
    assert {file["hash"] for file in files} == {hashlib.sha1(data).hexdigest()}
    assert len(machine.content()) == 1
    assert await machine.leftovers() == []


@pytest_twisted.ensureDeferred
async def test_two_stores_get_a_copy_each(tmp_path: Path) -> None:
    stores = [{"enabled": True, "port": 0, "min_free": 0} for _ in range(2)]
    async with running(one_machine(tmp_path, store=stores)) as machine:
        file = await machine.upload(b"x" * 3_000_000)
        assert (file["count"], file["wanted"]) == (2, 2)
        assert [path.name for path in machine.content(0)] == [
            path.name for path in machine.content(1)
        ]
        detail = (await machine.ask("/content/detail", {"hash": file["hash"]})).json()
        assert sorted(detail["map"]) == ["prism1:store1", "prism1:store2"]


@pytest_twisted.ensureDeferred
async def test_content_with_too_few_clones_is_topped_up(tmp_path: Path) -> None:
    one = one_machine(tmp_path)
    async with running(one) as machine:
        assert (await machine.upload(b"hello"))["count"] == 1
    stores = [{"enabled": True, "port": 0, "min_free": 0} for _ in range(2)]
    async with running(one_machine(tmp_path, store=stores)) as machine:
        assert (await machine.upload(b"hello"))["count"] == 2
        assert len(machine.content(1)) == 1


@pytest_twisted.ensureDeferred
async def test_detail_in_bulk_answers_by_hash(machine: Machine) -> None:
    await machine.upload(b"hello")
    answer = (await machine.ask("/content/detail", {"hash": [HELLO, NOBODY]})).json()
    assert answer[HELLO]["exists"]
    assert answer[NOBODY] == {
        "hash": NOBODY,
        "mimeType": "",
        "mimeExtension": "",
        "relativePath": "",
        "size": 0,
        "exists": False,
        "count": 0,
        "map": [],
    }


@pytest_twisted.ensureDeferred
async def test_a_download_is_the_bytes_or_a_part_of_them(machine: Machine) -> None:
    await machine.upload(b"hello")
    whole = await machine.ask("/content/download", {"hash": HELLO})
    assert (whole.status, whole.body) == (200, b"hello")
    assert whole.headers["etag"] == f'"{HELLO}"'
    assert whole.headers["content-type"].startswith("text/plain")
    part = await machine.ask("/content/download", {"hash": HELLO}, headers={"Range": "bytes=1-2"})
    assert (part.status, part.body) == (206, b"el")
    assert part.headers["content-range"] == "bytes 1-2/5"
    missing = await machine.ask("/content/download", {"hash": NOBODY})
    assert missing.status == 404
    assert NOBODY in missing.error


@pytest_twisted.ensureDeferred
async def test_a_purchase_is_text_throughout(machine: Machine) -> None:
    await machine.upload(b"hello")
    sold = await machine.purchase(HELLO, referrer=["a.example", "b.example"], life=60_000)
    assert all(isinstance(value, str) for value in sold.values())
    assert set(sold) == {"hash", "ext", "token", "life", "expirationDate", "referrer"}
    assert (sold["referrer"], sold["life"], sold["ext"]) == ("a.example,b.example", "60000", "txt")
    assert len(sold["token"]) == 64
    assert sold["token"].isalnum()
    now = machine.service._assembly.now()
    assert 0 <= now + 60_000 - int(sold["expirationDate"]) < 60_000


@pytest_twisted.ensureDeferred
async def test_a_viewer_of_purchased_content_gets_the_bytes(machine: Machine) -> None:
    await machine.upload(b"hello")
    sold = await machine.purchase(HELLO, referrer="shop.example")
    target = f"/{sold['token']}/notes.txt"
    good = await machine.view(target, Referer="https://www.shop.example/page")
    assert (good.status, good.body) == (200, b"hello")
    assert good.headers["cache-control"] == "private"
    assert good.headers["x-content-type-options"] == "nosniff"
    for referer in ("https://evil.example/?shop.example", "https://shop.example.evil.net/", ""):
        bad = await machine.view(target, Referer=referer)
        assert bad.status == 403
        assert bad.error
    assert (await machine.view(target)).status == 403


@pytest_twisted.ensureDeferred
async def test_a_film_is_asked_for_from_its_start(machine: Machine) -> None:
    film = await machine.upload(b"film", name="a.mp4", kind="video/mp4")
    sold = await machine.purchase(film["hash"], ext="mp4")

    async def sent_to(query: str) -> str:
        answer = await machine.ask(f"/{sold['token']}/a.mp4{query}")
        assert answer.status == 302
        return answer.headers["location"].rpartition("/")[2]

    assert await sent_to("") == "a.mp4?start=0"
    assert await sent_to("?x=1&y=%20") == "a.mp4?x=1&y=%20&start=0"
    assert await sent_to("?start=7") == "a.mp4?start=7"
    assert await sent_to("?html5") == "a.mp4?html5"


@pytest_twisted.ensureDeferred
async def test_a_removed_purchase_delivers_no_more(machine: Machine) -> None:
    await machine.upload(b"hello")
    token = (await machine.purchase(HELLO))["token"]
    assert (await machine.view(f"/{token}/a.txt")).status == 200
    gone = await machine.ask("/content/purchase/remove", {"token": token})
    assert gone.json() == {"token": token, "count": 1, "success": "Purchase removed"}
    again = await machine.ask("/content/purchase/remove", {"token": token})
    assert again.json()["count"] == 0
    assert (await machine.view(f"/{token}/a.txt")).status == 404
    store = machine.ports[0]
    direct = parse(await exchange(store, request("GET", f"/play/{token}/a.txt")))
    assert direct.status == 404


@pytest_twisted.ensureDeferred
async def test_an_unknown_or_malformed_token_is_not_found(machine: Machine) -> None:
    for token in ("a" * 64, "short", "%2e%2e", "%C3%A9"):
        answer = await machine.view(f"/{token}/a.txt")
        assert answer.status == 404
        assert answer.error


@pytest_twisted.ensureDeferred
async def test_what_does_not_exist_cannot_be_purchased(machine: Machine) -> None:
    answer = await machine.ask("/content/purchase", {"hash": NOBODY, "ext": "txt", "referrer": "*"})
    assert answer.status == 404
    assert answer.error


@pytest_twisted.ensureDeferred
async def test_static_content_is_delivered_and_films_are_not(machine: Machine) -> None:
    await machine.upload(b"hello")
    film = (await machine.upload(b"film", name="a.mp4", kind="video/mp4"))["hash"]
    good = await machine.view(f"/static/{HELLO}/any-name.txt")
    assert (good.status, good.body) == (200, b"hello")
    assert good.headers["cache-control"] == "public, max-age=31536000, immutable"
    for target in (f"/static/{film}/a.txt", f"/static/{HELLO}/a.mp4", f"/static/{film}/a.mp4"):
        refused = await machine.view(target)
        assert refused.status == 403
        assert "purchased" in refused.error
    missing = await machine.view(f"/static/{NOBODY}/a.txt")
    assert missing.status == 404
    prefix = await machine.view(f"/static/{HELLO[:6]}/a.txt")
    assert prefix.status == 404


@pytest_twisted.ensureDeferred
async def test_a_trusted_proxy_says_how_the_viewer_came(tmp_path: Path) -> None:
    prism = {"enabled": True, "port": 0, "trusted_proxies": ["127.0.0.1"]}
    settings = one_machine(tmp_path, prism=prism, domain="cdn.example")
    async with running(settings) as machine:
        await machine.upload(b"hello")
        for header, scheme in (
            ({"X-Forwarded-Proto": "https"}, "https"),
            ({"X-Forwarded-Protocol": "https"}, "https"),
            ({}, "http"),
        ):
            answer = await machine.ask(f"/static/{HELLO}/a.txt", headers=header)
            assert answer.headers["location"].startswith(f"{scheme}://store1.cdn.example/static/")


@pytest_twisted.ensureDeferred
async def test_peers_put_files_and_ask_past_the_cache(machine: Machine) -> None:
    own = machine.basic("prism")
    put = await machine.ask(f"/content/put/{HELLO}.txt", method="PUT", headers=own, body=b"hello")
    assert put.status == 201
    assert put.json() == {"success": "File uploaded", "file": f"{HELLO}.txt"}
    for asked in ({"hash": HELLO}, {"hash": HELLO, "tryCount": 2, "timeout": 50}):
        assert (await machine.ask("/content/exists", asked, headers=own)).json()["exists"]
    absent = await machine.ask(
        "/content/exists", {"hash": [HELLO, NOBODY], "tryCount": 2, "timeout": 20}, headers=own
    )
    assert not absent.json()[NOBODY]["exists"]
    wrong = await machine.ask(f"/content/put/{NOBODY}.txt", method="PUT", headers=own, body=b"x")
    assert wrong.status == 422
    assert wrong.error
    assert [path.read_bytes() for path in machine.content()] == [b"hello"]
    refused = await machine.ask("/content/exists", {"hash": HELLO})
    assert refused.status == 401
    assert "basic" in refused.headers["www-authenticate"].lower()


@pytest_twisted.ensureDeferred
async def test_the_prisms_own_credentials_open_a_users_routes(machine: Machine) -> None:
    answer = await machine.ask(
        "/user/session/validate",
        method="POST",
        headers={**machine.basic("prism"), "X-OOSE-Token": ""},
    )
    assert answer.json() == {"success": "Session valid", "session": {}}


@pytest_twisted.ensureDeferred
async def test_the_caches_can_be_looked_at_and_emptied(machine: Machine) -> None:
    own = machine.basic("prism")
    await machine.upload(b"hello")
    await machine.view(f"/static/{HELLO}/a.txt")
    hits = (await machine.ask("/cache/detail", {"command": "storeHits"}, headers=own)).json()
    assert "store1" in str(hits)
    every = (await machine.ask("/cache/detail", {"command": "all"}, headers=own)).json()
    assert HELLO in str(every)
    for command in ("all", "stats", "prismHits", "storeHits"):
        flushed = (await machine.ask("/cache/flush", {"command": command}, headers=own)).json()
        assert flushed["success"] == "ok"
        assert isinstance(flushed["count"], int)
    bad = await machine.ask("/cache/flush", {"command": "everything"}, headers=own)
    assert bad.status == 400
    assert bad.error
