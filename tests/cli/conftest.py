from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.asking import Asking
from tests.process.twistd import Place, started


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A prism and a store in a process of their own."""
    place = Place.make(tmp_path_factory.mktemp("place"))
    with started(place):
        yield place


@pytest.fixture
def oose(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asking:
    """The command with the profile of the first user, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PRISM", "USERNAME", "PASSWORD", "TOKEN", "CA", "PROFILE", "CONFIG"):
        monkeypatch.delenv(f"OOSE_{name}", raising=False)
    monkeypatch.setenv("OOSE_PROFILE", str(place.root / "login.toml"))
    return Asking(CliRunner())
