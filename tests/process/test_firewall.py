"""The rules in a real kernel, with real connections, on machines that are namespaces."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from oose.installing.host.firewall import Doors, rules, sources
from tests.process.lan import OTHERS, SERVE, SERVER, Lan, kept, lan

SSH, PUBLIC, FOR_PEERS, CLOSED = 2222, 8443, 5972, 9100
DOORS = Doors(ssh=(SSH,), public=(PUBLIC,), peers=(FOR_PEERS,))
PEERS = sources(OTHERS["peer"])
LIST = ("nft", "list", "ruleset")


@pytest.fixture(scope="module")
def machines() -> Iterator[Lan]:
    with lan([SSH, PUBLIC, FOR_PEERS, CLOSED]) as machines:
        yield machines


@pytest.fixture
def guarded(machines: Lan, tmp_path: Path) -> Lan:
    load(machines, rules(DOORS, PEERS, own=tmp_path))
    return machines


def load(machines: Lan, text: str) -> None:
    machines.server.run("nft", "-f", "-", given=text)


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_a_peer_reaches_its_port_and_a_stranger_only_what_is_public(
    guarded: Lan, family: int
) -> None:
    to_peer, to_stranger = SERVER["peer"][family], SERVER["stranger"][family]
    assert guarded.peer.reaches(to_peer, FOR_PEERS)
    assert guarded.peer.reaches(to_peer, PUBLIC)
    assert guarded.peer.is_kept_from(to_peer, CLOSED)
    assert guarded.stranger.is_kept_from(to_stranger, FOR_PEERS)
    assert guarded.stranger.reaches(to_stranger, PUBLIC)
    assert guarded.stranger.reaches(to_stranger, SSH)


def test_the_machine_reaches_itself_and_others(guarded: Lan) -> None:
    assert guarded.server.reaches("127.0.0.1", CLOSED)
    assert guarded.server.reaches(SERVER["peer"][0], FOR_PEERS)
    with kept(guarded.stranger.python(SERVE, str(CLOSED))):
        assert guarded.server.reaches(OTHERS["stranger"][0], CLOSED)


def test_where_nothing_is_public_ssh_is_open_still(guarded: Lan) -> None:
    load(guarded, rules(Doors((SSH,), (), ()), ()))
    assert guarded.stranger.is_kept_from(SERVER["stranger"][0], PUBLIC)
    assert guarded.stranger.reaches(SERVER["stranger"][0], SSH)


def test_loaded_again_it_is_the_same_and_other_tables_stay(guarded: Lan, tmp_path: Path) -> None:
    load(guarded, "table inet others { chain forward { type filter hook forward priority 0; }; }")
    before = guarded.server.run(*LIST)
    assert "table inet others" in before
    assert "table inet oose" in before
    load(guarded, rules(DOORS, PEERS, own=tmp_path))
    assert sorted(guarded.server.run(*LIST).split("table")) == sorted(before.split("table"))
    load(guarded, "delete table inet others")


def test_a_file_that_is_wrong_changes_nothing(guarded: Lan, tmp_path: Path) -> None:
    before = guarded.server.run(*LIST)
    (tmp_path / "own.nft").write_text("tcp dport nonsense accept\n")
    with pytest.raises(AssertionError, match="nonsense"):
        load(guarded, rules(DOORS, (), own=tmp_path))
    assert guarded.server.run(*LIST) == before


def test_an_operators_own_rules_are_part_of_it(guarded: Lan, tmp_path: Path) -> None:
    (tmp_path / "node-exporter.nft").write_text(f"tcp dport {CLOSED} accept\n")
    load(guarded, rules(DOORS, PEERS, own=tmp_path))
    assert guarded.stranger.reaches(SERVER["stranger"][0], CLOSED)


def test_one_more_peer_is_let_in_by_hand(guarded: Lan) -> None:
    element = f"{{ {OTHERS['stranger'][0]} }}"
    guarded.server.run("nft", "add", "element", "inet", "oose", "peers4", element)
    assert guarded.stranger.reaches(SERVER["stranger"][0], FOR_PEERS)


def test_viewers_are_not_in_the_kernels_table_of_connections(guarded: Lan) -> None:
    def count() -> int:
        path = "/proc/sys/net/netfilter/nf_conntrack_count"
        return int(guarded.server.run("cat", path))

    before = count()
    assert guarded.stranger.reaches(SERVER["stranger"][0], PUBLIC)
    assert count() <= before  # others may have been forgotten meanwhile
    assert guarded.peer.reaches(SERVER["peer"][0], FOR_PEERS)
    assert count() > 0
