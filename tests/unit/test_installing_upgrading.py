import os
import time
from pathlib import Path, PurePosixPath

import pytest

from oose.installing import layout
from oose.installing.machine import Machine
from oose.installing.plan import Change
from oose.installing.plans import prism_plan
from oose.installing.releases import KEPT, FewReleases, current, made_of
from oose.installing.rooms import Asked
from oose.installing.runner import NotYet, Refused
from oose.installing.surroundings import host_plan, web_plan
from oose.installing.uninstalling import uninstall_steps
from oose.installing.upgrading import RolledBack, Upgraded, upgrade
from tests.unit.installed import Recorder, machine_in, made, make_release, tree_of

ONE = layout.RELEASES / "3.0.0-one"
TWO = layout.RELEASES / "3.1.0-two"
UNIT = "etc/systemd/system/oose-prism.service"
Both = tuple[Machine, Recorder]


@pytest.fixture
def both(tmp_path: Path) -> Both:
    machine, recorder = machine_in(tmp_path)
    made(machine, prism_plan(machine, Asked()).steps)
    recorder.ran.clear()
    return machine, recorder


@pytest.fixture
def source(both: Both, tmp_path: Path) -> Path:
    """A tree whose script makes the release TWO."""
    machine, recorder = both
    make_release(machine.root, TWO.name)
    script = tmp_path / "source/install/install.sh"
    script.parent.mkdir(parents=True)
    script.touch()
    recorder.says["bash"] = f"Making {TWO}\n{TWO}\n"
    return tmp_path / "source"


def ignored(change: Change) -> None:
    """Nobody listens."""


def test_a_new_version_is_checked_switched_to_and_started(both: Both, source: Path) -> None:
    machine, recorder = both
    said: list[str] = []
    done = upgrade(machine, source, lambda change: said.append(change.said))
    assert done == Upgraded(ONE, TWO)
    assert recorder.ran == [
        f"bash {source}/install/install.sh --release",
        f"{TWO}/venv/bin/oose config check /etc/oose/prism.py",
        "systemctl daemon-reload",
        "systemctl reset-failed oose-prism.service",
        "systemctl restart oose-prism.service",
        "systemctl is-active --quiet oose-prism.service",
    ]
    assert said[0] == f"make a release of {source}, which takes a while"
    assert said[1] == f"link /opt/oose/current to {TWO}"
    assert current(machine) == TWO
    assert (machine.root / UNIT).read_text() == "[Service]\n# 3.1.0-two\n"


def test_the_version_in_use_is_no_new_one(both: Both, source: Path) -> None:
    machine, recorder = both
    recorder.says["bash"] = f"{ONE}\n"
    assert upgrade(machine, source, ignored) == Upgraded(ONE, ONE)
    assert len(recorder.ran) == 1
    link = machine.root / "opt/oose/current"  # as if it had been switched, and no more
    os.utime(link, (time.time() + 5, time.time() + 5), follow_symlinks=False)
    upgrade(machine, source, ignored)
    assert "systemctl restart oose-prism.service" in recorder.ran


def test_where_an_upgrade_that_was_cut_short_does_not_come_up_the_way_back_is_said(
    both: Both, source: Path
) -> None:
    machine, recorder = both
    recorder.says["bash"] = f"{ONE}\n"
    recorder.unit("oose-prism.service").active = "inactive"
    recorder.fails["systemctl start"] = "Job failed."
    with pytest.raises(Refused, match=f"{ONE} was in use before this command, so it stays. To go "):
        upgrade(machine, source, ignored)
    recorder.fails.clear()
    recorder.hangs.add("systemctl start oose-prism.service")
    with pytest.raises(NotYet, match=r"is not ready after 120 s(.|\n)*so it stays"):
        upgrade(machine, source, ignored)
    assert current(machine) == ONE


def test_a_version_that_does_not_take_the_configuration_is_not_switched_to(
    both: Both, source: Path
) -> None:
    machine, recorder = both
    recorder.fails[f"{TWO}/venv/bin/oose config check"] = "prism.workers: no such name"
    before = tree_of(machine.root)
    with pytest.raises(Refused, match=r"does not take /etc/oose/prism\.py; the old one runs on"):
        upgrade(machine, source, ignored)
    assert tree_of(machine.root) == before


def test_a_version_that_does_not_come_up_gives_its_place_back(both: Both, source: Path) -> None:
    machine, recorder = both
    before = tree_of(machine.root)

    recorder.does["systemctl restart"] = lambda: give_up(recorder)
    recorder.fails["systemctl restart"] = "Job failed."
    with pytest.raises(RolledBack) as found:
        upgrade(machine, source, ignored)
    assert "Job failed." in str(found.value)
    assert str(found.value).endswith(f"The old version, {ONE}, runs again")
    assert tree_of(machine.root) == before
    assert recorder.ran[-3:] == [
        "systemctl reset-failed oose-prism.service",
        "systemctl start oose-prism.service",
        "systemctl is-active --quiet oose-prism.service",
    ]


def give_up(recorder: Recorder) -> None:
    """As systemd has it of a service that is started again and again."""
    recorder.unit("oose-prism.service").active = "activating"


def test_a_database_whose_layout_was_changed_is_put_back(both: Both, source: Path) -> None:
    machine, recorder = both
    root = machine.root / "var/lib/oose/prism"
    (root / "oose.sqlite").write_text("old")
    (root / "oose.sqlite.before-2").write_text("of long ago")
    recorder.does["systemctl restart"] = lambda: change_layout(root)
    recorder.fails["systemctl restart"] = "Job failed."
    with pytest.raises(RolledBack):
        upgrade(machine, source, ignored)
    assert {path.name: path.read_text() for path in root.iterdir()} == {
        "oose.sqlite": "old",
        "oose.sqlite.before-2": "of long ago",
        "oose.sqlite.given-up": "new",
        "oose.sqlite.given-up-wal": "log",
    }
    assert "systemctl stop oose-prism.service" in recorder.ran


def change_layout(root: Path) -> None:
    """As a newer version does before it fails."""
    (root / "oose.sqlite").replace(root / "oose.sqlite.before-3")
    (root / "oose.sqlite").write_text("new")
    (root / "oose.sqlite-wal").write_text("log")


def test_where_the_old_version_does_not_come_up_either_that_is_said(
    both: Both, source: Path
) -> None:
    machine, recorder = both
    recorder.fails["systemctl daemon-reload"] = "Job failed."
    with pytest.raises(Refused, match="is in its place again, and does not come up either"):
        upgrade(machine, source, ignored)
    assert current(machine) == ONE


def test_a_folder_that_is_no_tree_is_refused(both: Both, source: Path, tmp_path: Path) -> None:
    machine, recorder = both
    with pytest.raises(Refused, match=r"it has no install/install\.sh"):
        made_of(machine, tmp_path)
    for nonsense in ("", "/etc/passwd"):
        recorder.says["bash"] = nonsense
        with pytest.raises(Refused, match="did not say which release it has made"):
            made_of(machine, source)


def test_a_program_that_runs_from_elsewhere_is_not_upgraded(both: Both) -> None:
    machine, _ = both
    (machine.root / "opt/oose/current").unlink()
    with pytest.raises(Refused, match=r"There is no /opt/oose/current"):
        current(machine)


def test_few_old_versions_stay(both: Both) -> None:
    machine, _ = both
    for age in range(KEPT + 2):
        tree = make_release(machine.root, f"2.0.0-{age}")
        os.utime(tree, (1000 - age, 1000 - age))
    machine.at(layout.RELEASES / "a-file").touch()
    before = PurePosixPath("2.0.0-4")
    said = made(machine, [FewReleases(before)])
    assert said == ["remove the old version /opt/oose/releases/2.0.0-3"]
    left = sorted(path.name for path in machine.at(layout.RELEASES).iterdir())
    assert left == ["2.0.0-0", "2.0.0-1", "2.0.0-2", "2.0.0-4", "3.0.0-one", "a-file"]
    assert made(machine, [FewReleases(before)]) == []


def test_the_program_goes_and_everything_else_stays(both: Both) -> None:
    machine, recorder = both
    said = made(machine, uninstall_steps(machine))
    assert said[:2] == ["stop oose-prism.socket, for good", "stop oose-prism.service, for good"]
    assert said[-3:] == [
        "have systemd read its units again",
        "remove /usr/local/bin/oose",
        "remove /opt/oose",
    ]
    assert recorder.unit("oose-prism.service").active == "inactive"
    left = [name for name, (_, held) in tree_of(machine.root).items() if held or "oose" in name]
    assert left == [
        "etc/fstab",
        "etc/group",
        "etc/oose",
        "etc/oose/prism.py",
        "etc/oose/store",
        "etc/passwd",
        "proc/meminfo",
        "var/lib/oose",
        "var/lib/oose/prism",
    ]
    assert made(machine, uninstall_steps(machine)) == []


def surrounded(machine: Machine) -> None:
    """Install nginx and the firewall as well."""
    machine.at("/etc/ssl").mkdir()
    machine.at("/etc/ssl/media.pem").touch()
    names = {"certificate": "/etc/ssl/media.pem", "server_names": ("oose.example.com",)}
    made(machine, web_plan(machine, names, None, nobody).steps)
    made(machine, host_plan(machine, {}, nobody).steps)


def nobody(file: PurePosixPath) -> list[str]:
    raise AssertionError(f"{file} is of no cluster")


def test_nginx_and_firewall_are_left_to_the_release(both: Both, source: Path) -> None:
    machine, recorder = both
    surrounded(machine)
    recorder.ran.clear()
    upgrade(machine, source, ignored)
    assert recorder.ran[-2:] == [
        f"{TWO}/venv/bin/oose install web",
        f"{TWO}/venv/bin/oose install host",
    ]


def test_where_the_release_cannot_put_nginx_before_it_the_old_one_takes_its_place(
    both: Both, source: Path
) -> None:
    machine, recorder = both
    surrounded(machine)
    recorder.fails[f"{TWO}/venv/bin/oose install web"] = "nginx does not take this"
    with pytest.raises(RolledBack, match="nginx does not take this"):
        upgrade(machine, source, ignored)
    assert current(machine) == ONE
    assert recorder.ran[-2:] == [
        f"{ONE}/venv/bin/oose install web",
        f"{ONE}/venv/bin/oose install host",
    ]


def test_nginx_and_the_machine_go_on_without_the_program(both: Both) -> None:
    machine, recorder = both
    surrounded(machine)
    recorder.ran.clear()
    said = made(machine, uninstall_steps(machine))
    assert "stop oose-firewall.service, for good" in said
    assert "have nginx check its files" in said
    assert "have nginx.service read its files again" in said
    assert recorder.unit("nginx.service").active == "active"
    left = {name for name, (_, held) in tree_of(machine.root).items() if held or "oose" in name}
    assert left >= {"etc/oose/web.py", "etc/oose/host.py"}
    assert not [
        name for name in left if "oose" in name and not name.startswith(("etc/oose", "var/l"))
    ]
    assert not machine.at("/etc/oose/firewall.nft").exists()
    assert made(machine, uninstall_steps(machine)) == []


def test_an_nginx_that_does_not_run_is_not_started(both: Both) -> None:
    machine, recorder = both
    surrounded(machine)
    recorder.unit("nginx.service").active = "inactive"
    recorder.ran.clear()
    made(machine, uninstall_steps(machine))
    assert "systemctl reload nginx.service" not in recorder.ran
    assert recorder.unit("nginx.service").active == "inactive"
