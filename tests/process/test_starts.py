"""Starts and stops as operators make them."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.ports import free_port
from tests.process.test_crashes import wait_for
from tests.process.twistd import REPOSITORY, TWISTD, Place, started


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run twistd to its end."""
    return run_command([TWISTD, *arguments], **environment)


def run_command(command: Sequence[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_first_start_says_where_it_listens_and_how_to_upload(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place) as running:
        text = "\n".join(running.lines)
        assert f"http://127.0.0.1:{place.ports[0]}" in text
        assert "upload FILE" in text
        assert str(place.root / "login.toml") in text
        assert len(running.lines) < 12
        assert "Stopped" in running.stop()
        # twistd ends itself by the signal that stopped it, which systemd counts as a clean end.
        assert running.process.returncode == -signal.SIGTERM
    with started(place) as running:
        assert "upload FILE" not in "\n".join(running.lines)


def test_a_bad_configuration_opens_no_port(tmp_path: Path) -> None:
    place = Place.make(tmp_path, more="prisn = {}\nlog = {'level': 'loud'}")
    ended = run("-n", "--pidfile=", "oose", "--config", str(place.config()))
    assert ended.returncode == 78
    assert "prisn" in ended.stderr
    assert "did you mean prism?" in ended.stderr
    assert "log.level" in ended.stderr
    assert not place.root.exists()
    assert "Traceback" not in ended.stderr


def test_an_option_that_is_none_is_answered_with_those_that_are(tmp_path: Path) -> None:
    ended = run("-n", "--pidfile=", "oose", "--colour")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "Usage: twistd [options] oose [--config FILE]",
        "oose: option --colour not recognized",
    ]


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.py"
    ended = run("-n", "--pidfile=", "oose", OOSE_CONFIG=str(missing))
    assert ended.returncode == 78
    assert str(missing) in ended.stderr


def test_a_port_in_use_ends_the_start_with_a_message(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with socket.create_server(("127.0.0.1", place.ports[0])):
        ended = run(*place.command()[1:])
    assert ended.returncode == 1
    said = f"Cannot start: prism1 cannot listen on 127.0.0.1:{place.ports[0]}: "
    assert ended.stderr.startswith(said)
    assert len((ended.stdout + ended.stderr).splitlines()) == 1


def test_a_daemon_that_cannot_start_says_so_before_it_leaves_the_terminal(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    pidfile, logfile = tmp_path / "oose.pid", tmp_path / "oose.log"
    arguments = [f"--pidfile={pidfile}", f"--logfile={logfile}", "oose"]
    with socket.create_server(("127.0.0.1", place.ports[0])):
        ended = run(*arguments, "--config", str(place.config()))
    assert ended.returncode == 1
    assert "Cannot start: prism1 cannot listen on" in ended.stderr
    assert not pidfile.exists()


def test_a_second_process_on_the_same_root_does_not_touch_it(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place) as running:
        second = Place(tmp_path, (free_port(), free_port()))
        ended = run(*second.command()[1:])
        pid = running.process.pid
        assert ended.returncode == 1
        assert f"Cannot start: {place.root} is in use by process {pid}: " in ended.stderr
        command = [str(Path(TWISTD).with_name("oose")), "user", "list"]
        users = run_command(command, OOSE_CONFIG=str(second.folder / "config.py"))
        assert (users.returncode, users.stderr) == (0, "")
        assert running.upload(b"hello")[0] == 200
    assert (place.root / "oose.lock").read_text() == f"{pid}\n"
    with started(place):
        pass  # the lock has ended with its process


def test_a_daemon_writes_its_pid_and_log_and_ends_on_sigterm(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    pidfile, logfile = tmp_path / "oose.pid", tmp_path / "oose.log"
    ended = run(
        f"--pidfile={pidfile}", f"--logfile={logfile}", "oose", "--config", str(place.config())
    )
    assert ended.returncode == 0, ended.stderr
    wait_for(lambda: logfile.exists() and "is ready" in logfile.read_text())
    pid = int(pidfile.read_text())
    assert (place.root / "oose.lock").read_text() == f"{pid}\n"
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not pidfile.exists())
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    assert "Stopped" in logfile.read_text()


def test_debug_shows_parts_by_name(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place, DEBUG="oose:*,-oose:user") as running:
        _, answer = running.upload(b"hello")
        content_hash = answer["files"]["file"]["hash"]
        asked = {"hash": content_hash, "ext": "txt", "referrer": "*"}
        token = running.post("/content/purchase", asked)["token"]
        assert running.ask("GET", f"/{token}/a.txt")[0] == 302
        assert running.ask("GET", f"/play/{token}/a.txt", port=place.ports[1])[0] == 200
        text = "\n".join(running.lines) + running.stop()
    for shown in (
        "debug oose:http",
        "POST /content/upload from 127.0.0.1: 200, ",
        "debug oose:upload",
        f"{content_hash}: 5 bytes, 1 of 1 clones",
        "debug oose:store",
        "debug oose:existence",
        "debug oose:viewing",
        "debug oose:delivery",
    ):
        assert shown in text
    assert token not in text
    assert "debug oose:user" not in text


def test_json_lines_are_json(tmp_path: Path) -> None:
    place = Place.make(tmp_path, more="log = {'format': 'json'}")
    with started(place) as running:
        assert all(json.loads(line)["part"].startswith("oose:") for line in running.lines)


def test_a_second_signal_is_told_that_it_stops_already(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place) as running, socket.create_connection(("127.0.0.1", place.ports[0])) as held:
        head = f"POST /content/upload HTTP/1.1\r\nHost: x\r\nX-OOSE-Token: {running.token}\r\n"
        kind = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n"
        held.sendall((head + kind).encode() + b"--b\r\n")
        running.process.send_signal(signal.SIGTERM)

        def refuses() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", place.ports[0])) != 0

        wait_for(refuses)
        running.process.send_signal(signal.SIGTERM)
        assert any("Stopping already" in line for line in running.output.lines())
        held.close()
        text = running.ended()
    assert "Stopped" in text
    assert "Traceback" not in text
    assert running.process.returncode == -signal.SIGTERM
