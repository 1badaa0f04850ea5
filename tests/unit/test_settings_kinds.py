from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.settings import kinds
from oose.settings.model import ACCEL_PREFIX

Kind = Callable[[object], Any]

ALL: list[Kind] = [
    kinds.duration,
    kinds.size,
    kinds.text,
    kinds.flag,
    kinds.whole(1, 10),
    kinds.lasting,
    kinds.choice("a", "b"),
    kinds.optional(kinds.text),
    kinds.label,
    kinds.domain,
    kinds.host,
    kinds.url,
    kinds.networks,
    kinds.extensions,
    kinds.accel_redirect,
    kinds.username,
    kinds.verify,
    kinds.server("http", "https"),
    kinds.database,
    kinds.hosts,
]
COUCH = kinds.server("http", "https")
LABEL = "a" * 63

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.ip_addresses()
)
anything = st.recursive(
    scalars,
    lambda each: st.one_of(st.lists(each), st.dictionaries(st.text(), each), st.tuples(each)),
)
urls = st.text("htps:/.@[]?#%a1 \\-", max_size=25).map("http://{}".format)


@given(st.one_of(anything, urls))
def test_any_value_is_taken_or_refused_by_every_kind(value: object) -> None:
    for kind in ALL:
        with suppress(ValueError):  # and nothing else
            kind(value)


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        (kinds.text, "a b", "a b"),
        (kinds.flag, True, True),
        (kinds.whole(1, 3), 3, 3),
        (kinds.lasting, "10ms", 0.01),
        (kinds.rate, "1KB", 1000),
        (kinds.choice("a", "b"), "b", "b"),
        (kinds.optional(kinds.flag), None, None),
        (kinds.optional(kinds.flag), False, False),
        (kinds.label, "store-1", "store-1"),
        (kinds.label, LABEL, LABEL),
        (kinds.domain, "cdn.example.org", "cdn.example.org"),
        (kinds.domain, "localhost:8080", "localhost:8080"),
        (kinds.host, "127.0.0.1", "127.0.0.1"),
        (kinds.host, "0:0::1", "::1"),
        (kinds.host, "media.example.org", "media.example.org"),
        (kinds.url, "https://store1.example.org:5972", "https://store1.example.org:5972"),
        (kinds.url, "http://[::1]:5972/", "http://[::1]:5972"),
        (kinds.extensions, [".MP4", "mov", "mp4"], frozenset({"mp4", "mov"})),
        (kinds.extensions, (), frozenset()),
        (kinds.accel_redirect, None, None),
        (kinds.accel_redirect, False, None),
        (kinds.accel_redirect, True, ACCEL_PREFIX),
        (kinds.accel_redirect, "/inside/oose/", "/inside/oose"),
        (kinds.username, "store 1", "store 1"),
        (kinds.verify, False, False),
        (kinds.verify, "ca.pem", "ca.pem"),
        (COUCH, None, None),
        (COUCH, "http://h:5984/", kinds.Server("http://h:5984", None, None)),
        (COUCH, "https://me:a%40b@[::1]/db", kinds.Server("https://[::1]/db", "me", "a@b")),
        (kinds.database, "oose-2", "oose-2"),
        (kinds.hosts, ["a:1", "[::1]:26379"], (("a", 1), ("::1", 26379))),
        (kinds.hosts, (), ()),
        (
            kinds.networks,
            ["127.0.0.1", "10.0.0.0/8", "::1"],
            (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"), ip_network("::1/128")),
        ),
    ],
)
def test_a_good_value_is_taken(kind: Kind, value: object, taken: object) -> None:
    assert kind(value) == taken


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (kinds.text, "", "text"),
        (kinds.text, "a\nb", "text"),
        (kinds.text, 5, "text"),
        (kinds.flag, 1, "True or False"),
        (kinds.flag, "yes", "True or False"),
        (kinds.whole(1, 3), 4, "a whole number from 1 to 3"),
        (kinds.whole(1, 3), 2.0, "a whole number from 1 to 3"),
        (kinds.whole(0, 3), True, "a whole number from 0 to 3"),
        (kinds.lasting, 0, "a duration above zero"),
        (kinds.lasting, "9ms", "a duration above zero"),
        (kinds.rate, 0, "a size above zero"),
        (kinds.choice("a", "b"), "c", "one of a, b"),
        (kinds.choice("a", "b"), ["a"], "one of a, b"),
        (kinds.optional(kinds.flag), 1, "True or False, or None"),
        (kinds.label, "Store1", "a name of 1 to 63 small letters"),
        (kinds.label, "-a", "a name of 1 to 63 small letters"),
        (kinds.label, LABEL + "a", "a name of 1 to 63 small letters"),
        (kinds.label, "a.b", "a name of 1 to 63 small letters"),
        (kinds.label, "a\n", "a name of 1 to 63 small letters"),
        (kinds.label, None, "a name of 1 to 63 small letters"),
        (kinds.domain, "a..b", "a DNS domain"),
        (kinds.domain, "a.b:", "a DNS domain"),
        (kinds.domain, "a.b:\u0661", "a DNS domain"),
        (kinds.domain, "a." * 130 + "b", "a DNS domain"),
        (kinds.domain, 5, "a DNS domain"),
        (kinds.host, "", "an IP address or a host name"),
        (kinds.host, "a/b", "an IP address or a host name"),
        (kinds.host, None, "an IP address or a host name"),
        (kinds.url, None, "a URL without a path"),
        (kinds.url, "https://b\u00fccher.example", "a URL without a path"),
        (kinds.url, "http://a\n", "a URL without a path"),
        (kinds.url, "ftp://a", "a URL without a path"),
        (kinds.url, "http://", "a URL without a path"),
        (kinds.url, "http://[a", "a URL without a path"),
        (kinds.url, "http://a:b", "a URL without a path"),
        (kinds.url, "http://a:70000", "a URL without a path"),
        (kinds.url, "http://a:0", "a URL without a path"),
        (kinds.url, "http://a/b", "a URL without a path"),
        (kinds.url, "http://u:p@a", "a URL without a path"),
        (kinds.url, "http://a b", "a URL without a path"),
        (kinds.url, "http://a/?b", "a URL without a path"),
        (kinds.url, "http://a#b", "a URL without a path"),
        (kinds.networks, "127.0.0.1", "a list of addresses or networks"),
        (kinds.networks, 5, "a list of addresses or networks"),
        (kinds.networks, [5], "a list of addresses or networks"),
        (kinds.networks, ["10.0.0.1/8"], "has host bits set"),
        (kinds.extensions, "mp4", "a list of file extensions"),
        (kinds.extensions, ["m/p"], "a list of file extensions"),
        (kinds.extensions, [""], "a list of file extensions"),
        (kinds.accel_redirect, "inside", "True, False or the path of an internal location"),
        (kinds.accel_redirect, "/", "True, False or the path of an internal location"),
        (kinds.accel_redirect, 1, "True, False or the path of an internal location"),
        (kinds.username, "a:b", "text without a colon"),
        (kinds.username, "", "text without a colon"),
        (kinds.username, 5, "text without a colon"),
        (kinds.verify, "", "the path of a file of certificates, True or False"),
        (kinds.verify, None, "the path of a file of certificates, True or False"),
        (COUCH, 5, "a URL such as"),
        (COUCH, "redis://h", "a URL such as"),
        (COUCH, "http://h:0", "a URL such as"),
        (COUCH, "http://h:x", "a URL such as"),
        (COUCH, "http://h/?a=1", "a URL such as"),
        (COUCH, "http://h/a b", "a URL such as"),
        (COUCH, "http://b\u00fccher", "a URL such as"),
        (kinds.database, "Oose", "a name of small letters"),
        (kinds.database, 5, "a name of small letters"),
        (kinds.hosts, "a:1", "a list of hosts with ports"),
        (kinds.hosts, ["a"], "a list of hosts with ports"),
        (kinds.hosts, ["a:x"], "a list of hosts with ports"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(
    kind: Kind, value: object, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        kind(value)
