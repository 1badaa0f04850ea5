"""Which files a command line means, and what becomes of those that cannot be read."""

import io
import os
import socket
from pathlib import Path

import pytest

from oose.cli.sources import Source, size_of, sources, unreadable


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*paths: str) -> list[str]:
    return [each.shown for each in sources(paths)]


def test_only_a_dash_alone_is_stdin(here: Path) -> None:
    (here / "-").write_bytes(b"a file called dash")
    [stdin, file] = sources(("-", "./-"))
    assert stdin == Source("stdin", None)
    with file.open() as opened:
        assert opened.read() == b"a file called dash"
    [within] = sources((".",))
    assert within.path == Path("-")


def test_a_folder_means_the_files_in_it_by_name(here: Path) -> None:
    for name in ("f/b.txt", "f/a/z.txt", "f/c/y.txt", "f/a.txt"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(b"")
    (here / "empty").mkdir()
    assert names("f", "empty") == ["f/a.txt", "f/b.txt", "f/a/z.txt", "f/c/y.txt"]


def test_what_is_left_out_of_a_folder_is_said_but_a_broken_link_is_not_left_out(here: Path) -> None:
    (here / "f").mkdir()
    (here / "f" / "file").write_bytes(b"")
    (here / "secret").write_bytes(b"")
    os.mkfifo(here / "f" / "pipe")
    (here / "f" / "link").symlink_to("nowhere")
    (here / "f" / "loop").symlink_to("..")
    (here / "f" / "out").symlink_to("../secret")
    (here / "f" / "same").symlink_to("file")
    (here / "other").symlink_to("f")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("f/socket")
        found = {each.shown: each for each in sources(("other",))}
    assert {shown: each.left_out for shown, each in found.items()} == {
        "other/file": None,
        "other/link": None,
        "other/loop": "a link to a folder, which is not followed",
        "other/out": "a link out of the folder, which is not followed",
        "other/pipe": "neither a file nor a folder",
        "other/same": None,
        "other/socket": "neither a file nor a folder",
    }
    with pytest.raises(FileNotFoundError):
        found["other/link"].open()


def test_a_folder_that_cannot_be_listed_is_among_the_files(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("f/a/x.txt", "f/b/y.txt", "f/c/z.txt"):
        (here / name).parent.mkdir(parents=True)
        (here / name).write_bytes(b"")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path in {"f/a", "f/c"}:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = list(sources(("f",)))
    assert [(each.shown, each.problem) for each in found] == [
        ("f/b/y.txt", None),
        ("f/a", "Permission denied"),
        ("f/c", "Permission denied"),
    ]
    with pytest.raises(OSError, match="Permission denied"):
        found[1].open()


def test_an_error_keeps_the_systems_words() -> None:
    assert unreadable(OSError(5, "Input/output error", "f")).problem == "Input/output error"


def test_only_a_plain_file_has_a_size_before_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"hello")
    with path.open("rb") as file:
        assert size_of(file) == 5
        file.read(2)
        assert size_of(file) == 3
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert size_of(pipe) is None
    assert size_of(io.BytesIO(b"hello")) is None
