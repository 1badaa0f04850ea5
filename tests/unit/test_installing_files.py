import stat
from pathlib import Path, PurePosixPath

import pytest
from attrs import evolve

from oose.installing.files import Directory, File, Link, Ownership, backup_of
from oose.installing.machine import Machine
from oose.installing.plan import Change, Step, carry_out
from oose.installing.runner import Refused
from tests.unit.installed import NOW, machine_in, made, tree_of

PLACE = PurePosixPath("/etc/thing.conf")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return evolve(machine_in(tmp_path)[0], now=lambda: NOW)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_with_those_above_it(machine: Machine) -> None:
    step = Directory(PurePosixPath("/var/lib/a/b"), mode=0o750)
    assert made(machine, [step]) == ["make the folder /var/lib/a/b (root:root 0750)"]
    assert mode(machine.root / "var/lib/a/b") == 0o750
    assert made(machine, [step]) == []


def test_a_folder_with_another_mode_gets_its_own(machine: Machine) -> None:
    step = Directory(PurePosixPath("/var/lib/a"))
    made(machine, [step])
    (machine.root / "var/lib/a").chmod(0o700)
    assert made(machine, [step]) == ["give /var/lib/a to root:root 0755"]
    assert mode(machine.root / "var/lib/a") == 0o755


def test_what_is_to_be_a_strangers_is_refused(machine: Machine) -> None:
    with pytest.raises(Refused, match="no user nobody or no group root"):
        made(machine, [Directory(PurePosixPath("/var/lib/a"), user="nobody")])


def test_numbers_are_those_of_the_machine_itself(machine: Machine) -> None:
    assert machine.owner("root", "nothing") is None
    (machine.root / "etc/group").write_text("root:x:0:\noose:x:777:\n")
    (machine.root / "etc/passwd").write_text("root:x:0:0\noose:x:888:777\n")
    owner = machine.owner("oose", "oose")
    assert owner is not None
    assert (owner.user, owner.group) == (888, 777)
    root = machine.owner("root", "root")
    assert root is not None
    assert (root.user, root.group) == (0, 0)


def test_a_file_is_written_with_its_mode_and_nothing_beside_it(machine: Machine) -> None:
    step = File(PLACE, "a = 1\n", mode=0o640)
    before = names_in(machine.root / "etc")
    assert made(machine, [step]) == ["write /etc/thing.conf (root:root 0640)"]
    assert (machine.root / "etc/thing.conf").read_text() == "a = 1\n"
    assert mode(machine.root / "etc/thing.conf") == 0o640
    assert names_in(machine.root / "etc") - before == {"thing.conf"}
    assert made(machine, [step]) == []


def test_what_a_crash_left_of_a_write_is_no_hindrance(machine: Machine) -> None:
    (machine.root / "etc/.thing.conf.new").write_text("half")
    made(machine, [File(PLACE, "whole")])
    assert (machine.root / "etc/thing.conf").read_text() == "whole"
    assert not (machine.root / "etc/.thing.conf.new").exists()


def test_a_file_that_only_has_another_mode_is_not_replaced(machine: Machine) -> None:
    made(machine, [File(PLACE, "a\n")])
    assert made(machine, [File(PLACE, "a\n", mode=0o600)]) == [
        "give /etc/thing.conf to root:root 0600"
    ]


def test_what_is_replaced_is_shown_and_kept_with_the_date(machine: Machine) -> None:
    made(machine, [File(PLACE, "old = 1\nsame = 2\n", mode=0o640)])
    said: list[Change] = []
    step = File(PLACE, "new = 1\nsame = 2\n", mode=0o640, keeps_old=True)
    carry_out([step], machine, said.append)
    (change,) = said
    backup = "/etc/thing.conf.20261125-140822"
    assert change.said == f"replace /etc/thing.conf; the old one is kept as {backup}"
    assert change.shown.splitlines()[2:] == ["@@ -1,2 +1,2 @@", "-old = 1", "+new = 1", " same = 2"]
    kept = machine.at(backup)
    assert (kept.read_text(), mode(kept)) == ("old = 1\nsame = 2\n", 0o640)
    assert (machine.root / "etc/thing.conf").read_text() == "new = 1\nsame = 2\n"
    assert str(backup_of(machine, PLACE)) == f"{backup}-1"


def test_what_is_nobodys_work_is_replaced_without_a_copy(machine: Machine) -> None:
    made(machine, [File(PLACE, "a")])
    assert made(machine, [File(PLACE, "b")]) == ["replace /etc/thing.conf"]
    assert [path.name for path in (machine.root / "etc").glob("thing*")] == ["thing.conf"]


def test_no_secret_is_shown(machine: Machine) -> None:
    made(machine, [File(PLACE, "password = 'old-secret'\n")])
    text = "password = 'new-secret'"  # and no line end, which diff would run together
    step = File(PLACE, text, masks={"old-secret": "****", "new-secret": "****"})
    (change,) = step.changes(machine)
    assert change.shown.splitlines()[3:] == ["-password = '****'", "+password = '****'"]


def test_a_link_is_made_and_switched(machine: Machine) -> None:
    path = PurePosixPath("/usr/local/bin/thing")
    step = Link(path, PurePosixPath("/opt/one"))
    (machine.root / "usr/local/bin/.thing.new").symlink_to("left")
    assert made(machine, [step]) == ["link /usr/local/bin/thing to /opt/one"]
    assert made(machine, [step]) == []
    made(machine, [Link(path, PurePosixPath("/opt/two"))])
    assert str(machine.at(path).readlink()) == "/opt/two"
    assert names_in(machine.root / "usr/local/bin") == {"thing"}


def test_a_link_takes_nobodys_place(machine: Machine) -> None:
    machine.at("/usr/local/bin/thing").write_text("a program")
    with pytest.raises(Refused, match="no link: move it away"):
        made(machine, [Link(PurePosixPath("/usr/local/bin/thing"), PurePosixPath("/opt/one"))])


def test_pretending_says_all_and_changes_nothing(machine: Machine) -> None:
    made(machine, [File(PLACE, "old\n")])
    folder = PurePosixPath("/srv/a")
    steps: list[Step] = [
        Directory(folder, user="later"),
        Ownership(folder / "made-by-then"),
        File(folder / "x", "text"),
        File(PLACE, "new\n", keeps_old=True),
        Link(PurePosixPath("/srv/a/link"), folder),
    ]
    before = tree_of(machine.root)
    assert made(machine, steps, pretend=True) == [
        "make the folder /srv/a (later:root 0755)",
        "give /srv/a/made-by-then to root:root 0755",
        "write /srv/a/x (root:root 0644)",
        "replace /etc/thing.conf; the old one is kept as /etc/thing.conf.20261125-140822",
        "link /srv/a/link to /srv/a",
    ]
    assert tree_of(machine.root) == before
    assert machine.touched == {
        "/srv/a/made-by-then",
        "/srv/a/x",
        "/etc/thing.conf",
        "/srv/a/link",
    }
