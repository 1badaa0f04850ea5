"""install, upgrade, uninstall: what the commands take, say and ask."""

import json
import os
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner

from oose.cli import installing, this_machine, upgrading
from oose.installing import layout
from oose.installing.configuring import names_in
from oose.installing.machine import Machine
from oose.installing.runner import Commands
from oose.installing.upgrading import RolledBack
from tests.cli.asking import Asking
from tests.unit.installed import Recorder, machine_in, make_release, tree_of

TWO = layout.RELEASES / "3.1.0-two"
EMPTY = json.dumps(
    {
        "blockdevices": [
            {
                "name": "/dev/sdb",
                "type": "disk",
                "size": 10**12,
                "ro": False,
                "rm": False,
                "model": "Big",
                "serial": None,
                "fstype": None,
                "pttype": None,
                "mountpoints": [None],
            }
        ]
    }
)
Both = tuple[Machine, Recorder]


@pytest.fixture
def oose() -> Asking:
    return Asking(CliRunner())


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    machine, recorder = machine_in(tmp_path, ["/media/om101"])
    for module in (installing, upgrading):
        monkeypatch.setattr(module, "this_machine", lambda: evolve(machine, touched=set()))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return machine, recorder


def test_the_machine_is_the_one_that_the_command_runs_on() -> None:
    machine = this_machine.this_machine()
    assert isinstance(machine.runner, Commands)
    assert machine.root == Path("/")


def test_who_may_not_change_a_machine_may_pretend(
    oose: Asking, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = oose("install", "prism")
    assert (said.code, said.err) == (3, "oose: This changes the machine: root may, or sudo\n")
    before = tree_of(both[0].root)
    said = oose("install", "prism", "--pretend")
    assert said.code == 0
    assert "- write /etc/oose/prism.py (root:oose 0640)" in said.out.splitlines()
    assert said.out.endswith("changes would be made: nothing was changed\n")
    assert tree_of(both[0].root) == before


def test_a_prism_is_installed_and_every_change_is_said(oose: Asking, both: Both) -> None:
    said = oose("install", "prism", "--group", "a")
    assert said.code == 0
    assert said.out.splitlines()[-1].endswith(" changes made")
    assert "It has no store yet" in said.err
    said = oose("install", "prism")
    assert said.out == "Nothing to change: all is as it should be\n"
    said = oose("install", "prism", "--group", "b")
    assert "-group = 'a'" in said.out.splitlines()
    assert "+group = 'b'" in said.out.splitlines()


def test_programs_read_the_changes_as_json(oose: Asking, both: Both) -> None:
    oose("install", "prism")
    said = oose("install", "prism", "--domain", "example.org", "--json")
    changes = said.json()
    assert changes[0]["change"].startswith("replace /etc/oose/prism.py; the old one is kept")
    assert "+domain = 'example.org'" in changes[0]["diff"]
    assert changes[-1]["diff"] is None
    assert said.err == ""
    assert oose("--json", "install", "prism").json() == []


def test_passwords_come_out_of_files(oose: Asking, both: Both, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a-password-of-the-cluster\nand a remark\n")
    redis = tmp_path / "redis"
    redis.write_text("\n")
    cluster = ["--couchdb-url", "http://c", "--redis-url", "redis://r", "--listen", "127.0.0.1"]
    given = [*cluster, "--password-file", str(secret), "--pem", "auto"]
    said = oose("install", "prism", *given, "--redis-password-file", str(redis))
    assert (said.code, said.err) == (1, f"oose: {redis} has no password on its first line\n")
    redis.write_text("other")
    said = oose("install", "prism", *given, "--redis-password-file", str(redis))
    assert (said.code, said.err) == (0, "")
    names = names_in(both[0], layout.PRISM)
    assert names["prism"]["password"] == "a-password-of-the-cluster"
    assert names["redis"]["password"] == "other"
    assert names["ssl"] == {"pem": "auto"}


def test_no_password_is_taken_from_the_command_line(oose: Asking, both: Both) -> None:
    said = oose("install", "prism", "--couchdb-url", "http://oose:secret@c")
    assert said.code == 2
    assert "Others can read the command line" in said.err


def test_a_change_that_fails_ends_the_run(oose: Asking, both: Both) -> None:
    both[1].fails["systemctl start oose-prism.service"] = "Job failed."
    said = oose("install", "prism")
    assert said.code == 1
    assert "oose-prism.service does not become ready" in said.err
    assert said.err.endswith("the same command goes on with the others\n")
    both[1].fails.clear()
    assert oose("install", "prism").out.splitlines()[0] == "- start oose-prism.service"


def test_where_a_service_waits_for_databases_that_is_said(oose: Asking, both: Both) -> None:
    both[1].hangs.add("systemctl start oose-prism.service")
    cluster = ["--couchdb-url", "http://c", "--redis-url", "redis://r", "--listen", "127.0.0.1"]
    said = oose("install", "prism", *cluster)
    assert said.code == 5
    assert "oose-prism.service was started and is not ready after 120 s" in said.err
    assert "CouchDB needs databases and the account of the cluster, once" in said.err
    assert said.err.endswith("the same command goes on with the others\n")


def test_a_certificate_is_named_by_its_whole_path(
    oose: Asking, both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = oose("install", "prism", "--pem", "media.pem")
    assert said.code == 1
    assert said.err.endswith(f"prism.py: ssl.pem: there is no file {tmp_path}/media.pem\n")
    (tmp_path / "media.pem").touch()
    assert oose("install", "prism", "--pem", "media.pem").code == 0


def test_a_store_is_added_to_the_machines_prism(oose: Asking, both: Both) -> None:
    said = oose("install", "store", "--disk", "/media/om101")
    assert (said.code, said.out) == (1, "")
    assert "`oose install prism` comes first" in said.err
    oose("install", "prism")
    said = oose("install", "store", "--disk", "/media/../media/om101/", "--name", "first")
    assert said.code == 0
    assert "+        'name': 'first'," in said.out.splitlines()
    assert said.err.startswith("/etc/fstab does not name /media/om101")


def test_a_disk_is_formatted_when_its_name_was_typed(oose: Asking, both: Both) -> None:
    _, recorder = both
    oose("install", "prism")
    recorder.says["lsblk"] = EMPTY
    recorder.ran.clear()
    ask = ("install", "store", "--disk", "/media/om102", "--format")
    said = oose(*ask, "--pretend")
    assert "- make an XFS file system on /dev/sdb (Big, 1000.0 GB)" in said.out.splitlines()
    said = oose(*ask, stdin="sda\n")
    assert said.code == 1
    assert "/dev/sdb (Big, 1000.0 GB) will be formatted, and mounted at /media/om102" in said.err
    assert said.err.endswith("oose: 'sda' is not sdb: nothing was changed\n")
    assert oose(*ask, stdin="\n").code == 1
    assert recorder.changing == []
    assert oose(*ask, stdin="sdb\n").code == 0
    assert any(line.startswith("mkfs.xfs") for line in recorder.changing)


def test_a_disk_that_is_named_is_formatted_without_asking(oose: Asking, both: Both) -> None:
    _, recorder = both
    oose("install", "prism")
    recorder.says["lsblk"] = EMPTY
    ask = ("install", "store", "--disk", "/media/om102", "--format", "--yes")
    said = oose(*ask)
    assert said.code == 2
    assert "--device has to say which disk" in said.err
    said = oose("install", "store", "--disk", "/media/om102", "--device", "/dev/sdb")
    assert said.code == 2
    assert "--format was not said" in said.err
    assert oose(*ask, "--device", "/dev/sdb").code == 0
    assert any(line.startswith("mkfs.xfs") for line in recorder.changing)


def test_a_disk_that_is_mounted_is_not_formatted(oose: Asking, both: Both) -> None:
    _, recorder = both
    oose("install", "prism")
    said = oose("install", "store", "--disk", "/media/om101", "--format")
    assert said.code == 0
    assert not any(line.startswith(("mkfs", "mount", "lsblk")) for line in recorder.ran)


def test_an_upgrade_says_what_it_does(oose: Asking, both: Both, tmp_path: Path) -> None:
    machine, recorder = both
    oose("install", "prism")
    make_release(machine.root, TWO.name)
    (tmp_path / "new/install").mkdir(parents=True)
    (tmp_path / "new/install/install.sh").touch()
    recorder.says["bash"] = str(TWO)
    said = oose("upgrade", str(tmp_path / "new"), "--pretend")
    assert said.out.splitlines() == [
        f"- install the version in {tmp_path}/new beside /opt/oose/releases/3.0.0-one",
        "- check /etc/oose/prism.py with it",
        "- switch to it",
        "- start oose-prism again, and wait until it is ready",
    ]
    recorder.fails["systemctl restart"] = "Job failed."
    said = oose("upgrade", str(tmp_path / "new"))
    assert said.code == 1
    recorder.fails.clear()
    said = oose("upgrade", str(tmp_path / "new"))
    assert said.code == 0
    assert said.out.splitlines()[-1] == f"{TWO} is in use now"
    said = oose("upgrade", str(tmp_path / "new"), "--json")
    assert said.json() == {"before": str(TWO), "now": str(TWO)}
    said = oose("upgrade", str(tmp_path / "new"))
    assert said.out.splitlines()[1:] == [f"{TWO} is in use already"]


def test_an_upgrade_that_was_taken_back_ends_with_a_code_of_its_own(
    oose: Asking, both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oose("install", "prism")

    def taken_back(*_: object) -> None:
        raise RolledBack("it did not come up\nThe old version runs again")

    monkeypatch.setattr(upgrading, "upgrade", taken_back)
    said = oose("upgrade", str(tmp_path), "--pretend")
    assert (said.code, said.out) == (1, "")
    assert "is no tree of the program" in said.err
    (tmp_path / "install").mkdir()
    (tmp_path / "install/install.sh").touch()
    said = oose("upgrade", str(tmp_path))
    assert (said.code, said.err) == (5, "oose: it did not come up\nThe old version runs again\n")


def test_the_program_is_removed_when_that_was_confirmed(oose: Asking, both: Both) -> None:
    machine, _ = both
    oose("install", "prism")
    before = tree_of(machine.root)
    assert oose("uninstall", stdin="n\n").code == 130
    assert "- remove /opt/oose" in oose("uninstall", "--pretend").out.splitlines()
    assert tree_of(machine.root) == before
    said = oose("uninstall", stdin="y\n")
    assert said.code == 0
    assert said.err.endswith("and the user oose are as they were\n")
    assert not (machine.root / "opt/oose").exists()
    assert oose("uninstall", "--yes", "--json").json() == []
