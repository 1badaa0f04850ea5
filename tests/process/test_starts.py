"""Starts and stops as operators make them."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

from tests.process.test_crashes import wait_for
from tests.process.twistd import REPOSITORY, TWISTD, Place, started


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run twistd to its end."""
    return subprocess.run(
        [TWISTD, *arguments],
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
    assert f"cannot listen on 127.0.0.1:{place.ports[0]}" in ended.stdout + ended.stderr


def test_a_daemon_writes_its_pid_and_log_and_ends_on_sigterm(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    pidfile, logfile = tmp_path / "oose.pid", tmp_path / "oose.log"
    ended = run(
        f"--pidfile={pidfile}", f"--logfile={logfile}", "oose", "--config", str(place.config())
    )
    assert ended.returncode == 0, ended.stderr
    wait_for(lambda: logfile.exists() and "is ready" in logfile.read_text())
    pid = int(pidfile.read_text())
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not pidfile.exists())
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    assert "Stopped" in logfile.read_text()


def test_debug_shows_parts_by_name(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place, DEBUG="oose:*,-oose:user") as running:
        running.upload(b"hello")
        text = running.stop()
    assert "debug oose:http" in text
    assert "debug oose:user" not in text


def test_json_lines_are_json(tmp_path: Path) -> None:
    place = Place.make(tmp_path, more="log = {'format': 'json'}")
    with started(place) as running:
        assert all(json.loads(line)["part"].startswith("oose:") for line in running.lines)
