"""What is rendered for nginx, and what never gets into it; tests/process/test_nginx.py runs it."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.installing.nginx.fronts import PrismFront, StoreFront
from oose.installing.nginx.rendering import at_most, quoted, render_prism, render_store
from oose.installing.templates import NoTemplates, environment

FRONT: dict[str, Any] = {
    "name": "om-101",
    "server_names": ["media.example.com"],
    "certificate": Path("/etc/oose/media.pem"),
    "key": Path("/etc/oose/media.key"),
}


def prism(**values: Any) -> PrismFront:
    return PrismFront(**{**FRONT, "prisms": ["127.0.0.1:5971"], **values})


def store(**values: Any) -> StoreFront:
    given = {"upstream": "127.0.0.1:5972", "root": Path("/media/om101"), **values}
    return StoreFront(**{**FRONT, **given})


def test_what_is_not_said_is_what_most_machines_want() -> None:
    text = render_prism(prism())
    for line in (
        "listen 0.0.0.0:443 ssl http2;",
        "listen [::]:443 ssl http2;",
        "listen 0.0.0.0:80;",
        "return 308 https://$host$request_uri;",
        'access_log "/var/log/nginx/oose-om-101.json" oose_om_101;',
        'error_log "/var/log/nginx/oose-om-101.error.log" warn;',
        "proxy_pass http://oose_om_101;",
    ):
        assert line in text
    assert "proxy_ssl" not in text
    assert "real_ip" not in text


def test_the_own_prism_comes_first_and_the_others_when_it_is_away() -> None:
    text = render_prism(prism(prisms=["127.0.0.1:5971", "10.0.0.2:5971", "[fd00::3]:5971"]))
    assert re.findall(r"    server (\S+) (.*);", text) == [
        ("127.0.0.1:5971", "max_fails=1 fail_timeout=5s"),
        ("10.0.0.2:5971", "backup"),
        ("[fd00::3]:5971", "backup"),
    ]
    assert "proxy_next_upstream_tries 3;" in text


def test_peers_are_reached_over_tls_and_verified_where_that_is_said() -> None:
    text = render_store(store(upstream_tls=True))
    assert "proxy_pass https://oose_om_101;" in text
    assert "proxy_ssl_verify" not in text
    verified = {"upstream_ca": Path("/etc/oose/ca.pem"), "upstream_name": "peers.example.com"}
    text = render_store(store(upstream_tls=True, **verified))
    assert "proxy_ssl_verify on;" in text
    assert 'proxy_ssl_name "peers.example.com";' in text


def test_clients_behind_a_balancer_are_told_apart_by_what_it_says() -> None:
    text = render_prism(prism(balancers=["10.0.0.0/8", "fd00::/8"]))
    assert "set_real_ip_from 10.0.0.0/8;" in text
    assert "set_real_ip_from fd00::/8;" in text


def test_nothing_listens_without_tls_where_that_is_not_wanted() -> None:
    assert "308" not in render_prism(prism(http_port=None))
    assert "https://$host:8443$request_uri" in render_prism(prism(https_port=8443))


def test_each_file_has_names_of_its_own_so_that_several_lie_side_by_side() -> None:
    names = [
        set(re.findall(r"(?:log_format|upstream|zone=|\$)\s?(oose_\w*?(?:om_101|om_102))", text))
        for text in (render_store(store()), render_store(store(name="om-102")))
    ]
    assert names[0]
    assert names[0] & names[1] == set()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"name": "a;b"}, "name: 'a;b' is not a name of"),
        ({"server_names": []}, "server_names: at least one is needed"),
        ({"server_names": ["a b"]}, "server_names: 'a b' is not the name of a host"),
        ({"server_names": ["fd00::1"]}, "server_names: 'fd00::1' is not"),
        ({"server_names": ["${x}.com"]}, "server_names"),
        ({"server_names": ["naïve.example"]}, "server_names"),
        ({"certificate": Path("here.pem")}, "certificate: .* is not an absolute path"),
        ({"key": Path("/a$b")}, "key: .* is not an absolute path"),
        ({"key": Path('/a"; evil')}, "key: .* is not an absolute path"),
        ({"key": Path("/a\nb")}, "key: .* is not an absolute path"),
        ({"access_log": Path("/a\\b")}, "access_log: .* is not an absolute path"),
        ({"error_log": Path("e")}, "error_log: .* is not an absolute path"),
        ({"addresses": []}, "addresses: at least one is needed"),
        ({"addresses": ["everywhere"]}, "addresses: 'everywhere' does not appear"),
        ({"https_port": 0}, "https_port: 0 is not a whole number"),
        ({"http_port": 443}, "http_port: 443 is https_port already"),
        ({"balancers": ["10.0.0.0/8;"]}, "a list of addresses or networks"),
        ({"upstream_ca": Path("/ca")}, "upstream_ca: says nothing without upstream_name"),
        (
            {"upstream_ca": Path("/ca"), "upstream_name": "a.example"},
            "upstream_ca: says nothing without upstream_tls",
        ),
        ({"upstream_name": "a b"}, "upstream_name: 'a b' is not"),
        ({"patience": 0}, "patience: 0 is not a whole number"),
    ],
)
def test_a_value_that_is_none_is_refused_by_its_name(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        prism(**values)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"prisms": []}, "prisms: at least one is needed"),
        ({"prisms": ["127.0.0.1"]}, "prisms: '127.0.0.1' is not a host with a port"),
        ({"prisms": ["127.0.0.1:0"]}, "a host with a port"),
        ({"prisms": ["127.0.0.1:5971 evil"]}, "a host with a port"),
        ({"prisms": ["[fd00:::1]:5971"]}, "a host with a port"),
        ({"requests": 0}, "requests: 0 is not a whole number"),
    ],
)
def test_so_is_one_of_a_prism(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        prism(**values)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"upstream": "here"}, "upstream: 'here' is not a host with a port"),
        ({"root": Path("disk")}, "root: .* is not an absolute path"),
        ({"internal": "/a b"}, "internal: '/a b' is not True, False or the path"),
        ({"deny_static": ["mp4 1; evil"]}, "a list of file extensions"),
        ({"most_rate": -1}, "most_rate: -1 is not a whole number"),
    ],
)
def test_and_one_of_a_store(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        store(**values)


@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='$"\\')))
def test_text_is_quoted(text: str) -> None:
    assert quoted(text) == f'"{text}"'


@pytest.mark.parametrize("text", ["a$b", 'a"b', "a\\b", "a\nb", "a\x00b"])
def test_text_that_would_end_where_it_stands_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in nginx's configuration"):
        quoted(text)


@given(st.integers(1, 10**12), st.integers(0, 10**13))
def test_a_bounded_number_is_matched_and_a_larger_one_is_not(most: int, number: int) -> None:
    form = re.compile(at_most(most))
    for each in (number, most, most + 1, most - 1, number % (most + 1)):
        assert bool(form.fullmatch(str(each))) is (1 <= each <= most)


def test_templates_that_are_not_there_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(NoTemplates, match="oose was installed without its templates"):
        environment("nginx", tmp_path)
