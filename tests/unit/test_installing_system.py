import os
import sys
import time
from pathlib import Path, PurePosixPath

import pytest

from oose.installing import layout
from oose.installing.machine import Machine, now
from oose.installing.runner import Commands, NotYet, Refused
from oose.installing.system import Packages, Reloaded, Service, Units, User, has_socket, template_of
from tests.unit.installed import Recorder, machine_in, made

PLACE = PurePosixPath("/etc/oose/prism.py")


@pytest.fixture
def both(tmp_path: Path) -> tuple[Machine, Recorder]:
    return machine_in(tmp_path)


def up(recorder: Recorder, unit: str = "a.service") -> None:
    recorder.unit(unit).enabled = True
    recorder.unit(unit).active = "active"
    recorder.unit(unit).since = time.monotonic()


def test_only_packages_that_are_missing_are_installed(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    recorder.packages.add("nginx-light")
    step = Packages(("nginx-light", "xfsprogs"))
    assert made(machine, [step]) == ["install from Debian: xfsprogs"]
    assert recorder.changing[-1].split()[-1] == "xfsprogs"
    assert "--no-install-recommends" in recorder.changing[-1]
    assert made(machine, [step]) == []


def test_the_user_is_made_once(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    assert made(machine, [User()]) == ["make the user and the group oose"]
    (command,) = recorder.ran
    assert command == (
        "useradd --system --user-group --no-create-home --home-dir=/var/lib/oose"
        " --shell=/usr/sbin/nologin oose"
    )
    assert made(machine, [User()]) == []


def test_units_of_the_release_are_copied_and_made_known(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    said = made(machine, [Units()])
    assert said[:2] == [
        "write /etc/systemd/system/oose-prism.service (root:root 0644)",
        "write /etc/systemd/system/oose-prism.socket (root:root 0644)",
    ]
    assert said[-1] == "have systemd read its units again"
    assert recorder.ran == ["systemctl daemon-reload"]
    assert made(machine, [Units()]) == []
    assert made(machine, [Reloaded()]) == []


def test_which_file_a_unit_is_of() -> None:
    assert template_of("oose-store@om101.service") == "oose-store@.service"
    assert template_of("oose-prism.socket") == "oose-prism.socket"


def test_a_release_may_have_no_sockets(tmp_path: Path) -> None:
    assert not has_socket(tmp_path, "oose-prism")


def test_a_service_is_enabled_started_and_then_left_alone(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    step = Service("a.service")
    assert made(machine, [step]) == ["have a.service started with the machine", "start a.service"]
    assert recorder.ran == [
        "systemctl enable a.service",
        "systemctl reset-failed a.service",
        "systemctl start a.service",
        "systemctl is-active --quiet a.service",
    ]
    assert made(machine, [step]) == []


def test_a_service_runs_again_when_its_file_is_newer_than_it_is(
    both: tuple[Machine, Recorder],
) -> None:
    machine, recorder = both
    up(recorder)
    step = Service("a.service", (PLACE, layout.CURRENT))
    os.utime(machine.root / "opt/oose/current", (1, 1), follow_symlinks=False)
    assert made(machine, [step]) == []
    file = machine.at(PLACE)
    file.parent.mkdir()
    file.touch()
    os.utime(file, (time.time() - 60, time.time() - 60))
    assert made(machine, [step]) == []
    os.utime(file, (time.time() + 5, time.time() + 5))
    assert made(machine, [step]) == ["start a.service again"]
    os.utime(file, (1, 1))
    recorder.unit("a.service").since = 0.0
    machine.touched.add(str(PLACE))
    assert [change.said for change in step.changes(machine)] == ["start a.service again"]


def test_a_service_runs_again_when_the_program_was_switched(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    up(recorder)
    link = machine.root / "opt/oose/current"
    os.utime(link, (time.time() + 5, time.time() + 5), follow_symlinks=False)
    assert made(machine, [Service("a.service", (layout.CURRENT,))]) == ["start a.service again"]


def test_units_that_somebody_changed_are_read_again_first(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    up(recorder)
    recorder.unit("a.service").needs_reload = True
    assert made(machine, [Service("a.service")]) == ["have systemd read its units again"]


def test_a_socket_is_opened_while_its_service_does_not_run(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    made(machine, [Service("oose-store@om101.socket")])
    assert recorder.ran[1:] == [
        "systemctl stop oose-store@om101.service",
        "systemctl reset-failed oose-store@om101.socket",
        "systemctl start oose-store@om101.socket",
        "systemctl is-active --quiet oose-store@om101.socket",
    ]


def test_a_service_that_does_not_come_up_is_said(both: tuple[Machine, Recorder]) -> None:
    machine, recorder = both
    recorder.fails["systemctl start"] = "Job failed."
    with pytest.raises(Refused, match=r"a\.service does not become ready; see journalctl") as found:
        made(machine, [Service("a.service")])
    assert "Job failed." in str(found.value)


def test_commands_are_run_and_say_what_they_printed(tmp_path: Path) -> None:
    machine = Machine(Commands(), tmp_path)
    assert machine.run("sh", "-c", "echo $DEBIAN_FRONTEND; exit 3", accept=(0, 3)).out == (
        "noninteractive\n"
    )
    assert machine.run("sh", "-c", "exit 3", accept=(3,)).code == 3
    assert machine.name
    assert abs(now().timestamp() - time.time()) < 60


def test_a_command_that_fails_is_told_of_with_its_last_words() -> None:
    script = "import sys; sys.stderr.write('x\\n' * 40 + 'the reason\\n'); sys.exit(2)"
    with pytest.raises(Refused) as found:
        Commands().run([sys.executable, "-c", script])
    lines = str(found.value).splitlines()
    assert lines[0].endswith("ended with 2")
    assert lines[-1] == "  the reason"
    assert len(lines) == 13
    with pytest.raises(Refused, match=r"ended with 1\n  on stdout"):
        Commands().run(["sh", "-c", "echo on stdout; exit 1"])


def test_a_command_that_is_not_there_is_told_of() -> None:
    with pytest.raises(Refused, match="`no-such-command -x` cannot be run: No such file"):
        Commands().run(["no-such-command", "-x"])


def test_a_service_that_waits_itself_is_not_waited_for_without_end(
    both: tuple[Machine, Recorder],
) -> None:
    machine, recorder = both
    recorder.hangs.add("systemctl start oose-prism.service")
    recorder.unit("oose-prism.service").status = "Waiting for CouchDB"
    with pytest.raises(NotYet, match=r"not ready after 120 s\. It says: Waiting for CouchDB\n"):
        made(machine, [Service("oose-prism.service")])
    recorder.unit("oose-prism.service").status = ""
    with pytest.raises(NotYet, match=r"It says: nothing\nIt goes on trying; see journalctl -u"):
        made(machine, [Service("oose-prism.service")])


def test_a_command_that_does_not_end_in_time_is_ended() -> None:
    with pytest.raises(NotYet, match=r"`sleep 1000` has not ended after 0\.01 s"):
        Commands().run(["sleep", "1000"], patience=0.01)
