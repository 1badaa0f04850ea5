"""A real logrotate rotates nginx's access logs of oose, beside Debian's own configuration."""

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from oose.installing.nginx import rotation

# What Debian's nginx brings, with the folder in the place of /var/log/nginx.
DEBIANS = """
{folder}/*.log {{
    daily
    missingok
    rotate 14
    compress
    delaycompress
    notifempty
    create 0640
    sharedscripts
    postrotate
        true
    endscript
}}
"""


class Rotated:
    """Logs in a folder, and what rotates them."""

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "log"
        self.configuration = folder / "logrotate.d"
        self.state = folder / "state"
        self.told = folder / "told"
        for each in (self.logs, self.configuration):
            each.mkdir(mode=0o755)
        text = rotation.rotation(logs=f"{self.logs}/oose-*.json", largest="1k", kept=3)
        # Nobody is www-data here, and the nginx that is told is a file.
        text = text.replace("create 0640 www-data adm", "create 0640")
        text = text.replace("invoke-rc.d nginx rotate >/dev/null 2>&1", f"echo told >>{self.told}")
        self.write("oose", text)

    def write(self, name: str, text: str) -> None:
        file = self.configuration / name
        file.write_text(text)
        file.chmod(0o644)

    def log(self, name: str, text: str) -> None:
        file = self.logs / name
        file.write_text(text)
        file.chmod(0o640)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["/usr/sbin/logrotate", "-s", str(self.state), *arguments, str(self.configuration)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def names(self) -> list[str]:
        return sorted(each.name for each in self.logs.iterdir())


@pytest.fixture
def rotated(tmp_path: Path) -> Rotated:
    return Rotated(tmp_path)


def test_a_log_that_has_grown_goes_at_once_and_nginx_is_told_once(rotated: Rotated) -> None:
    rotated.log("oose-prism.json", "{}\n" * 1000)
    rotated.log("oose-store1.json", "{}\n" * 1000)
    rotated.log("oose-store2.json", "{}\n")
    rotated.run()
    assert rotated.names() == [
        "oose-prism.json",
        "oose-prism.json.1",
        "oose-store1.json",
        "oose-store1.json.1",
        "oose-store2.json",
    ]
    assert (rotated.logs / "oose-prism.json").read_text() == ""
    assert rotated.told.read_text() == "told\n"


def test_so_many_are_kept_and_all_but_the_last_are_compressed(rotated: Rotated) -> None:
    for number in range(6):
        rotated.log("oose-prism.json", f"{number}\n" * 1000)
        rotated.run()
    assert rotated.names() == [
        "oose-prism.json",
        *(f"oose-prism.json.{e}" for e in ("1", "2.gz", "3.gz")),
    ]
    assert (rotated.logs / "oose-prism.json.1").read_text().startswith("5\n")
    with gzip.open(rotated.logs / "oose-prism.json.3.gz", "rt") as oldest:
        assert oldest.readline() == "3\n"


def test_an_empty_log_and_one_that_is_missing_are_no_error(rotated: Rotated) -> None:
    rotated.run()
    rotated.log("oose-prism.json", "")
    rotated.run("--force")
    assert rotated.names() == ["oose-prism.json"]


def test_no_log_is_also_debians(rotated: Rotated) -> None:
    rotated.write("nginx", DEBIANS.format(folder=rotated.logs))
    rotated.log("access.log", "x\n")
    rotated.log("oose-prism.json", "{}\n")
    said = rotated.run("--debug")
    assert "error" not in said
    assert f"considering log {rotated.logs}/oose-prism.json" in said


def test_logrotate_takes_the_file_as_it_is_installed(tmp_path: Path) -> None:
    file = tmp_path / "oose"
    file.write_text(rotation.rotation())
    file.chmod(0o644)
    command = ["/usr/sbin/logrotate", "--debug", "-s", str(tmp_path / "state"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"rotating pattern: {rotation.LOGS}  after 1 days (14 rotations)" in done.stderr
    assert "error" not in done.stderr


def test_logrotate_looks_every_hour() -> None:
    assert "OnCalendar=\nOnCalendar=hourly\n" in rotation.timer()
    assert str(rotation.ROTATION) in rotation.timer()
    assert str(rotation.TIMER) in rotation.rotation()
