from ipaddress import ip_network

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from oose.web.client import ClientAddress

PROXIES = ClientAddress((ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))
FOR, PROTO, PROTOCOL = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-protocol"


@frozen
class Request:
    host: str = "10.0.0.1"
    headers: dict[bytes, str] = field(factory=dict)
    secure: bool = False

    def header(self, name: bytes) -> str | None:
        return self.headers.get(name)

    def getClientAddress(self) -> IAddress:
        kind = IPv6Address if ":" in self.host else IPv4Address
        return kind("TCP", self.host, 5000) if self.host else UNIXAddress(None)

    def isSecure(self) -> bool:
        return self.secure


def forwarded(chain: str | None, host: str = "10.0.0.1") -> str:
    """The client's address of a request from `host` with this `X-Forwarded-For`."""
    return PROXIES.address(Request(host, {} if chain is None else {FOR: chain}))


def test_without_a_proxy_the_client_is_the_other_end() -> None:
    assert forwarded(None) == "10.0.0.1"
    assert forwarded(None, "192.0.2.1") == "192.0.2.1"


@given(st.text())
def test_anybody_can_send_the_header_and_is_not_believed(chain: str) -> None:
    assert forwarded(chain, "192.0.2.1") == "192.0.2.1"
    assert ClientAddress().address(Request(headers={FOR: chain})) == "10.0.0.1"


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1, 10.9.9.9,2001:db8::7", "192.0.2.1"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("192.0.2.1, ", "192.0.2.1"),
        ("", "10.0.0.1"),
        ("unknown", "unknown"),
        ("1.1.1.1, unknown, 10.2.2.2", "unknown"),
    ],
)
def test_from_a_proxy_the_client_is_the_last_that_is_no_proxy(chain: str, client: str) -> None:
    assert forwarded(chain) == client


@given(st.lists(st.ip_addresses().map(str), max_size=5), st.ip_addresses(v=4).map(str))
def test_what_a_client_puts_before_its_own_address_counts_for_nothing(
    invented: list[str], own: str
) -> None:
    assert forwarded(", ".join([*invented, own])) == own or PROXIES.trusts(own)


def test_a_proxy_is_known_by_its_address_however_the_socket_has_it() -> None:
    assert forwarded("192.0.2.1", "::ffff:10.0.0.1") == "192.0.2.1"
    assert forwarded("192.0.2.1", "2001:db8::1") == "192.0.2.1"
    assert forwarded("192.0.2.1", "2001:db9::1") == "2001:db9::1"
    assert not PROXIES.trusts("nonsense")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"]
)
def test_this_machine_and_trusted_proxies_are_near(host: str) -> None:
    assert PROXIES.is_near(Request(host))


@pytest.mark.parametrize("host", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db9::1", ""])
def test_others_are_not_near_whatever_they_say(host: str) -> None:
    assert not PROXIES.is_near(Request(host, {FOR: "127.0.0.1"}))


def test_a_connection_without_an_address_is_unknown() -> None:
    assert PROXIES.peer(Request("")) == "unknown"


def test_the_scheme_is_the_connection_s_where_nobody_forwards() -> None:
    for is_secure in (True, False):
        assert PROXIES.is_secure(Request(secure=is_secure)) is is_secure
    assert PROXIES.forwarded_scheme(Request()) is None


@pytest.mark.parametrize("name", [PROTO, PROTOCOL])
@pytest.mark.parametrize(
    ("value", "scheme"), [("https", "https"), (" HTTPS , http", "https"), ("http", "http")]
)
def test_a_proxy_says_by_which_scheme_the_client_came(name: bytes, value: str, scheme: str) -> None:
    request = Request(headers={name: value}, secure=scheme == "http")
    assert PROXIES.forwarded_scheme(request) == scheme
    assert PROXIES.is_secure(request) is (scheme == "https")


def test_of_two_headers_the_newer_counts() -> None:
    assert PROXIES.forwarded_scheme(Request(headers={PROTO: "http", PROTOCOL: "https"})) == "http"


def test_the_scheme_is_believed_of_proxies_only() -> None:
    request = Request("192.0.2.1", {PROTO: "https"})
    assert PROXIES.forwarded_scheme(request) is None
    assert not PROXIES.is_secure(request)
