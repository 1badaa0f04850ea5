"""A real nginx before a store sends what the store would send, or lets it."""

import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import pytest

from oose.address import old_relative_path
from oose.deliver.internal import internal_place
from oose.disk import OPEN
from oose.installing.nginx.fronts import PrismFront, StoreFront
from oose.installing.nginx.rendering import render_prism, render_store
from oose.media_types import media_type_of
from tests.nginx import Nginx
from tests.process.site import LIMIT, TEXT, Site, nginx_site
from tests.process.test_crashes import wait_for

FIXED = {
    "content-disposition",
    "content-length",
    "content-range",
    "content-type",
    "cache-control",
    "etag",
    "last-modified",
    "accept-ranges",
    "x-content-type-options",
    "access-control-allow-origin",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with nginx_site(tmp_path_factory.mktemp("nginx")) as site:
        yield site


def test_nginx_takes_all_that_can_be_said(tmp_path: Path) -> None:
    nginx = Nginx(tmp_path / "nginx")
    more: dict[str, Any] = {
        "balancers": ["10.0.0.0/8", "fd00::/8"],
        "upstream_tls": True,
        "upstream_ca": nginx.certificate,
        "upstream_name": "peers.example.com",
    }
    disk: dict[str, Any] = {
        "root": tmp_path / "a disk; with {odd} #letters",
        "internal": "/inside/of-it",
    }
    for name in ("one", "and-another"):
        prism = PrismFront(
            **nginx.values(name), prisms=("127.0.0.1:5971", "[::1]:5971", "localhost:80"), **more
        )
        nginx.write(name, render_prism(prism))
        store = StoreFront(
            **nginx.values(f"store-{name}"), upstream="127.0.0.1:5972", **disk, **more
        )
        nginx.write(f"store-{name}", render_store(store))
    assert "test is successful" in nginx.check()


REQUESTS: list[tuple[str, dict[str, str]]] = [
    ("GET", {}),
    ("HEAD", {}),
    ("GET", {"Range": "bytes=5-9"}),
    ("GET", {"Range": "bytes=-7"}),
    ("GET", {"Range": "bytes=349990-"}),
    ("HEAD", {"Range": "bytes=5-9"}),
    ("GET", {"Range": "bytes=5-9", "If-Range": '"HASH"'}),
    ("GET", {"Range": "bytes=5-9", "If-Range": '"other"'}),
    ("GET", {"Range": "bytes=5-9", "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    ("GET", {"If-None-Match": '"HASH"'}),
    ("HEAD", {"If-None-Match": 'W/"HASH"'}),
    ("GET", {"If-None-Match": '"other", "HASH"'}),
    ("GET", {"If-None-Match": '"other"'}),
    ("GET", {"If-None-Match": "*"}),
    ("GET", {"If-Match": '"HASH"'}),
    ("GET", {"If-Match": '"HASH"', "Range": "bytes=5-9"}),
    ("GET", {"If-Match": '"other"'}),
    ("GET", {"If-Modified-Since": "Wed, 21 Oct 2099 07:28:00 GMT"}),
    ("GET", {"If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    ("GET", {"If-None-Match": '"HASH"', "If-Modified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    ("GET", {"Accept-Encoding": "gzip"}),
]


@pytest.mark.parametrize(("method", "headers"), REQUESTS, ids=str)
@pytest.mark.parametrize("kind", ["purchased", "static"])
def test_an_answer_is_the_same_with_and_without_nginx(
    site: Site, kind: str, method: str, headers: dict[str, str]
) -> None:
    content_hash = site.files["notes.txt"]
    given = {name: value.replace("HASH", content_hash) for name, value in headers.items()}
    target = site.static("notes.txt")
    if kind == "purchased":
        target = f"/play/{site.sell(content_hash)}/notes.txt"
    ours = site.directly(target, method, given)
    theirs = site.nginx.ask(target, method, given, name="store1")
    assert (theirs.status, theirs.body) == (ours.status, ours.body)
    about = [{k: v for k, v in each.headers.items() if k in FIXED} for each in (theirs, ours)]
    if theirs.status in {206, 412}:  # each is right to say it, and to leave it out
        for each in about:
            each.pop("accept-ranges", None)
    if theirs.status == 412:  # an error of the store's is open to players, too
        about[0].pop("access-control-allow-origin")
        about[0].pop("x-content-type-options")
    assert about[0] == about[1]
    assert theirs.headers["x-peer"] == "store1"


def test_several_ranges_come_in_parts_and_none_is_an_error(site: Site) -> None:
    target = site.static("notes.txt")
    several = site.nginx.ask(target, headers={"Range": "bytes=0-4,10-14"}, name="store1")
    assert several.status == 206
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert TEXT[:5] in several.body
    assert TEXT[10:15] in several.body
    for path in (target, f"/play/{site.sell(site.files['notes.txt'])}/a.txt"):
        beyond = site.nginx.ask(path, headers={"Range": "bytes=9999999-"}, name="store1")
        assert beyond.status == 416
        assert beyond.headers["content-range"] == f"bytes */{len(TEXT)}"
        assert "None of the requested ranges" in beyond.error


def test_a_viewer_gets_what_was_purchased_by_nginx_and_the_log_has_the_hash(site: Site) -> None:
    token = site.sell(site.files["notes.txt"])
    answer = site.play(token)
    assert (answer.status, answer.body) == (200, TEXT)
    first = site.nginx.logged("prism1", f"/{token[:6]}.../a.txt")
    then = site.nginx.logged("store1", f"/play/{token[:6]}.../a.txt")
    assert first["hash"] == then["hash"] == site.files["notes.txt"]
    assert (first["status"], then["status"]) == ("302", "200")
    assert then["bytes"] >= len(TEXT)
    everything = "".join(path.read_text() for path in site.nginx.folder.glob("*.log"))
    assert token not in everything


def test_only_nginx_itself_enters_the_internal_locations(site: Site) -> None:
    path = site.static("notes.txt").removeprefix("/static")
    for prefix in ("/oose-internal", "/oose-internal-mp4", "/oose-internal-flv"):
        assert site.nginx.ask(prefix + path, name="store1").status == 404
    assert "no" in site.nginx.ask(f"/purchase/uri/play/{'A' * 64}/a", name="store1").error
    assert site.nginx.ask("/content/confirm/x", "POST", name="store1").status == 421


def test_static_content_comes_straight_from_the_disk(site: Site) -> None:
    target = site.static("notes.txt")
    answer = site.nginx.ask(target, name="alone")  # whose store does not answer
    assert (answer.status, answer.body) == (200, TEXT)
    assert site.nginx.logged("alone", target)["hash"] == site.files["notes.txt"]
    for other in ("?attach=", "?start=1"):  # what the store has to judge
        away = site.nginx.ask(target + other, name="alone")
        assert away.status == 502
        assert "is away for now" in away.error
        assert away.headers["retry-after"] == "5"


def test_static_content_that_may_have_been_removed_is_asked_for(site: Site) -> None:
    target = site.static("notes.txt")
    mark = site.running.place.disk / OPEN
    mark.unlink()
    try:
        wait_for(lambda: site.nginx.ask(target, name="alone").status == 502)  # it was remembered
        assert site.nginx.ask(target, name="store1").body == TEXT
    finally:
        mark.touch()


def test_each_extension_has_the_type_that_it_has_without_nginx(site: Site) -> None:
    for ext in ("css", "svg", "vtt", "m3u8", "tgz", "bin", "none"):
        name = f"a.{ext}"
        site.keep(name, f"of {ext}".encode())
        answer = site.nginx.ask(site.static(name), name="alone")
        assert answer.headers["content-type"] == media_type_of(ext), ext


def test_types_that_must_be_purchased_are_refused_by_nginx_too(site: Site) -> None:
    site.keep("film.mp4", b"not much of a film")
    target = site.static("film.mp4")
    ours = site.directly(target, "GET", {})
    for method in ("GET", "HEAD"):
        for query in ("", "?attach=a"):
            answer = site.nginx.ask(target + query, method, name="alone")
            assert answer.status == 403
    assert site.nginx.ask(target, name="alone").error == ours.error
    assert site.nginx.ask("/static/x/../" + target[8:], name="alone").status == 403
    old = old_relative_path(site.files["film.mp4"], "mp4")
    assert site.nginx.ask(f"/static/{old}", name="store1").status == 403
    assert site.nginx.ask(f"/static/{site.files['film.mp4']}/a.mp4", name="prism1").status == 403


def test_files_where_version_2_put_them_are_found(site: Site) -> None:
    content_hash = site.keep("old.txt", b"an old file")
    old = site.running.place.disk / "content" / old_relative_path(content_hash, "txt")
    old.parent.mkdir(parents=True)
    token = site.sell(content_hash)
    site.path_of("old.txt").rename(old)
    assert site.play(token).body == b"an old file"  # where the record does not say
    answer = site.nginx.ask(f"/static/{old_relative_path(content_hash, 'txt')}", name="store1")
    assert (answer.status, answer.body) == (200, b"an old file")
    assert answer.headers["etag"] == f'"{content_hash}"'
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    gone = site.nginx.ask(site.static("old.txt"), name="store1")
    assert "not on this store" in gone.error
    errors = (site.nginx.folder / "store1.error.log").read_text()
    assert "No such file" not in errors  # whoever guesses names does not fill it


class Elsewhere(BaseHTTPRequestHandler):
    """A store whose records name a path as 2.x might have written it."""

    path_there: ClassVar[str] = "aa/ü %41?#&;'.txt"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("ETag", '"abc"')
        self.send_header(
            "X-Accel-Redirect", internal_place("/oose-internal", self.path_there, "").uri
        )
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_path_that_needs_quoting_is_found(tmp_path: Path) -> None:
    file = tmp_path / "disk" / "content" / Elsewhere.path_there
    file.parent.mkdir(parents=True)
    file.write_bytes(b"there")
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    nginx = Nginx(tmp_path / "nginx")
    upstream = f"127.0.0.1:{server.server_port}"
    front = StoreFront(**nginx.values("odd"), root=tmp_path / "disk", upstream=upstream)
    nginx.write("odd", render_store(front))
    try:
        with nginx.started():
            answer = nginx.ask("/play/x/y", name="odd")
        assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"there", '"abc"')
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


@pytest.mark.parametrize(
    "name",
    [
        "plain.txt",
        'a "quoted" name; filename=evil.exe',
        "back\\slash",
        "line\r\nX-Evil: yes\r\n\r\n<script>",
        "nul\x00byte.txt",
        "файл – 文件.mp4",
        "../../etc/passwd",
        "%41%0d%0a",
        "x" * 2000,
    ],
)
def test_a_name_to_save_under_breaks_no_header(site: Site, name: str) -> None:
    token = site.sell(site.files["notes.txt"])
    query = f"?attach={quote(name, safe='')}"
    answers = [
        site.play(token, query),
        site.nginx.ask(site.static("notes.txt") + query, name="store1"),
    ]
    for answer in answers:
        assert (answer.status, answer.body) == (200, TEXT)
        assert "x-evil" not in answer.headers
        disposition = answer.headers["content-disposition"]
        plain = re.fullmatch(
            r"attachment; filename=\"([^\"\\%/]+)\"(?:; filename\*=UTF-8''([\w.%~-]+))?",
            disposition,
        )
        assert plain is not None, disposition
        assert disposition.isascii()
        assert "\n" not in unquote(plain[2] or "")
        assert answer.headers["etag"] == f'"{site.files["notes.txt"]}"'
    assert answers[0].headers["content-disposition"] == answers[1].headers["content-disposition"]


@pytest.mark.parametrize("rate", ["", "?rate=999999999", "?rate=0", "?rate=much", "?rate=100000"])
def test_no_viewer_gets_more_than_the_most_bytes_a_second(site: Site, rate: str) -> None:
    token = site.sell(site.files["notes.txt"])
    begun = time.monotonic()
    answer = site.nginx.ask(f"/play/{token}/a.txt{rate}", name="slow")
    assert answer.body == TEXT
    # nginx sends what one second gives at once, and then waits
    least = len(TEXT) / (100_000 if rate.endswith("=100000") else LIMIT) - 1.1
    assert time.monotonic() - begun > least


def test_a_viewer_may_ask_for_less_where_there_is_no_most(site: Site) -> None:
    begun = time.monotonic()
    answer = site.nginx.ask(site.static("notes.txt") + "?rate=150000", name="store1")
    assert answer.body == TEXT
    assert time.monotonic() - begun > len(TEXT) / 150_000 - 1.1


def test_players_on_any_page_may_ask_and_read(site: Site) -> None:
    token = site.sell(site.files["notes.txt"])
    for name, target in (
        ("prism1", f"/{token}/a.txt"),
        ("store1", f"/play/{token}/a.txt"),
        ("store1", site.static("notes.txt")),
    ):
        may = site.nginx.ask(target, "OPTIONS", {"Origin": "https://a.example"}, name=name)
        assert may.status == 204
        assert "Range" in may.headers["access-control-allow-headers"]
        answer = site.nginx.ask(target, name=name)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Content-Range" in answer.headers["access-control-expose-headers"]
        assert answer.headers["x-peer"] == name
    for name in ("prism1", "store1"):
        policy = site.nginx.ask("/crossdomain.xml", name=name)
        assert policy.headers["content-type"] == "text/x-cross-domain-policy"
        assert policy.body.startswith(b'<?xml version="1.0"?>\n<!DOCTYPE cross-domain-policy')
        assert b'<allow-access-from domain="*" />' in policy.body
