"""The published Node.js client, which existing applications use, drives a running prism."""

import subprocess
import tomllib
from pathlib import Path

from tests.process.twistd import REPOSITORY, Place, started

SDK = REPOSITORY / "tests" / "conformance" / "sdk.js"


def test_the_nodejs_client_finds_everything_as_the_contract_says(tmp_path: Path) -> None:
    place = Place.make(tmp_path, more="ssl = {'pem': 'auto'}\nretrieve = {'allow_private': True}")
    with started(place):
        profile = tomllib.loads((place.root / "login.toml").read_text())
        film = tmp_path / "large.txt"  # a film could not be delivered without a purchase
        film.write_bytes(bytes(range(256)) * 40_000)
        arguments = ["--prism", f"127.0.0.1:{place.ports[0]}", "--file", str(film)]
        arguments += ["--user", profile["username"], "--password", profile["password"]]
        run = subprocess.run(
            ["node", SDK, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert run.returncode == 0, run.stdout
    assert "FAIL" not in run.stdout
    assert ", 0 failed" in run.stdout
