import json
import os
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from oose.disk import IDENTITY
from oose.installing import disks, layout
from oose.installing.disks import Device, Formatted, chosen, device_for
from oose.installing.machine import Machine
from oose.installing.runner import Refused
from tests.unit.installed import Recorder, machine_in, made

PLACE = PurePosixPath("/media/om101")
UUID = "7f1d3c9a-0d3f-4b43-9f0b-2f5a4ad1c6de"
SDB: dict[str, Any] = {
    "name": "/dev/sdb",
    "type": "disk",
    "size": 4_000_000_000_000,
    "ro": False,
    "rm": False,
    "model": "Big ",
    "serial": "S1",
    "fstype": None,
    "pttype": None,
    "mountpoints": [None],
}
SDA = {**SDB, "name": "/dev/sda", "pttype": "gpt"}


@pytest.fixture
def both(tmp_path: Path) -> tuple[Machine, Recorder]:
    return machine_in(tmp_path)


def with_disks(recorder: Recorder, *rows: dict[str, Any]) -> None:
    recorder.says["lsblk"] = json.dumps({"blockdevices": rows})


def test_the_only_empty_disk_is_found(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    with_disks(recorder, SDA, SDB, {**SDB, "name": "/dev/sdc", "rm": True})
    found = device_for(machine, PLACE, None)
    assert found == Device("/dev/sdb", 4_000_000_000_000, "Big", "S1")
    assert str(found) == "/dev/sdb (Big S1, 4000.0 GB)"
    assert str(Device("/dev/vdb", 10**9, "", "")) == "/dev/vdb (1.0 GB)"
    assert found.name == "sdb"


def test_nothing_is_formatted_where_a_disk_is_mounted(tmp_path: Path) -> None:
    machine, recorder = machine_in(tmp_path, [str(PLACE)])
    assert device_for(machine, PLACE, None) is None
    assert recorder.ran == []


def test_among_several_empty_disks_one_has_to_be_named(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    with_disks(recorder, SDB, {**SDB, "name": "/dev/sdc", "type": "loop"})
    assert chosen(machine, "/dev/sdc").path == "/dev/sdc"
    with_disks(recorder, SDB, {**SDB, "name": "/dev/sdd"})
    with pytest.raises(Refused, match=r"Empty are: /dev/sdb .*, /dev/sdd "):
        chosen(machine, None)
    with_disks(recorder, SDA)
    with pytest.raises(Refused, match="Empty are: none"):
        chosen(machine, None)


def test_a_name_that_links_to_a_disk_means_that(
    both: tuple[Machine, Recorder], tmp_path: Path
) -> None:
    machine, recorder = both
    link = tmp_path / "by-id"
    link.symlink_to("/dev/sdb")
    with_disks(recorder, SDB)
    assert chosen(machine, str(link)).path == "/dev/sdb"


def test_what_is_no_disk_is_refused(both: tuple[Machine, Recorder]) -> None:
    machine, _ = both
    with pytest.raises(Refused, match="/etc/hosts is no disk of this machine"):
        chosen(machine, "/etc/hosts")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"ro": True}, "it cannot be written"),
        ({"children": [{"name": "/dev/sdb1"}]}, "/dev/sdb1 are made of it"),
        ({"mountpoints": ["/home", None]}, "it is mounted at /home"),
        ({"fstype": "ext4"}, "it has ext4"),
        ({"pttype": "dos"}, "it has dos"),
    ],
)
def test_a_disk_with_anything_on_it_is_refused(
    both: tuple[Machine, Recorder], more: dict[str, Any], why: str
) -> None:
    machine, recorder = both
    with_disks(recorder, {**SDB, **more})
    with pytest.raises(Refused, match=f"/dev/sdb is not empty: {why}"):
        chosen(machine, "/dev/sdb")


def test_what_udev_does_not_know_is_seen_on_the_disk_itself(
    both: tuple[Machine, Recorder],
) -> None:
    machine, recorder = both
    with_disks(recorder, SDB)
    recorder.says["wipefs --no-act"] = "zfs_member\nzfs_member\n"
    with pytest.raises(Refused, match="it has zfs_member, zfs_member"):
        chosen(machine, "/dev/sdb")


def test_a_disk_is_formatted_named_in_fstab_and_mounted(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    with_disks(recorder, SDB)
    fstab = machine.at(layout.FSTAB)
    fstab.write_text("UUID=1 / ext4 defaults 0 1")  # without a line end
    said = made(machine, [Formatted(chosen(machine, None), PLACE, UUID)])
    assert said[0] == "make an XFS file system on /dev/sdb (Big S1, 4000.0 GB)"
    assert said[1].startswith("replace /etc/fstab; the old one is kept as /etc/fstab.")
    assert said[2] == "mount it at /media/om101"
    assert recorder.changing == [
        f"mkfs.xfs -q -m uuid={UUID} -L om101 /dev/sdb",
        "systemctl daemon-reload",
        "mount /media/om101",
    ]
    assert fstab.read_text() == (
        f"UUID=1 / ext4 defaults 0 1\nUUID={UUID} /media/om101 xfs noatime,nofail 0 0\n"
    )


def test_a_name_too_long_for_a_label_goes_without_and_fstab_may_be_missing(
    both: tuple[Machine, Recorder],
) -> None:
    machine, recorder = both
    with_disks(recorder, SDB)
    machine.at(layout.FSTAB).unlink()
    place = PurePosixPath("/media/a-very-long-name")
    made(machine, [Formatted(chosen(machine, None), place, UUID)])
    assert recorder.changing[0] == f"mkfs.xfs -q -m uuid={UUID} /dev/sdb"
    assert machine.at(layout.FSTAB).read_text().startswith(f"UUID={UUID} {place} xfs")


def test_a_disk_that_was_filled_meanwhile_is_not_formatted(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    with_disks(recorder, SDB)
    step = Formatted(chosen(machine, None), PLACE, UUID)
    with_disks(recorder, {**SDB, "fstype": "ext4"})
    with pytest.raises(Refused, match="it has ext4"):
        made(machine, [step])
    assert recorder.changing == []


def test_a_new_disk_hides_no_files_and_takes_no_others_place(
    both: tuple[Machine, Recorder],
) -> None:
    machine, _ = both
    disks.check_empty_place(machine, PLACE)
    folder = machine.at(PLACE)
    folder.mkdir(parents=True)
    disks.check_empty_place(machine, PLACE)
    (folder / "a").touch()
    with pytest.raises(Refused, match="would hide what it holds"):
        disks.check_empty_place(machine, PLACE)
    with pytest.raises(Refused, match="would hide what it holds"):
        disks.check_empty_place(machine, PLACE / "a")
    (folder / "a").unlink()
    machine.at(layout.FSTAB).write_text(f"# {PLACE}\n\nUUID=2 {PLACE}/ xfs noatime 0 0\n")
    with pytest.raises(Refused, match="has another disk for /media/om101"):
        disks.check_empty_place(machine, PLACE)
    machine.at(layout.FSTAB).unlink()
    disks.check_empty_place(machine, PLACE)


def test_a_folder_that_is_no_mount_point_is_refused_unless_it_is_meant(
    both: tuple[Machine, Recorder],
) -> None:
    machine, _ = both
    with pytest.raises(Refused, match="There is no folder /media/om101"):
        disks.check_mounted(machine, PLACE, must_be_mount=True)
    machine.at(PLACE).mkdir(parents=True)
    with pytest.raises(Refused, match="Content would fill the disk of the system"):
        disks.check_mounted(machine, PLACE, must_be_mount=True)
    disks.check_mounted(machine, PLACE, must_be_mount=False)


def test_the_root_of_the_system_is_no_stores_disk(both: tuple[Machine, Recorder]) -> None:
    machine, _ = both
    with pytest.raises(Refused, match="is no store's disk"):
        disks.check_mounted(machine, PurePosixPath("/"), must_be_mount=False)


def test_a_disk_that_is_read_only_is_refused(
    both: tuple[Machine, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = both
    machine.at(PLACE).mkdir(parents=True)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(Refused, match="mounted read-only"):
        disks.check_mounted(machine, PLACE, must_be_mount=False)


def test_another_stores_disk_is_refused(both: tuple[Machine, Recorder]) -> None:
    machine, _ = both
    machine.at(PLACE).mkdir(parents=True)
    disks.check_owner(machine, PLACE, "om101")
    (machine.at(PLACE) / IDENTITY).write_text('{"store": "om102", "id": "1"}')
    with pytest.raises(Refused, match=r"the store 'om102', not of 'om101'\. --name says which"):
        disks.check_owner(machine, PLACE, "om101")


def test_what_an_operator_should_know_of_a_disk_is_said(tmp_path: Path) -> None:
    machine, recorder = machine_in(tmp_path, [str(PLACE)])
    assert list(disks.notes_on(machine, PLACE)) == [
        "/etc/fstab does not name /media/om101: is it mounted when the machine starts?"
    ]
    machine.at(layout.FSTAB).unlink()
    assert len(list(disks.notes_on(machine, PLACE))) == 1
    machine.at(layout.FSTAB).write_text(f"UUID=2 {PLACE} xfs noatime 0 0\n")
    (machine.at(PLACE) / "content").mkdir()
    assert list(disks.notes_on(machine, PLACE)) == []
    machine.run("useradd", "oose")
    assert list(disks.notes_on(machine, PLACE)) == []
    recorder.root.joinpath("etc/passwd").write_text("oose:x:12345:\n")
    (note,) = disks.notes_on(machine, PLACE)
    assert note.endswith("chown --recursive oose: /media/om101/content")
