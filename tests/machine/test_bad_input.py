"""Bad input gets a clear 4xx answer in JSON and changes nothing."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted

from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import BOUNDARY, FORM, connect, exchange, form, parse, request

HELLO = hashlib.sha1(b"hello").hexdigest()
LIMIT = 1_000_000
FILE = ("file", "a.txt", "text/plain", b"hello")


@pytest_twisted.async_yield_fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    """A machine with one file, which bad input must not change."""
    prism = {"enabled": True, "port": 0, "max_upload": LIMIT}
    settings = one_machine(tmp_path_factory.mktemp("machine"), prism=prism)
    async with running(settings) as machine:
        await machine.upload(b"hello")
        yield machine
        assert [path.read_bytes() for path in machine.content()] == [b"hello"]
        assert await machine.leftovers() == []
        connection = machine.database._reader
        assert connection is not None
        (count,) = connection.execute(
            "SELECT count(*) FROM documents WHERE db = 'inventory'"
        ).fetchone()
        assert count == 1
        (count,) = connection.execute("SELECT count(*) FROM purchases").fetchone()
        assert count == 0


def cut_form(upto: int) -> bytes:
    return form(FILE)[:upto]


FORMS: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "a form that ends too soon": (cut_form(-20), FORM, 400, "cut short"),
    "a form that ends within a header": (cut_form(60), FORM, 400, "cut short"),
    "a form with no boundary in it": (b"hello", FORM, 400, "cut short"),
    "no file in the form": (form(("title", "x")), FORM, 400, "no file"),
    "an empty form": (b"--" + BOUNDARY + b"--\r\n", FORM, 400, "no file"),
    "an empty body": (b"", FORM, 400, ""),
    "JSON where a form is due": (b"{}", {"Content-Type": "application/json"}, 415, "multipart"),
    "no content type": (form(FILE), {}, 415, "multipart"),
    "a form without a boundary": (
        form(FILE),
        {"Content-Type": "multipart/form-data"},
        400,
        "bound",
    ),
    "10,000 fields": (form(*[("x", "y")] * 10_000, FILE), FORM, 413, "100 fields"),
    "a field of 900 kB": (form(("x", "y" * 900_000), FILE), FORM, 413, "over"),
    "a field name of 100 kB": (form(("x" * 100_000, "y"), FILE), FORM, 413, "limit"),
    "an unknown hash type": (form(("hashType", "crc32"), FILE), FORM, 400, "hash type"),
    "an empty hash type": (form(("hashType", ""), FILE), FORM, 400, "hash type"),
    "a part without a name": (
        b"--%s\r\nContent-Disposition: form-data\r\n\r\nx\r\n--%s--\r\n" % (BOUNDARY, BOUNDARY),
        FORM,
        400,
        "",
    ),
}


@pytest.mark.parametrize("case", FORMS)
@pytest_twisted.ensureDeferred
async def test_a_bad_form_is_refused(machine: Machine, case: str) -> None:
    body, headers, status, word = FORMS[case]
    answer = await machine.ask("/content/upload", headers=headers, body=body, method="POST")
    assert answer.status == status, answer.body
    assert word in answer.error


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@pytest_twisted.ensureDeferred
async def test_a_length_beyond_the_limit_is_refused_before_the_body(machine: Machine) -> None:
    headers = {**FORM, "X-OOSE-Token": machine.token, "Content-Length": str(LIMIT * 100)}
    answer = parse(await exchange(machine.ports[-1], request("POST", "/content/upload", headers)))
    assert answer.status == 413
    assert str(LIMIT) in answer.error
    expecting = {**headers, "Expect": "100-continue"}
    raw = await exchange(machine.ports[-1], request("POST", "/content/upload", expecting))
    assert raw.startswith(b"HTTP/1.1 413")


@pytest_twisted.ensureDeferred
async def test_a_chunked_body_beyond_the_limit_is_cut_off(machine: Machine) -> None:
    body = chunked(*[form(("file", "a.bin", "x/y", b"x" * 300_000))[:250_000]] * 8)
    headers = {**FORM, "Transfer-Encoding": "chunked"}
    answer = await machine.ask("/content/upload", headers=headers, body=body)
    assert answer.status in {400, 413}
    start = form(("file", "a.bin", "x/y", b"")).partition(b"\r\n--")[0]
    big = chunked(start, *[b"x" * 100_000] * 12)
    answer = await machine.ask("/content/upload", headers=headers, body=big)
    assert answer.status == 413
    assert str(LIMIT) in answer.error


@pytest_twisted.ensureDeferred
async def test_a_put_beyond_the_limit_is_refused(machine: Machine) -> None:
    own = machine.basic("prism")
    target = f"/content/put/{HELLO}.txt"
    known = {**own, "Content-Length": str(LIMIT + 1)}
    raw = await exchange(machine.ports[-1], request("PUT", target, known))
    assert parse(raw).status == 413
    body = chunked(*[b"x" * 100_000] * 12)
    unknown = {**own, "Transfer-Encoding": "chunked"}
    answer = await machine.ask(target, method="PUT", headers=unknown, body=body)
    assert answer.status == 413


@pytest_twisted.ensureDeferred
async def test_a_header_of_1_mb_is_refused(machine: Machine) -> None:
    for header in ({"X-Long": "x" * 1_000_000}, {f"X-{n}": "x" * 500 for n in range(90)}):
        raw = await exchange(machine.ports[-1], request("GET", "/ping", header))
        answer = parse(raw)
        assert answer.status == 431
        assert "limit" in answer.error
    many = {f"X-{n}": "x" for n in range(500)}
    assert parse(await exchange(machine.ports[-1], request("GET", "/ping", many))).status == 431
    target = "/" + "x" * 100_000
    assert parse(await exchange(machine.ports[-1], request("GET", target))).status == 431


NAMES = {
    "a hash of a wrong length": ("a" * 39 + ".txt", 400),
    "no hash": (".txt", 400),
    "a hash with other letters": ("z" * 40 + ".txt", 400),
    "no extension": (HELLO, 400),
    "an extension with a dot": (f"{HELLO}.tar.gz", 400),
    "a path": (f"..%2f..%2f{HELLO}.txt", 404),
    "a path in the extension": (f"{HELLO}.%2e%2e%2fpasswd", 404),
    "a NUL": (f"{HELLO}.t%00t", 400),
    "a newline": (f"{HELLO}.t%0at", 400),
    "a quote": (f"{HELLO}.t%22t", 400),
    "Unicode": (f"{HELLO}.%D1%82", 400),
    "no UTF-8": (f"{HELLO}.%ff", 400),
    "a long extension": (f"{HELLO}.{'x' * 17}", 400),
}


@pytest.mark.parametrize("case", NAMES)
@pytest_twisted.ensureDeferred
async def test_a_put_under_a_bad_name_is_refused(machine: Machine, case: str) -> None:
    name, status = NAMES[case]
    for store in (None, 0):
        answer = await machine.ask(
            f"/content/put/{name}",
            method="PUT",
            store=store,
            headers=machine.basic("prism") if store is None else None,
            body=b"hello",
        )
        assert answer.status == status, answer.body
        assert answer.error


FILENAMES = [
    "../../etc/passwd",
    "a\\..\\b.txt",
    "a%00b.txt",
    "a'b.txt",
    "файл.txt",
    "🎬.txt",
    ".",
    "..",
    "",
]


@pytest.mark.parametrize("name", FILENAMES)
@pytest_twisted.ensureDeferred
async def test_a_files_name_never_becomes_a_path(machine: Machine, name: str) -> None:
    file = await machine.upload(b"hello", name=name)
    assert "/" not in file["name"]
    assert file["ext"] == "txt"
    assert [path.name for path in machine.content()] == [f"{HELLO}.txt"]


@pytest_twisted.ensureDeferred
async def test_control_characters_in_a_files_name_are_refused_or_harmless(machine: Machine) -> None:
    for name in ("a\x00b.txt", "a\nb.txt", "a\r\nX: y.txt", "a\x1bb.txt"):
        body = form(("file", name, "text/plain", b"hello"))
        answer = await machine.ask("/content/upload", headers=FORM, body=body)
        if answer.status != 200:
            assert answer.status == 400
            assert answer.error
    assert [path.name for path in machine.content()] == [f"{HELLO}.txt"]


JSON: dict[str, tuple[str, bytes, int]] = {
    "JSON that is a list": ("/content/detail", b"[1]", 400),
    "JSON that is text": ("/content/detail", b'"x"', 400),
    "JSON that is null": ("/content/detail", b"null", 400),
    "no JSON": ("/content/detail", b"{", 400),
    "not UTF-8": ("/content/detail", b'{"hash": "\xff"}', 400),
    "NaN": ("/content/detail", b'{"hash": NaN}', 400),
    "deep JSON": ("/content/detail", b'{"hash":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "deep objects": ("/content/detail", b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
    "3 MB of JSON": ("/content/detail", b'{"hash": "' + b"a" * 3_000_000 + b'"}', 413),
    "a number of 10,000 digits": ("/content/detail", b'{"hash": ' + b"9" * 10_000 + b"}", 400),
    "no hash": ("/content/detail", b"{}", 400),
    "an empty body": ("/content/detail", b"", 400),
    "an empty hash": ("/content/detail", b'{"hash": ""}', 400),
    "a prefix of a hash": ("/content/detail", b'{"hash": "aaf4c6"}', 400),
    "a hash that is a number": ("/content/detail", b'{"hash": 1}', 400),
    "a hash that is an object": ("/content/detail", b'{"hash": {"$gt": ""}}', 400),
    "hashes that are numbers": ("/content/detail", b'{"hash": [1]}', 400),
    "no hashes": ("/content/download", b'{"hash": []}', 400),
    "many hashes where one is due": ("/content/download", b'{"hash": ["a"]}', 400),
    "a login without a password": ("/user/login", b'{"username": "admin"}', 400),
    "a password that is a number": ("/user/login", b'{"username": "a", "password": 1}', 400),
    "a user name that is a list": ("/user/login", b'{"username": ["a"], "password": "x"}', 400),
    "a long password": ("/user/login", b'{"username":"a","password":"%s"}' % (b"x" * 5000), 400),
    "a token that is a list": ("/content/purchase/remove", b'{"token": []}', 400),
    "a token of a wrong shape": ("/content/purchase/remove", b'{"token": "../x"}', 400),
    "a source that is no URL": ("/content/retrieve", b'{"request": "file:///etc/passwd"}', 400),
    "a source without a URL": ("/content/retrieve", b'{"request": {}}', 400),
    "no source": ("/content/retrieve", b"{}", 400),
    "an unknown hash type": (
        "/content/retrieve",
        b'{"request": "http://example.com/", "hashType": "crc"}',
        400,
    ),
    "an extension with a path": (
        "/content/retrieve",
        b'{"request": "http://example.com/", "extension": "../x"}',
        400,
    ),
}


@pytest.mark.parametrize("case", JSON)
@pytest_twisted.ensureDeferred
async def test_bad_json_is_refused(machine: Machine, case: str) -> None:
    target, body, status = JSON[case]
    headers = {"Content-Type": "application/json"}
    answer = await machine.ask(target, headers=headers, body=body, method="POST")
    assert answer.status == status, answer.body
    assert answer.error
    assert "Traceback" not in answer.error


PURCHASES: dict[str, dict[str, Any]] = {
    "no extension": {"ext": None},
    "an extension with a path": {"ext": "../../x"},
    "an extension that is a number": {"ext": 4},
    "an extension with a newline": {"ext": "a\nb"},
    "no referrer": {"referrer": None},
    "no referrers": {"referrer": []},
    "a referrer that is a number": {"referrer": 5},
    "referrers that are numbers": {"referrer": [5]},
    "an empty referrer": {"referrer": ""},
    "a referrer with a space": {"referrer": "a b"},
    "a pattern as referrer": {"referrer": "(a+)+$"},
    "a thousand referrers": {"referrer": ["a.example"] * 1000},
    "a life below zero": {"life": -1},
    "no life": {"life": 0},
    "a life that is text": {"life": "soon"},
    "a life that is astronomic": {"life": 10**30},
    "a life that is a fraction": {"life": 1.5},
    "a life that is a list": {"life": [1]},
    "a life that is true": {"life": True},
}


@pytest.mark.parametrize("case", PURCHASES)
@pytest_twisted.ensureDeferred
async def test_a_bad_purchase_is_refused(machine: Machine, case: str) -> None:
    asked = {"hash": HELLO, "ext": "txt", "referrer": "*", **PURCHASES[case]}
    answer = await machine.ask("/content/purchase", asked)
    assert answer.status == 400, answer.body
    assert answer.error


@pytest_twisted.ensureDeferred
async def test_nothing_of_a_refused_body_is_parsed_as_a_request(machine: Machine) -> None:
    hidden = request("GET", "/stats", {"Connection": "keep-alive"})
    for headers, target in (
        ({"X-OOSE-Token": "no"}, "/content/upload"),
        ({"X-OOSE-Token": machine.token, "Content-Type": "text/plain"}, "/content/upload"),
        ({}, "/nowhere"),
    ):
        body = hidden * 20
        head = {"Connection": "keep-alive", **headers, "Content-Length": str(len(body) * 3)}
        connection = await connect(machine.ports[-1])
        connection.transport.write(request("POST", target, head) + body)
        raw = await connection.closed
        assert raw.count(b"HTTP/1.1 ") == 1
        assert b"uptime" not in raw
        assert parse(raw).status in {401, 404, 415}
        assert parse(raw).headers["connection"] == "close"


@pytest_twisted.ensureDeferred
async def test_a_connection_goes_on_after_a_refusal_whose_body_had_ended(machine: Machine) -> None:
    headers = {
        "Connection": "keep-alive",
        "X-OOSE-Token": machine.token,
        "Content-Type": "application/json",
    }
    bad = request("POST", "/content/detail", headers, b"[]")
    raw = await exchange(machine.ports[-1], bad + request("GET", "/ping"))
    assert raw.count(b"HTTP/1.1 ") == 2
    assert b"pong" in raw


POST = "POST /content/detail HTTP/1.1"
LINES = {
    "no HTTP": ["hello"],
    "a TLS hello": ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x00" * 30],
    "two lengths": [POST, "Host: x", "Content-Length: 5", "Content-Length: 6"],
    "length and chunks": [POST, "Host: x", "Content-Length: 5", "Transfer-Encoding: chunked"],
    "a length below zero": [POST, "Host: x", "Content-Length: -5"],
    "a length that is no number": [POST, "Host: x", "Content-Length: 1e9"],
    "a bad chunk": [POST, "Host: x", "Transfer-Encoding: chunked", "", "zz"],
    "another encoding": [POST, "Host: x", "Transfer-Encoding: gzip"],
    "a header without a colon": ["GET / HTTP/1.1", "Host: x", "bad header"],
}


@pytest.mark.parametrize("case", LINES)
@pytest_twisted.ensureDeferred
async def test_what_is_not_well_formed_http_is_refused(machine: Machine, case: str) -> None:
    raw = await exchange(machine.ports[-1], "\r\n".join([*LINES[case], "", ""]).encode("latin-1"))
    answer = parse(raw)
    assert answer.status in {400, 401}
    assert answer.error
    assert raw.count(b"HTTP/1.1 ") == 1


@pytest_twisted.ensureDeferred
async def test_unknown_paths_and_methods_are_named(machine: Machine) -> None:
    for target in ("/nowhere", "/static/x", "/%2e%2e/x", "/content/upload/x"):
        answer = await machine.ask(target)
        assert answer.status == 404, target
        assert answer.error
    wrong = await machine.ask("/content/upload")
    assert wrong.status == 405
    assert wrong.headers["allow"] == "POST"
    assert "POST" in wrong.error
    deleted = await machine.ask("/ping", method="DELETE")
    assert deleted.status == 405


@pytest_twisted.ensureDeferred
async def test_a_store_refuses_bad_json_too(machine: Machine) -> None:
    for target in ("exists", "detail", "verify", "remove", "download", "send"):
        values: list[Any] = [[], {"hash": "x"}, {"hash": {}}, {"file": "x", "store": []}]
        for value in values:
            answer = await machine.ask(f"/content/{target}", value, store=0)
            assert answer.status == 400, (target, value)
            assert answer.error


@pytest_twisted.ensureDeferred
async def test_addresses_that_are_not_public_are_not_retrieved(machine: Machine) -> None:
    for url in (
        f"http://127.0.0.1:{machine.ports[-1]}/ping",
        "http://localhost/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
    ):
        answer = await machine.ask("/content/retrieve", {"request": url, "extension": "txt"})
        assert answer.status in {400, 403, 502}, (url, answer.body)
        assert answer.error
