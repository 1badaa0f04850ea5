from ipaddress import ip_network
from typing import Any

import pytest
from attrs import evolve

from oose.installing.host.firewall import Doors, doors, hosts_of, rules, sources
from oose.peer import Peer
from oose.settings import Settings
from oose.settings.reader import check

PEER = Peer(
    kind="prism",
    name="prism1",
    prism="prism1",
    host="0.0.0.0",
    port=5971,
    url="https://10.0.0.1:5971",
    group="a",
    machine="m1",
    version="3",
    created=0,
)


def settings(**names: Any) -> Settings:
    return check({"insecure": True, **names}, None)


def room(listen: str, **more: Any) -> dict[str, Any]:
    return {"enabled": True, "listen": listen, **more}


def test_behind_nginx_a_room_is_for_peers() -> None:
    behind = settings(prism=room("0.0.0.0"), store=[room("::"), room("10.0.0.1", port=6000)])
    assert doors(behind) == Doors(ssh=(22,), public=(80, 443), peers=(5971, 5972, 6000))


def test_without_nginx_a_room_is_public() -> None:
    alone = settings(prism=room("0.0.0.0"), store=room("store1.example.org"))
    assert doors(alone, web=()) == Doors(ssh=(22,), public=(5971, 5972), peers=())


def test_what_listens_on_loopback_needs_no_door() -> None:
    inside = settings(prism=room("127.0.0.1"), store=[room("localhost"), room("::1")])
    assert doors(inside, web=()) == Doors(ssh=(22,), public=(), peers=())


def test_a_port_that_nobody_knows_before_the_start_gets_no_door() -> None:
    assert doors(settings(prism=room("0.0.0.0", port=0))).peers == ()


def test_a_prism_that_is_not_enabled_gets_no_door() -> None:
    store = settings(prism={"listen": "0.0.0.0"}, store=room("0.0.0.0"))
    assert doors(store).peers == (5972,)


def test_a_port_has_one_door_the_widest() -> None:
    there = settings(prism=room("0.0.0.0", port=443))
    found = doors(there, ssh=(22, 80), for_peers=(5984, 443))
    assert found == Doors(ssh=(22, 80), public=(443,), peers=(5984,))


def test_nobody_is_locked_out() -> None:
    with pytest.raises(ValueError, match="locked out"):
        doors(settings(prism=room("0.0.0.0")), ssh=())


def test_hosts_are_those_by_which_peers_are_reached() -> None:
    others = [
        evolve(PEER, url="https://store1.example.org"),
        evolve(PEER, url="http://[fd00::7]:5972", active=False),
        evolve(PEER, url="https://10.0.0.1:5972", available=False),
        evolve(PEER, url="unusable"),
    ]
    assert hosts_of([PEER, *others]) == ["10.0.0.1", "fd00::7", "store1.example.org"]


def test_addresses_and_networks_become_as_few_as_say_the_same() -> None:
    given = ["10.0.0.0", "10.0.0.1", "fd00::7", "10.0.0.1", "192.168.7.9/24", "192.168.7.1"]
    assert sources(given) == tuple(
        ip_network(each) for each in ("10.0.0.0/31", "192.168.7.0/24", "fd00::7/128")
    )


def test_addresses_are_taken_as_a_resolver_gives_them() -> None:
    given = ["127.0.0.1", "::1", "::ffff:10.0.0.1", "::ffff:10.1.0.0/112", "fe80::1%eth0"]
    assert sources(given) == tuple(
        ip_network(each) for each in ("10.0.0.1/32", "10.1.0.0/16", "fe80::1/128")
    )


def test_a_name_has_to_be_resolved_before() -> None:
    with pytest.raises(ValueError, match=r"store1\.example\.org"):
        sources(["store1.example.org"])


def test_what_is_not_needed_is_not_in_the_rules() -> None:
    text = rules(Doors((22,), (), ()), ())
    assert "elements" not in text
    assert "notrack" not in text
    assert "@peers4" not in text
    assert "flush" not in text
    assert "tcp dport { 22 } accept" in text
