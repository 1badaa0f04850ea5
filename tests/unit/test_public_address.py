from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.retrieve.public_address import is_public

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "2a01::1"])
def test_hosts_on_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::f5ff:fffe",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%2",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_internal_and_special_addresses_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["", "localhost", "0x7f000001", "127.1", "1.2.3.4 ", "::1%"])
def test_what_is_no_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@given(V4)
def test_ipv6_that_embeds_ipv4_is_as_public_as_that(address: IPv4Address) -> None:
    number = int(address)
    expected = is_public(str(address))
    mapped = IPv6Address(0xFFFF << 32 | number)
    sixtofour = IPv6Address(0x2002 << 112 | number << 80 | 1)
    nat64 = IPv6Address(0x64FF9B << 96 | number)
    assert is_public(str(mapped)) == expected
    assert is_public(str(sixtofour)) == expected
    assert is_public(str(nat64)) == expected


@given(V4, V4)
def test_teredo_is_public_when_its_server_and_its_client_are(
    server: IPv4Address, client: IPv4Address
) -> None:
    teredo = IPv6Address(0x20010000 << 96 | int(server) << 64 | int(client) ^ 0xFFFFFFFF)
    assert is_public(str(teredo)) == (is_public(str(server)) and is_public(str(client)))


@given(V4)
def test_public_ipv4_is_never_in_a_special_block(address: IPv4Address) -> None:
    if is_public(str(address)):
        assert not address.is_private
        assert not address.is_loopback
        assert not address.is_link_local
        assert not address.is_multicast
        assert not address.is_reserved
        assert not address.is_unspecified


@given(V6)
def test_public_ipv6_is_global_unicast_or_embeds_ipv4(address: IPv6Address) -> None:
    if is_public(str(address)):
        embedding = ["::ffff:0:0/96", "64:ff9b::/96"]
        assert any(address in ip_network(block) for block in ["2000::/3", *embedding])
