"""The firewall's unit before the real systemd-analyze, and its commands before a real kernel."""

import re
import subprocess
from pathlib import Path

import pytest

from oose.installing.host.firewall import Doors, rules
from oose.installing.host.firewall_unit import UNIT, unit
from tests.process.lan import lan


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / UNIT.name
    file.write_text(unit())
    return file


def analyzed(*arguments: str) -> str:
    command = ["systemd-analyze", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_systemd_understands_all_of_it(file: Path) -> None:
    assert analyzed("verify", str(file)) == ""


def test_it_may_do_no_more_than_it_has_to(file: Path) -> None:
    said = analyzed("security", "--offline=true", "--no-pager", str(file))
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert level is not None
    assert float(level[1]) <= 3.0


def test_what_it_runs_loads_the_rules_and_takes_them_away(tmp_path: Path) -> None:
    path = tmp_path / "firewall.nft"
    path.write_text(rules(Doors((22,), (443,), ()), (), own=tmp_path / "own"))
    commands = dict(re.findall(r"^(Exec\w+)=(.*)$", unit(path), re.MULTILINE))
    with lan([443]) as machines:
        run = machines.server.run
        for name in ("ExecStart", "ExecReload"):
            run(*commands[name].split())
            assert "chain input" in run("nft", "list", "table", "inet", "oose")
        run(*commands["ExecStop"].split())
        assert run("nft", "list", "ruleset") == ""
