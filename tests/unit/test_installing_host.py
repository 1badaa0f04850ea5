import re
import socket
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from oose.installing import layout
from oose.installing.configuring import names_in
from oose.installing.host.firewall import Doors
from oose.installing.host.steps import RULES, opened
from oose.installing.host.values import database_ports, is_here, ssh_ports
from oose.installing.machine import Machine
from oose.installing.plans import Plan, Wanted, prism_plan, store_plan
from oose.installing.rooms import Asked
from oose.installing.runner import Refused
from oose.installing.surroundings import host_plan, surroundings, web_plan
from oose.settings.reader import check
from tests.unit.installed import Recorder, machine_in, made, tree_of, write_configuration

DISK = PurePosixPath("/media/om101")
PEM = "/etc/ssl/media.pem"
CLUSTER = Asked(
    couchdb_url="https://couchdb:6984",
    redis_url="redis://redis:6379",
    listen="0.0.0.0",
    insecure=True,
)
Both = tuple[Machine, Recorder]


def three(file: PurePosixPath) -> Sequence[str]:
    return ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def away(file: PurePosixPath) -> Sequence[str]:
    raise Refused("CouchDB is away")


def nobody(file: PurePosixPath) -> Sequence[str]:
    raise AssertionError(f"{file} is of no cluster")


@pytest.fixture(autouse=True)
def by_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """A prism of a cluster that listens on all addresses."""
    machine, recorder = machine_in(tmp_path, [str(DISK)])
    made(machine, prism_plan(machine, CLUSTER).steps)
    recorder.ran.clear()
    return machine, recorder


def host(machine: Machine, **asked: Any) -> list[str]:
    return made(machine, host_plan(machine, asked, three).steps)


def after(machine: Machine, plan: Plan) -> list[str]:
    around = surroundings(machine, plan.files, three)
    return made(machine, [*plan.steps, *around.steps])


def rules(machine: Machine) -> str:
    return machine.at(RULES).read_text()


def test_a_machine_gets_a_firewall_and_settings_of_its_kernel_and_disks(both: Both) -> None:
    machine, recorder = both
    said = host(machine)
    assert said == [
        "install from Debian: nftables",
        "write /etc/oose/host.py (root:oose 0640)",
        "make the folder /etc/oose/firewall.d (root:root 0755)",
        "write /etc/oose/firewall.nft (root:root 0640)",
        "write /etc/systemd/system/oose-firewall.service (root:root 0644)",
        "have systemd read its units again",
        "have oose-firewall.service started with the machine",
        "start oose-firewall.service",
        "make the folder /etc/sysctl.d (root:root 0755)",
        "make the folder /etc/udev/rules.d (root:root 0755)",
        "write /etc/sysctl.d/60-oose.conf (root:root 0644)",
        "have systemd-sysctl.service started with the machine",
        "start systemd-sysctl.service",
        "write /etc/udev/rules.d/60-oose.rules (root:root 0644)",
    ]
    assert "tcp dport { 22 } accept" in rules(machine)
    assert "tcp dport { 5971 } accept" in rules(machine)
    assert "10.0.0.1,\n            10.0.0.2/31,\n" in rules(machine)
    assert names_in(machine, layout.HOST) == {"ssh": [22]}
    assert recorder.unit("oose-firewall.service").active == "active"


def test_a_second_time_nothing_is_changed(both: Both) -> None:
    machine, recorder = both
    host(machine)
    before, recorder.ran[:] = tree_of(machine.root), []
    assert host(machine) == []
    assert (tree_of(machine.root), recorder.changing) == (before, [])


def test_pretending_says_the_same_and_changes_nothing(both: Both) -> None:
    machine, recorder = both
    before = tree_of(machine.root)
    said = made(machine, host_plan(machine, {}, three).steps, pretend=True)
    assert (tree_of(machine.root), recorder.changing) == (before, [])
    assert said == host(machine)


def test_a_little_memory_more_or_less_changes_nothing(both: Both) -> None:
    machine, _ = both
    host(machine)
    machine.at("/proc/meminfo").write_text("MemTotal:       16383000 kB\n")
    assert host(machine) == []


def test_udev_is_told_where_there_is_one(both: Both) -> None:
    machine, recorder = both
    machine.at("/run/udev").mkdir(parents=True)
    machine.at("/run/udev/control").touch()
    assert host(machine)[-1] == "have udev look at all disks again"
    assert recorder.ran[-2:] == [
        "udevadm control --reload",
        "udevadm trigger --subsystem-match=block",
    ]
    assert host(machine) == []


def test_a_store_that_comes_later_gets_its_door(both: Both) -> None:
    machine, recorder = both
    host(machine)
    recorder.ran.clear()
    said = after(machine, store_plan(machine, Asked(), Wanted(DISK)))
    assert "tcp dport { 5971, 5972 } accept" in rules(machine)
    assert said[-1] == "have oose-firewall.service read its files again"
    assert "systemctl restart oose-firewall.service" not in recorder.ran


def test_with_nginx_only_its_ports_are_public(both: Both) -> None:
    machine, _ = both
    host(machine, peers=("192.0.2.0/24",), ssh=(2222,))
    machine.at(PEM).parent.mkdir()
    machine.at(PEM).touch()
    asked = {"server_names": ("oose.example.com",), "certificate": PEM, "key": PEM}
    plan = web_plan(machine, {**asked, "https_port": 8443, "http_port": 0}, None, three)
    made(machine, plan.steps)
    assert "tcp dport { 2222 } accept\n        tcp dport { 8443 } accept" in rules(machine)
    assert "ip saddr @peers4 tcp dport { 5971 } accept" in rules(machine)
    assert "192.0.2.0/24," in rules(machine)


def test_while_peers_are_not_known_the_firewall_stays_and_that_is_said(both: Both) -> None:
    machine, _ = both
    host(machine)
    before = rules(machine)
    plan = prism_plan(machine, Asked(port=6000))
    around = surroundings(machine, plan.files, away)
    assert around.steps == []
    (note,) = around.notes
    assert note == "The firewall stays as it is, as peers are not known: CouchDB is away"
    assert rules(machine) == before
    again = host_plan(machine, {}, away)
    assert again.notes == around.notes
    assert made(machine, again.steps) == []
    with pytest.raises(Refused, match="CouchDB is away"):
        host_plan(machine, {"ssh": (2222,)}, away)


def test_a_firewall_is_not_begun_with_while_peers_are_not_known(both: Both) -> None:
    machine, _ = both
    with pytest.raises(Refused, match="CouchDB is away"):
        host_plan(machine, {}, away)


def test_a_name_that_nobody_knows_for_a_while_cuts_nobody_off(both: Both) -> None:
    machine, _ = both
    host(machine)
    before = rules(machine)
    plan = prism_plan(machine, Asked(port=6000))
    around = surroundings(machine, plan.files, lambda file: ["10.0.0.1", "nowhere.invalid"])
    assert made(machine, around.steps) == []
    assert around.notes[0] == "The firewall stays as it is"
    assert "nowhere.invalid has no address now" in around.notes[1]
    assert rules(machine) == before


def test_alone_a_machine_has_no_peers(tmp_path: Path) -> None:
    machine, _ = machine_in(tmp_path)
    made(machine, prism_plan(machine, Asked()).steps)
    plan = host_plan(machine, {}, nobody)
    assert plan.notes == ["SSH stays open on 22; elsewhere? --ssh-port"]
    made(machine, plan.steps)
    assert "elements" not in rules(machine)


def test_a_peer_without_an_address_is_said(both: Both) -> None:
    machine, _ = both
    plan = host_plan(machine, {}, lambda file: ["10.0.0.1", "nowhere.invalid"])
    assert "nowhere.invalid has no address now" in plan.notes[1]
    made(machine, plan.steps)
    assert "10.0.0.1," in rules(machine)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("peers = ['everybody']\n", "/etc/oose/host.py: 'everybody' does not appear to be"),
        ("ssh = []\n", "/etc/oose/host.py: the port of sshd is needed"),
        ("ssh = ['ssh']\n", "/etc/oose/host.py: ssh: 'ssh' is not a whole number from 1 to 65535"),
        ("ssh = 22\n", "/etc/oose/host.py: ssh: 22 is not a list"),
        ("peers = [5]\n", "/etc/oose/host.py: peers: 5 is not text"),
        ("door = 1\n", "/etc/oose/host.py: there is no door; names are ssh, peers"),
    ],
)
def test_a_file_that_would_not_do_is_refused(both: Both, text: str, why: str) -> None:
    machine, _ = both
    write_configuration(machine, text, layout.HOST)
    with pytest.raises(Refused, match=re.escape(why)):
        host(machine)


def test_a_machine_without_anything_is_given_no_firewall(tmp_path: Path) -> None:
    machine, _ = machine_in(tmp_path)
    with pytest.raises(Refused, match="neither a prism nor a store here"):
        host(machine)


def test_nginx_alone_opens_its_ports(tmp_path: Path) -> None:
    machine, _ = machine_in(tmp_path)
    write_configuration(machine, "certificate = '/etc/ssl/media.pem'\n", layout.WEB)
    host(machine)
    assert "tcp dport { 80, 443 } accept" in rules(machine)


def test_sshd_is_asked_where_it_listens(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, recorder = both
    assert ssh_ports(machine) == {22}
    machine.at("/usr/sbin").mkdir(parents=True)
    machine.at("/usr/sbin/sshd").touch()
    recorder.says["/usr/sbin/sshd -T"] = "port 22\nport 2200\nlistenaddress [::]:2201\n"
    assert ssh_ports(machine) == {22, 2200, 2201}
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 10.0.0.1 2202")
    assert ssh_ports(machine) == {22, 2200, 2201, 2202}


def test_databases_on_this_machine_are_for_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oose.installing.host.values.is_here", lambda host: host != "10.9.9.9")
    one = {
        "couchdb": {"url": "https://10.0.0.1", "username": "oose", "password": "x"},
        "redis": {"sentinels": ["10.0.0.1:26379", "10.9.9.9:26380"], "service": "oose"},
        "prism": {"enabled": True, "username": "oose", "password": "x"},
    }
    other = {**one, "redis": {"url": "redis://10.0.0.1"}}
    both = [check({**each, "insecure": True}, None) for each in (one, other)]
    assert database_ports(both) == {443, 26379, 6379}
    assert database_ports([check({"prism": {"enabled": True}}, None)]) == set()


def test_only_what_can_be_bound_is_here() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("192.0.2.1", 9))  # sends nothing: which address would be ours?
        own = asking.getsockname()[0]
    assert is_here(own)
    assert not is_here("192.0.2.1")
    assert not is_here("127.0.0.1")  # nobody else comes there
    assert not is_here("2001:db8::1")
    assert not is_here("nowhere.invalid")


def test_the_doors_of_all_processes_are_those_of_the_machine() -> None:
    prism = check({"prism": {"enabled": True, "listen": "0.0.0.0"}, "insecure": True}, None)
    store = check({"store": {"enabled": True, "listen": "0.0.0.0"}, "insecure": True}, None)
    assert opened([prism, store], (22,), None) == Doors((22,), (5971, 5972), ())
