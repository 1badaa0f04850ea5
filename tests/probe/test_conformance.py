"""The published Node.js client at either prism, and at one and then the other."""

import subprocess
from pathlib import Path

import pytest

from install.cluster.cluster import USER
from tests.probe.running import Running
from tests.process.test_conformance import SDK


@pytest.mark.parametrize(
    ("first", "second"),
    [("prism1", "prism1"), ("prism2", "prism2"), ("prism1", "prism2"), ("prism2", "prism1")],
)
def test_the_nodejs_client_finds_everything_as_the_contract_says(
    running: Running, tmp_path: Path, first: str, second: str
) -> None:
    running.settled(first)
    cluster = running.cluster
    password = (cluster.folder / "user-password").read_text().strip()
    where = {name: "{}:{}".format(*cluster.ports.of(name)) for name in (first, second)}
    film = tmp_path / "large.txt"
    film.write_bytes(f"{first}{second}".encode() * 300_000)
    arguments = ["--prism", where[first], "--then", where[second], "--copies", "2"]
    arguments += ["--user", USER, "--password", password, "--file", str(film)]
    run = subprocess.run(
        ["node", SDK, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout
    assert ", 0 failed" in run.stdout
