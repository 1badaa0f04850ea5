"""A folder is used by one process at a time."""

import os
from pathlib import Path

import pytest

from oose.locks import InUse, lock


def test_a_lock_keeps_others_out_and_says_whose_it_is_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    first = lock(path)
    with pytest.raises(InUse, match=f"{tmp_path} is in use by process {os.getpid()}"):
        lock(path)
    first.release()
    lock(path).release()


def test_a_lock_outlives_a_fork_and_is_signed_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    held = lock(path)
    path.write_text("1234567")
    with pytest.raises(InUse, match="process 1234567:"):
        lock(path)
    held.sign()
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()


def test_a_holder_that_has_not_signed_yet_is_another_process(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    held = lock(path)
    path.write_text("")
    with pytest.raises(InUse, match="in use by another process"):
        lock(path)
    held.release()


def test_a_file_system_that_cannot_lock_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 # names are enough
    with pytest.raises(OSError, match="No locks"):
        lock(tmp_path / "x.lock")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_where_nothing_can_be_written_a_lock_goes_unsigned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", refuse)
    path = tmp_path / "x.lock"
    held = lock(path)
    with pytest.raises(InUse, match="in use by another process"):
        lock(path)
    held.release()


def test_a_lock_lets_its_file_system_be_mounted_read_only(tmp_path: Path) -> None:
    held = lock(tmp_path / "x.lock")
    flags = Path(f"/proc/self/fdinfo/{held._descriptor}").read_text().split()[3]
    assert int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
    held.release()
