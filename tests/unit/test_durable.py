import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oose.durable import (
    draft_prefix,
    make_folders,
    publish,
    sync_file_system,
    sync_folder,
    unpublish,
    write_all,
    write_whole,
)
from tests.unit.faults import before, descriptors, fail

IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of what is synced from now on."""
    seen: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


# write_all


@IN_ONE_FOLDER
@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 50))
@example([b"", b"a", b""], 1)
def test_every_byte_is_written_once_and_in_order(
    tmp_path: Path, chunks: list[bytes], most: int
) -> None:
    """However little of it the system takes at a time."""

    def writev(descriptor: int, buffers: list[bytes | memoryview]) -> int:
        return os.write(descriptor, b"".join(buffers)[:most])

    path = tmp_path / "file"
    with pytest.MonkeyPatch.context() as monkeypatch, path.open("wb") as file:
        monkeypatch.setattr(os, "writev", writev)
        write_all(file.fileno(), chunks, sum(map(len, chunks)))
    assert path.read_bytes() == b"".join(chunks)


@pytest.mark.parametrize("chunks", [[b"x"] * 5000, [b""] * 5000 + [b"end"]])
def test_more_chunks_than_the_system_takes_at_once_are_written(
    tmp_path: Path, chunks: list[bytes]
) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        write_all(file.fileno(), chunks, sum(map(len, chunks)))
    assert path.read_bytes() == b"".join(chunks)


def test_what_is_written_goes_to_the_end_of_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        write_all(file.fileno(), [b"one "], 4)
        write_all(file.fileno(), [b"two"], 3)
    assert path.read_bytes() == b"one two"


# publish and unpublish


def test_a_published_file_is_the_same_file_under_two_names(tmp_path: Path) -> None:
    source, final = tmp_path / "source", tmp_path / "final"
    source.write_bytes(b"new")
    publish(source, final)
    assert final.samefile(source)
    assert names(tmp_path) == ["final", "source"]


def test_a_published_file_replaces_what_is_there(tmp_path: Path) -> None:
    source, final = tmp_path / "source", tmp_path / "final"
    source.write_bytes(b"new")
    final.write_bytes(b"old")
    with final.open("rb") as reader:
        publish(source, final)
        assert reader.read() == b"old"  # who reads the old one reads it to its end
    assert final.samefile(source)
    assert names(tmp_path) == ["final", "source"]


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    source, final = tmp_path / "source", tmp_path / "final"
    source.write_bytes(b"new")
    publish(source, final)
    publish(source, final)
    assert final.samefile(source)
    assert names(tmp_path) == ["final", "source"]


def test_a_file_that_cannot_be_replaced_leaves_no_third_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, final = tmp_path / "source", tmp_path / "final"
    source.write_bytes(b"new")
    final.write_bytes(b"old")
    fail(monkeypatch, "replace", errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        publish(source, final)
    assert names(tmp_path) == ["final", "source"]
    assert final.read_bytes() == b"old"


def test_an_unpublished_file_is_gone_and_its_folder_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, final = tmp_path / "source", tmp_path / "final"
    source.write_bytes(b"new")
    publish(source, final)
    seen = synced(monkeypatch)
    unpublish(final, source)
    assert names(tmp_path) == ["source"]
    assert seen == [str(tmp_path)]


def test_another_file_under_the_final_name_stays(tmp_path: Path) -> None:
    source, final = tmp_path / "source", tmp_path / "final"
    source.write_bytes(b"same bytes")
    final.write_bytes(b"same bytes")
    unpublish(final, source)
    assert names(tmp_path) == ["final", "source"]


def test_unpublishing_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"new")
    unpublish(tmp_path / "final", source)
    assert names(tmp_path) == ["source"]


# sync_file_system


def test_a_file_system_that_cannot_be_synced_says_why() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_file_system(-1)


# make_folders


def test_folders_are_made_down_to_the_last(tmp_path: Path) -> None:
    make_folders(tmp_path / "a0" / "3f", tmp_path)
    make_folders(tmp_path / "a0" / "3f", tmp_path)
    assert (tmp_path / "a0" / "3f").is_dir()


def test_folders_are_not_made_above_where_to_stop(tmp_path: Path) -> None:
    """A disk that is not mounted is not made up of folders."""
    with pytest.raises(FileNotFoundError):
        make_folders(tmp_path / "gone" / "a0" / "3f", tmp_path / "gone")
    assert names(tmp_path) == []


def test_two_threads_can_make_the_same_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a0" / "3f"

    def other_thread() -> None:
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)

    before(monkeypatch, "chmod", other_thread)  # when a0 is made and 3f is not yet
    make_folders(folder, tmp_path)
    assert folder.is_dir()


# sync_folder


def test_a_folder_that_cannot_be_synced_is_closed_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        sync_folder(tmp_path)
    assert descriptors(str(tmp_path)) == 0


def test_a_file_is_no_folder_to_sync(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")


# write_whole


def test_a_small_file_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "who.json"
    seen = synced(monkeypatch)
    before(monkeypatch, "fsync", lambda: seen.append(f"visible: {path.exists()}"))
    write_whole(path, "a ☃")
    assert path.read_text("utf-8") == "a ☃"
    visible, draft, folder = seen
    assert visible == "visible: False"
    assert draft.startswith(str(tmp_path / draft_prefix(path)))
    assert folder == str(tmp_path)


@pytest.mark.parametrize(
    ("call", "code"), [("fsync", errno.ENOSPC), ("replace", errno.EIO), ("fsync", errno.EIO)]
)
def test_a_small_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    path = tmp_path / "who.json"
    path.write_text("old")
    fail(monkeypatch, call, code)
    with pytest.raises(OSError, match=os.strerror(code)):
        write_whole(path, "new")
    assert names(tmp_path) == ["who.json"]
    assert path.read_text() == "old"


def test_a_small_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "who.json"
    path.write_text("old and longer")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["who.json"]
