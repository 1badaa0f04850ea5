import os
import re
import time
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from oose.embedded.database import FILE_NAME
from oose.installing import database, layout
from oose.installing.configuring import names_in
from oose.installing.disks import Device
from oose.installing.machine import Machine
from oose.installing.plans import Plan, Wanted, prism_plan, store_plan
from oose.installing.rooms import Asked, stores_in
from oose.installing.runner import Refused
from tests.unit.installed import Recorder, machine_in, made, tree_of, write_configuration

DISK = PurePosixPath("/media/om101")
CLUSTER = Asked(
    couchdb_url="https://couchdb:6984",
    redis_url="redis://redis:6379",
    listen="127.0.0.1",
    url="https://media.example.org",
)
Both = tuple[Machine, Recorder]


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return machine_in(tmp_path, [str(DISK), "/media/om102"])


def install(machine: Machine, plan: Plan) -> list[str]:
    return made(machine, plan.steps)


def test_the_name_of_the_database_is_the_programs() -> None:
    assert database.NAME == FILE_NAME


def test_a_bare_machine_becomes_a_prism(both: Both) -> None:
    machine, recorder = both
    plan = prism_plan(machine, Asked())
    said = install(machine, plan)
    assert [line for line in said if "/systemd/" not in line] == [
        "link /usr/local/bin/oose to /opt/oose/current/venv/bin/oose",
        "make the user and the group oose",
        "make the folder /etc/oose (root:oose 0750)",
        "make the folder /etc/oose/store (root:oose 0750)",
        "make the folder /var/lib/oose (root:root 0755)",
        "make the folder /var/lib/oose/prism (oose:oose 0750)",
        "write /etc/oose/prism.py (root:oose 0640)",
        "have systemd read its units again",
        "have oose-prism.socket started with the machine",
        "start oose-prism.socket",
        "have oose-prism.service started with the machine",
        "start oose-prism.service",
    ]
    assert plan.notes == [
        "The login of its first user: /var/lib/oose/prism/login.toml",
        "It has no store yet: oose install store --disk MOUNT_POINT",
    ]
    assert recorder.unit("oose-prism.service").active == "active"
    assert plan.hint == ""


def test_a_second_time_nothing_is_changed(both: Both) -> None:
    machine, recorder = both
    install(machine, prism_plan(machine, Asked()))
    before, recorder.ran[:] = tree_of(machine.root), []
    assert install(machine, prism_plan(machine, Asked())) == []
    assert (tree_of(machine.root), recorder.ran) == (before, [])


def test_pretending_says_the_same_and_changes_nothing(both: Both) -> None:
    machine, recorder = both
    before = tree_of(machine.root)
    said = made(machine, prism_plan(machine, Asked()).steps, pretend=True)
    assert (tree_of(machine.root), recorder.ran) == (before, [])
    assert said == install(machine, prism_plan(machine, Asked()))


def test_another_configuration_has_the_prism_started_again(both: Both) -> None:
    machine, recorder = both
    install(machine, prism_plan(machine, Asked()))
    recorder.ran.clear()
    said = install(machine, prism_plan(machine, Asked(port=6000)))
    assert said[0].startswith("replace /etc/oose/prism.py; the old one is kept as")
    assert said[1] == "replace /etc/systemd/system/oose-prism.socket.d/oose-install.conf"
    assert said[2:] == [
        "have systemd read its units again",
        "start oose-prism.socket again",
        "start oose-prism.service",
    ]
    assert recorder.ran[-2:] == [
        "systemctl start oose-prism.service",
        "systemctl is-active --quiet oose-prism.service",
    ]


def test_a_run_that_was_cut_short_is_finished_by_the_next(both: Both) -> None:
    machine, _ = both
    install(machine, prism_plan(machine, Asked()))
    config = write_configuration(machine, "prism = {'enabled': True, 'name': 'other'}\n")
    os.utime(config, (time.time() + 5, time.time() + 5))  # written, and then the power went
    assert "start oose-prism.service again" in install(machine, prism_plan(machine, Asked()))


def test_a_certificate_below_the_configuration_is_made_readable(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = both
    for name in ("configuration", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "media.pem").touch()
    monkeypatch.setattr(layout, "ETC", PurePosixPath(tmp_path / "configuration"))
    for name, given in (("configuration", True), ("elsewhere", False)):
        pem = str(tmp_path / name / "media.pem")
        steps = prism_plan(machine, Asked(listen="0.0.0.0", pem=pem)).steps
        said = made(machine, steps, pretend=True)
        assert (f"give {pem} to root:oose 0640" in said) == given


def test_without_the_program_nothing_is_installed(both: Both) -> None:
    machine, _ = both
    (machine.root / "opt/oose/current").unlink()
    with pytest.raises(Refused, match=r"install/install\.sh of the program makes it"):
        prism_plan(machine, Asked())


def test_a_configuration_that_would_not_do_is_not_written(both: Both) -> None:
    machine, _ = both
    with pytest.raises(Refused, match=r"prism\.name: expected a name"):
        prism_plan(machine, Asked(name="Not A Name"))
    assert not machine.at(layout.ETC).exists()


def test_a_password_is_made_once_for_a_cluster(both: Both) -> None:
    machine, _ = both
    plan = prism_plan(machine, CLUSTER)
    (note,) = plan.notes
    assert "A password was made for the cluster; it is in /etc/oose/prism.py" in note
    install(machine, plan)
    password = names_in(machine, layout.PRISM)["prism"]["password"]
    assert len(password) > 40
    again = prism_plan(machine, Asked())
    assert again.notes == []
    assert install(machine, again) == []
    plan = prism_plan(machine, Asked(password="said-by-the-operator"))
    install(machine, plan)
    assert names_in(machine, layout.PRISM)["couchdb"]["password"] == "said-by-the-operator"
    assert plan.notes == []


def test_who_may_make_the_databases_of_a_cluster_makes_them_first(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, recorder = both
    plan = prism_plan(machine, CLUSTER)
    assert "oose couchdb setup --admin NAME --config /etc/oose/prism.py" in plan.hint
    monkeypatch.setenv("OOSE_COUCHDB_ADMIN", "admin")
    said = install(machine, plan)
    assert "make the databases and the account of the cluster in CouchDB" in said
    setup = "/opt/oose/current/venv/bin/oose couchdb setup --config /etc/oose/prism.py"
    assert recorder.ran.index(setup) < recorder.ran.index("systemctl start oose-prism.service")
    assert install(machine, prism_plan(machine, Asked())) == []


def test_a_machine_does_not_leave_its_database_behind(both: Both) -> None:
    machine, _ = both
    install(machine, prism_plan(machine, Asked()))
    install(machine, prism_plan(machine, CLUSTER))  # nothing has been kept yet
    write_configuration(machine, "prism = {'enabled': True}\n")
    (machine.root / "var/lib/oose/prism" / FILE_NAME).touch()
    for refused in (
        lambda: prism_plan(machine, CLUSTER),
        lambda: store_plan(machine, CLUSTER, Wanted(DISK)),
    ):
        with pytest.raises(Refused, match="`oose export` and `oose import` move it"):
            refused()


def test_a_store_of_one_machine_runs_with_its_prism(both: Both) -> None:
    machine, _ = both
    install(machine, prism_plan(machine, Asked()))
    machine.at(layout.FSTAB).write_text(f"UUID=2 {DISK} xfs noatime 0 0\n")
    plan = store_plan(machine, Asked(), Wanted(DISK))
    assert plan.notes == []
    said = install(machine, plan)
    assert said[0].startswith("replace /etc/oose/prism.py")
    assert said[-1] == "start oose-prism.service"
    (store,) = stores_in(names_in(machine, layout.PRISM))
    assert (store["name"], store["root"], store["port"]) == ("om101", str(DISK), 5972)
    assert "prism" not in store
    drop_in = machine.at("/etc/systemd/system/oose-prism.service.d/oose-install.conf")
    assert "ReadWritePaths=-/media/om101" in drop_in.read_text().splitlines()
    assert install(machine, store_plan(machine, Asked(), Wanted(DISK))) == []
    install(machine, store_plan(machine, Asked(), Wanted(PurePosixPath("/media/om102"))))
    assert [each["port"] for each in stores_in(names_in(machine, layout.PRISM))] == [5972, 5973]
    assert prism_plan(machine, Asked()).notes == [
        "The login of its first user: /var/lib/oose/prism/login.toml"
    ]


def test_a_disk_without_room_for_anything_is_said(both: Both) -> None:
    machine, _ = both
    machine.at(layout.FSTAB).write_text(f"UUID=2 {DISK} xfs noatime 0 0\n")
    install(machine, prism_plan(machine, Asked()))
    install(machine, store_plan(machine, Asked(), Wanted(DISK)))
    names = names_in(machine, layout.PRISM)
    names["store"][0]["min_free"] = 10**18
    write_configuration(machine, "\n".join(f"{k} = {v!r}" for k, v in names.items()))
    (note,) = store_plan(machine, Asked(), Wanted(DISK)).notes
    assert re.fullmatch(
        r"The store takes nothing: [0-9.]+ GB of /media/om101 are free, and it leaves"
        r" 1000000000\.0 GB so \(`min_free` in its configuration\)",
        note,
    )


def test_a_store_keeps_the_name_that_it_was_given(both: Both) -> None:
    machine, _ = both
    install(machine, prism_plan(machine, Asked()))
    install(machine, store_plan(machine, Asked(name="first"), Wanted(DISK)))
    assert install(machine, store_plan(machine, Asked(), Wanted(DISK))) == []


def test_a_store_of_one_machine_belongs_to_no_other_prism(both: Both) -> None:
    machine, _ = both
    install(machine, prism_plan(machine, Asked()))
    store_plan(machine, Asked(), Wanted(DISK, prism="prism1"))
    with pytest.raises(Refused, match="would run with this machine's prism, not other's"):
        store_plan(machine, Asked(), Wanted(DISK, prism="other"))


def test_a_store_of_a_cluster_is_a_process_of_its_own(both: Both) -> None:
    machine, recorder = both
    install(machine, prism_plan(machine, CLUSTER))
    asked = Asked(listen="127.0.0.1")
    said = install(machine, store_plan(machine, asked, Wanted(DISK)))
    assert "write /etc/oose/store/om101.py (root:oose 0640)" in said
    assert "make the folder /var/lib/oose/store (root:root 0755)" in said
    assert "make the folder /var/lib/oose/store/om101 (oose:oose 0750)" in said
    assert said[-2:] == [
        "have oose-store@om101.service started with the machine",
        "start oose-store@om101.service",
    ]
    names = names_in(machine, layout.store_file("om101"))
    prism = names_in(machine, layout.PRISM)
    assert names["couchdb"] == prism["couchdb"]
    assert names["store"][0]["password"] == prism["prism"]["password"]
    assert names["store"][0]["prism"] == prism["prism"]["name"]
    drop_in = machine.at("/etc/systemd/system/oose-store@om101.service.d/oose-install.conf")
    assert "RequiresMountsFor=/media/om101" in drop_in.read_text().splitlines()
    assert install(machine, store_plan(machine, Asked(), Wanted(DISK))) == []
    said = install(machine, store_plan(machine, asked, Wanted(PurePosixPath("/media/om102"))))
    assert names_in(machine, layout.store_file("om102"))["store"][0]["port"] == 5973
    assert recorder.unit("oose-store@om101.service").active == "active"


def test_a_store_of_the_prisms_process_stays_there_in_a_cluster(both: Both) -> None:
    machine, _ = both
    install(machine, prism_plan(machine, CLUSTER))
    names = names_in(machine, layout.PRISM)
    room = {**names["prism"], "name": "om101", "port": 5972, "root": str(DISK), "url": None}
    text = "\n".join(f"{name} = {value!r}" for name, value in {**names, "store": room}.items())
    write_configuration(machine, text)
    install(machine, store_plan(machine, Asked(port=6001), Wanted(DISK)))
    assert not machine.at(layout.store_file("om101")).exists()
    assert stores_in(names_in(machine, layout.PRISM))[0]["port"] == 6001


def test_a_machine_of_stores_alone_is_told_its_cluster(both: Both) -> None:
    machine, _ = both
    with pytest.raises(Refused, match="`oose install prism` comes first"):
        store_plan(machine, Asked(), Wanted(DISK))
    with pytest.raises(Refused, match="--prism NAME says it"):
        store_plan(machine, CLUSTER, Wanted(DISK))
    install(machine, store_plan(machine, CLUSTER, Wanted(DISK, prism="media1")))
    names: dict[str, Any] = names_in(machine, layout.store_file("om101"))
    assert names["store"][0]["prism"] == "media1"
    assert install(machine, store_plan(machine, Asked(), Wanted(DISK))) == []


def test_a_store_needs_a_name_that_others_can_use(both: Both) -> None:
    machine, _ = both
    with pytest.raises(Refused, match="'Disk 1' is no name for a store: --name NAME, a name of"):
        store_plan(machine, Asked(), Wanted(PurePosixPath("/media/Disk 1")))


def test_a_disk_is_looked_at_before_anything_is_done(both: Both) -> None:
    machine, recorder = both
    install(machine, prism_plan(machine, Asked()))
    recorder.ran.clear()
    folder = PurePosixPath("/srv/content")
    machine.at(folder).mkdir(parents=True)
    with pytest.raises(Refused, match="No disk is mounted at /srv/content"):
        store_plan(machine, Asked(), Wanted(folder))
    assert recorder.ran == []
    install(machine, store_plan(machine, Asked(), Wanted(folder, must_be_mount=False)))
    assert store_plan(machine, Asked(), Wanted(DISK)).notes != ()


def test_an_empty_disk_is_formatted_mounted_and_given_to_the_store(both: Both) -> None:
    machine, recorder = both
    install(machine, prism_plan(machine, Asked()))
    recorder.ran.clear()
    recorder.says["lsblk"] = (
        '{"blockdevices": [{"name": "/dev/sdb", "type": "disk", "size": 1000000000000, "ro": false,'
        ' "rm": false, "model": null, "serial": null, "fstype": null, "pttype": null,'
        ' "mountpoints": [null]}]}'
    )
    new = PurePosixPath("/media/om103")
    device = Device("/dev/sdb", 10**12, "", "")
    said = install(machine, store_plan(machine, Asked(), Wanted(new, None, device, "u-1")))
    assert said[:2] == [
        "install from Debian: xfsprogs",
        "make the folder /media/om103 (root:root 0755)",
    ]
    assert said[2] == "make an XFS file system on /dev/sdb (1000.0 GB)"
    assert said[4] == "mount it at /media/om103"
    assert stores_in(names_in(machine, layout.PRISM))[0]["root"] == str(new)
    with pytest.raises(Refused, match="/etc/fstab has another disk for /media/om103"):
        store_plan(machine, Asked(), Wanted(new, None, device, "u-2"))
