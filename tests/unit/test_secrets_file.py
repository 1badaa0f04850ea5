import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from oose.secrets_file import UnreadableSecrets, load_or_make, write_private


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """What is private is so by itself."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_private_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, "p\u00e4ss\n")
    assert path.read_bytes() == "p\u00e4ss\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_takes_the_place_of_one_that_all_could_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_secrets_are_made_once_and_then_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = load_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {kind: each.username for kind, each in made.items()} == {
        "prism": "prism",
        "store": "store",
    }
    assert load_or_make(path) == made


def test_every_room_and_every_machine_has_a_long_secret_of_its_own(tmp_path: Path) -> None:
    made = [load_or_make(tmp_path / f"{n}.json") for n in range(3)]
    passwords = {each.password for rooms in made for each in rooms.values()}
    assert len(passwords) == 6
    assert min(map(len, passwords)) >= 43  # 256 bits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "5",
        "{}",
        '{"prism": {}, "store": {}}',
        '{"prism": "x", "store": "y"}',
        '{"prism": {"username": 1, "password": 2}, "store": {"username": 1, "password": 2}}',
        '{"prism": {"username": "a", "password": ""}, "store": {"username": "a", "password": ""}}',
        '{"prism": {"username": "a", "password": "\\ud800"}, "store": {}}',
    ],
)
def test_a_file_that_holds_something_else_is_refused_and_left_alone(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(text)
    with pytest.raises(UnreadableSecrets, match=f"{path} is not a file of secrets that oose made"):
        load_or_make(path)
    assert path.read_text() == text


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UnreadableSecrets, match="move it away and start again"):
        load_or_make(path)
