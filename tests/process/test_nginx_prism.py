"""A real nginx before a prism: viewers, users, uploads, and what is refused."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from oose.installing.nginx.fronts import PrismFront
from oose.installing.nginx.rendering import render_prism
from tests.machine.talk import FORM, basic, form
from tests.nginx import DOMAIN, Answer, Nginx, exchange
from tests.process.site import TEXT, Site, nginx_site
from tests.process.test_crashes import wait_for
from tests.process.twistd import REPOSITORY, Place, started

LAST = b"the last of it"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with nginx_site(tmp_path_factory.mktemp("nginx")) as site:
        yield site


def test_a_removed_or_expired_purchase_is_gone_at_once(site: Site) -> None:
    token = site.sell(site.files["notes.txt"])
    location = site.nginx.ask(f"/{token}/a.txt", name="prism1").headers["location"]
    assert site.play(token).status == 200  # warm
    site.running.post("/content/purchase/remove", {"token": token})
    assert site.play(token).status == 404
    assert site.nginx.ask(location).status == 404
    short = site.sell(site.files["notes.txt"], life=500)
    wait_for(lambda: site.play(short).status == 404)


def test_removed_content_is_gone_in_seconds(site: Site) -> None:
    content_hash = site.keep("gone.txt", b"to be removed")
    token = site.sell(content_hash)
    target = site.static("gone.txt")
    assert site.nginx.ask(target, name="store1").status == 200
    assert site.play(token).status == 200
    own = json.loads((site.running.place.root / "secrets.json").read_text())["prism"]
    asked = json.dumps({"hash": content_hash}).encode()
    headers = {**basic((own["username"], own["password"])), "Content-Type": "application/json"}
    assert site.nginx.ask("/content/remove", "POST", headers, asked, name="prism1").status == 200
    assert site.play(token).status == 404
    wait_for(lambda: site.nginx.ask(target, name="store1").status == 404)  # `open_for` seconds


def test_a_refused_page_never_reaches_the_store(site: Site) -> None:
    token = site.sell(site.files["notes.txt"], referrer=["example.com"])
    refused = site.play(token, headers={"Referer": "https://thief.example/?example.com"})
    assert refused.status == 403
    assert "may not show" in refused.error
    good = {"Referer": "https://www.example.com/page"}
    assert site.play(token, headers=good).status == 200
    assert site.nginx.logged("prism1", f"/{token[:6]}.../a.txt")["referrer"] == (
        "https://www.example.com"
    )
    site.nginx.logged("store1", f"/play/{token[:6]}.../a.txt")
    seen = [line for line in site.nginx.log("store1") if token[:6] in line["path"]]
    assert len(seen) == 1


def test_redirects_lead_to_the_stores_own_name_over_tls_and_are_not_kept(site: Site) -> None:
    token = site.sell(site.files["notes.txt"])
    first = site.nginx.ask(f"/{token}/a.txt?a=b", name="prism1")
    parts = urlsplit(first.headers["location"])
    assert (parts.scheme, parts.hostname) == ("https", f"store1.{DOMAIN}")
    assert (parts.port, parts.query) == (site.nginx.https_port, "a=b")
    assert first.headers["cache-control"] == "no-store"
    assert "x-oose-hash" not in first.headers
    assert first.headers["server"] == "nginx"


def test_the_prism_is_told_the_clients_own_address(site: Site) -> None:
    profile = (site.running.place.root / "login.toml").read_text()
    found = dict(re.findall(r'^(\w+) = "(.*)"$', profile, re.MULTILINE))
    who = json.dumps({name: found[name] for name in ("username", "password")}).encode()
    headers = {"Content-Type": "application/json", "X-Forwarded-For": "192.0.2.1, 127.0.0.1"}
    answer = site.nginx.ask(
        "/user/login", "POST", headers, who, name="prism1", came_from="127.0.0.77"
    )
    assert json.loads(answer.body)["session"]["ip"] == "127.0.0.77"


def upload(site: Site, data: bytes, name: str, token: str | None = None) -> Answer:
    headers = {**FORM, "X-OOSE-Token": site.running.token if token is None else token}
    body = form(("file", "a.txt", "text/plain", data))
    return site.nginx.ask("/content/upload", "POST", headers, body, name=name)


def test_uploads_pass_as_they_come_and_are_refused_before_they_end(site: Site) -> None:
    data = TEXT * 30
    answer = upload(site, data, "prism1")
    content_hash = hashlib.sha1(data).hexdigest()
    assert json.loads(answer.body)["files"]["file"]["hash"] == content_hash
    assert "x-oose-hash" not in answer.headers
    assert site.nginx.logged("prism1", "/content/upload")["hash"] == content_hash
    assert upload(site, b"x" * 3_000_000, "prism1", token="").status == 401
    bodies = site.nginx.folder / "body"
    assert list(bodies.rglob("*")) == []


def test_what_was_not_sent_goes_to_the_next_prism(site: Site) -> None:
    assert site.nginx.ask("/ping", name="second").status == 200
    assert upload(site, b"at the second", "second").status == 200
    away = upload(site, b"nowhere", "away")
    assert away.status == 502
    assert "is away for now" in away.error


def test_an_upload_whose_body_was_sent_is_never_sent_again(site: Site, tmp_path: Path) -> None:
    nginx = Nginx(tmp_path / "nginx")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        prism = f"127.0.0.1:{listening.getsockname()[1]}"
        other = f"127.0.0.1:{site.running.place.ports[0]}"
        front = PrismFront(**nginx.values("breaking"), prisms=(prism, other))
        nginx.write("breaking", render_prism(front))

        def take_and_break() -> None:
            connection, _ = listening.accept()
            taken = b""
            with connection:
                while LAST not in taken and (data := connection.recv(1 << 20)):
                    taken += data

        taking = threading.Thread(target=take_and_break)
        taking.start()
        before = json.loads(site.running.ask("GET", "/stats")[1])
        with nginx.started():
            body = form(("file", "a.txt", "text/plain", b"x" * 100_000 + LAST))
            headers = {**FORM, "X-OOSE-Token": site.running.token}
            answer = nginx.ask("/content/upload", "POST", headers, body, name="breaking")
            taking.join()
            assert answer.status == 502
            assert "is away for now" in answer.error
            line = nginx.logged("breaking", "/content/upload")
            assert line["upstream"] == prism
            # What may be asked twice is; the first is left alone for a while now.
            assert nginx.ask("/ping", name="breaking").status == 200
        after = json.loads(site.running.ask("GET", "/stats")[1])
        count = [each["requests"].get("upload", 0) for each in (before, after)]
        assert count[0] == count[1]


def test_a_client_that_asks_too_often_is_told_so(site: Site) -> None:
    answers = [site.nginx.ask("/ping", name="busy") for _ in range(12)]
    refused = [each for each in answers if each.status == 429]
    assert refused
    assert "Too many requests" in refused[0].error
    assert refused[0].headers["retry-after"] == "1"


def test_every_error_is_json(site: Site) -> None:
    long = site.nginx.ask("/" + "x" * 20_000, name="prism1")
    assert long.status in {400, 414}
    assert long.error
    plain = HTTPConnection("127.0.0.1", site.nginx.https_port)
    assert "not well-formed" in exchange(plain, "GET", "/").error
    headers = {"Host": f"prism1.{DOMAIN}"}
    plain = HTTPConnection("127.0.0.1", site.nginx.http_port)
    moved = exchange(plain, "GET", "/a/b?c", headers)
    assert moved.status == 308
    where = f"https://prism1.{DOMAIN}:{site.nginx.https_port}/a/b?c"
    assert moved.headers["location"] == where
    assert site.nginx.ask("/nothing/here/at/all", name="prism1").error
    assert "must be logged" not in site.nginx.ask("/content/detail", "POST", name="prism1").error


def test_who_signs_certificates_finds_what_it_looks_for(site: Site, tmp_path: Path) -> None:
    challenge = tmp_path / ".well-known/acme-challenge/token"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("token.thumbprint")
    nginx = Nginx(tmp_path / "nginx")
    prism = f"127.0.0.1:{site.running.place.ports[0]}"
    front = PrismFront(**nginx.values("prism1"), prisms=(prism,), challenges=tmp_path)
    nginx.write("prism1", render_prism(front))
    headers = {"Host": f"prism1.{DOMAIN}"}
    with nginx.started():
        plain = HTTPConnection("127.0.0.1", nginx.http_port)
        answer = exchange(plain, "GET", "/.well-known/acme-challenge/token", headers)
        assert (answer.status, answer.body) == (200, b"token.thumbprint")
        plain = HTTPConnection("127.0.0.1", nginx.http_port)
        assert exchange(plain, "GET", "/.well-known/other", headers).status == 308


def test_the_commands_of_the_document_do_what_it_says(site: Site, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "operations" / "nginx.md").read_text("utf-8")
    *_, render = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    *_, look = re.findall(r"```sh root\n(.*?)```", text, re.DOTALL)
    assert look.startswith("grep ")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", render], check=True, cwd=tmp_path, env=environment)
    assert 'alias "/media/om101/content/";' in (tmp_path / "om101.conf").read_text()
    site.nginx.ask("/ping", name="away")
    site.nginx.logged("away", "/ping")
    look = look.replace("/var/log/nginx/oose-om101.json", str(site.nginx.folder / "away.log"))
    found = subprocess.run(look, shell=True, check=True, capture_output=True, text=True)
    assert json.loads(found.stdout.splitlines()[-1])["path"] == "/ping"


def test_a_prism_that_speaks_tls_is_verified_by_its_name(tmp_path: Path) -> None:
    place = Place.make(tmp_path, more="ssl = {'pem': 'auto'}")
    nginx = Nginx(tmp_path / "nginx")
    with started(place):
        for name, known_as in (("right", "localhost"), ("wrong", "other.example")):
            front = PrismFront(
                **nginx.values(name),
                prisms=(f"127.0.0.1:{place.ports[0]}",),
                upstream_tls=True,
                upstream_ca=place.root / "self-signed.crt",
                upstream_name=known_as,
            )
            nginx.write(name, render_prism(front))
        with nginx.started():
            assert json.loads(nginx.ask("/ping", name="right").body) == {"pong": "pong"}
            assert nginx.ask("/ping", name="wrong").status == 502
