"""The units, as systemd's own tools judge them."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from oose.engine import DRAIN
from oose.settings import PrismSettings, StoreSettings
from oose.tap import EX_CONFIG
from tests.process.twistd import REPOSITORY

UNITS = REPOSITORY / "install" / "systemd"
PROGRAM = "/opt/oose/current/venv/bin/twistd"
DROP_IN = re.compile(r"```ini\n# /etc/systemd/system/(\S+)\.d/(\S+\.conf):.*\n([^`]+)```")
INSTANCES = ["om101", "om102"]
SERVICES = ["oose-prism.service", "oose-store@.service"]
NAMES = [*SERVICES, "oose-prism.socket", "oose-store@.socket"]
WORST = 30  # tenths: 3.0


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with a program that exists here, and instances of each template."""
    program = tmp_path / "twistd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in UNITS.iterdir():
        text = path.read_text().replace(PROGRAM, str(program))
        (tmp_path / path.name).write_text(text)
        for instance in INSTANCES:
            (tmp_path / path.name.replace("@.", f"@{instance}.")).write_text(text)
    return tmp_path


def analyze(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        cwd=folder,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def sections(name: str) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """A unit's settings, each with its values in order."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


def test_these_are_the_units() -> None:
    assert sorted(path.name for path in UNITS.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_verified_without_a_word(installed: Path, name: str) -> None:
    judged = analyze(installed, "verify", "--man=no", f"./{name.replace('@.', '@om101.')}")
    assert (judged.returncode, judged.stderr) == (0, "")


def test_the_drop_ins_of_the_document_are_understood(installed: Path) -> None:
    document = (REPOSITORY / "docs" / "operations" / "systemd.md").read_text()
    changed = set()
    for name, file, text in DROP_IN.findall(document):
        folder = installed / f"{name}.d"
        folder.mkdir()
        (folder / file).write_text(text)
        judged = analyze(installed, "verify", "--man=no", f"./{name}")
        assert (judged.returncode, judged.stderr) == (0, "")
        (folder / file).write_text(f"{text}Nonsense=1\n")
        judged = analyze(installed, "verify", "--man=no", f"./{name}")
        assert "Nonsense" in judged.stderr  # so it is looked at
        (folder / file).write_text(text)
        changed.add(name)
    assert changed == {"oose-store@om102.socket", "oose-store@om102.service"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_exposed_to_little(installed: Path, name: str) -> None:
    judged = analyze(installed, "security", "--offline=true", f"--threshold={WORST}", f"./{name}")
    assert judged.returncode == 0, judged.stdout
    assert float(re.findall(r"Overall exposure level .*: ([\d.]+) ", judged.stdout)[0]) <= 3.0


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_the_time_and_statuses_that_oose_has(name: str) -> None:
    service = sections(name)["Service"]
    [stop] = service["TimeoutStopSec"]
    assert float(stop) > DRAIN
    assert service["RestartPreventExitStatus"] == [str(EX_CONFIG)]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("oose-prism", PrismSettings()), ("oose-store@", StoreSettings(Path("/none")))],
)
def test_a_socket_is_where_the_room_listens_by_default(
    name: str, settings: PrismSettings | StoreSettings
) -> None:
    socket = sections(f"{name}.socket")["Socket"]
    assert socket["ListenStream"] == [f"{settings.listen}:{settings.port}"]


def test_the_services_differ_in_what_they_are_only() -> None:
    prism, store = (sections(name)["Service"] for name in SERVICES)
    differs = {key for key in {*prism, *store} if prism.get(key) != store.get(key)}
    assert differs == {
        "ExecStart",
        "MemoryMax",
        "ReadWritePaths",
        "StateDirectory",
        "SyslogIdentifier",
        "WorkingDirectory",
    }
