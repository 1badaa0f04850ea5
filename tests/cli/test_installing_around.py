"""install web, install host: what the commands take and say."""

import os
from pathlib import Path, PurePosixPath

import pytest
from attrs import evolve
from click.testing import CliRunner

from oose.cli import installing, installing_around
from oose.cli.installing_around import known_peers
from oose.installing import layout
from oose.installing.configuring import names_in
from oose.installing.machine import Machine
from oose.installing.runner import Refused
from tests.cli.asking import Asking
from tests.cli.test_peer_commands import in_database, register_all
from tests.unit.installed import Recorder, machine_in, tree_of

NAMES = ["--server-name", "oose.example.com", "--server-name", "oose.example.net"]
Both = tuple[Machine, Recorder]


@pytest.fixture
def oose() -> Asking:
    return Asking(CliRunner())


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, oose: Asking) -> Both:
    """A machine with a prism."""
    machine, recorder = machine_in(tmp_path, ["/media/om101"])
    for module in (installing, installing_around):
        monkeypatch.setattr(module, "this_machine", lambda: evolve(machine, touched=set()))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert oose("install", "prism").code == 0
    return machine, recorder


def test_nginx_and_firewall_are_installed_and_follow_what_comes_later(
    oose: Asking, both: Both
) -> None:
    machine, _ = both
    said = oose("install", "web", *NAMES, "--pem", "auto", "--domain", "cdn.example.com")
    assert said.code == 0, said
    assert said.out.splitlines()[-1].endswith(" changes made")
    assert said.err == "Clients have to trust /etc/oose/web.crt, or not to ask\n"
    names = names_in(machine, layout.WEB)
    assert names["server_names"] == ["oose.example.com", "oose.example.net"]
    assert (names["certificate"], names["key"]) == ("/etc/oose/web.pem", "/etc/oose/web.pem")
    said = oose("install", "host", "--ssh-port", "2222", "--peer", "10.0.0.0/24")
    assert said.code == 0, said
    assert said.err == "SSH stays open on 2222; elsewhere? --ssh-port\n"
    assert names_in(machine, layout.HOST) == {"ssh": [2222], "peers": ["10.0.0.0/24"]}
    said = oose("install", "store", "--disk", "/media/om101", "--listen", "0.0.0.0", "--insecure")
    assert said.code == 0, said
    assert "- have nginx.service read its files again" in said.out.splitlines()
    assert "- have oose-firewall.service read its files again" in said.out.splitlines()
    for what in ("web", "host", "prism"):
        assert oose("install", what).out == "Nothing to change: all is as it should be\n"


def test_who_may_not_change_a_machine_may_pretend(
    oose: Asking, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    before = tree_of(both[0].root)
    for command in (["web", *NAMES, "--pem", "auto"], ["host"]):
        said = oose("install", *command)
        assert (said.code, said.err) == (3, "oose: This changes the machine: root may, or sudo\n")
        said = oose("install", *command, "--pretend")
        assert said.code == 0
        assert said.out.endswith("changes would be made: nothing was changed\n")
    assert tree_of(both[0].root) == before


def test_certificates_and_keys_are_named_by_their_whole_path(
    oose: Asking, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = both
    machine.at("/etc/ssl").mkdir()
    for name in ("media.pem", "media.key", "stores.pem"):
        machine.at(f"/etc/ssl/{name}").touch()
    monkeypatch.chdir("/etc/ssl")
    given = ["--pem", "media.pem", "--key", "/etc/ssl/media.key", "--store-pem", "stores.pem"]
    said = oose("install", "web", *NAMES, *given)
    assert (said.code, said.err) == (0, "")
    names = names_in(machine, layout.WEB)
    assert (names["certificate"], names["key"]) == ("/etc/ssl/media.pem", "/etc/ssl/media.key")
    assert names["store_key"] == names["store_certificate"] == "/etc/ssl/stores.pem"


def test_a_key_without_its_certificate_is_refused(oose: Asking, both: Both) -> None:
    said = oose("install", "web", "--store-key", "stores.key")
    assert said.code == 2
    assert "--store-key is the key of a certificate, which was not named" in said.err


def test_what_is_missing_is_said(oose: Asking, both: Both) -> None:
    said = oose("install", "web", *NAMES)
    assert said.code == 1
    assert said.err.startswith("oose: nginx needs a certificate with its key: --pem FILE; or")
    assert "Traceback" not in said.err


def test_peers_are_those_that_the_database_knows(tmp_path: Path) -> None:
    root = tmp_path / "data"
    config = tmp_path / "prism.py"
    config.write_text(f"root = {str(root)!r}\nprism = {{'enabled': True}}\n")
    with pytest.raises(Refused, match="nothing has run here yet"):
        known_peers(PurePosixPath(config))
    root.mkdir()
    in_database(root, register_all)
    assert known_peers(PurePosixPath(config)) == ["h"]
