"""Blocking steps on files that survive a crash: whole or not at all, and synced."""

import ctypes
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

FILE_MODE = 0o644  # nginx, rsync and people may read
FOLDER_MODE = 0o755

_libc = ctypes.CDLL(None, use_errno=True)


def write_all(descriptor: int, chunks: Sequence[bytes], size: int) -> None:
    """Write every chunk at the file's end, without joining them."""
    rest: list[bytes | memoryview] = [chunk for chunk in chunks if chunk]
    while size:
        written = os.writev(descriptor, rest[:1024])
        size -= written
        while written and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = memoryview(rest[0])[written:]


def publish(source: Path | str, final: Path | str, *, over: bool = True) -> None:
    """Let `final` be the file `source`, atomically, also `over` what is there.

    `FileExistsError` where that is not wanted.
    """
    try:
        os.link(source, final)
    except FileExistsError:
        if not over:
            raise
        second = Path(source).with_name(secrets.token_hex(12))
        second.hardlink_to(source)
        try:
            second.replace(final)
        finally:
            second.unlink(missing_ok=True)


def unpublish(final: Path, source: Path) -> None:
    """Take `final` away where it is the file `source`."""
    with suppress(FileNotFoundError):
        if final.samefile(source):
            final.unlink()
            sync_folder(final.parent)


def make_folders(folder: Path, stop: Path) -> None:
    """Make `folder` below the existing `stop`; their names are not durable yet."""
    try:
        folder.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        return
    except FileNotFoundError:
        if folder.parent == stop:
            raise
        make_folders(folder.parent, stop)
        with suppress(FileExistsError):  # another thread was faster
            folder.mkdir(mode=FOLDER_MODE)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(descriptor: int) -> None:
    """Make everything on the file system of an open file or folder durable: syncfs(2)."""
    if _libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that a crash leaves it whole or not there."""
    draft = path.with_name(f"{draft_prefix(path)}{secrets.token_hex(4)}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def draft_prefix(path: Path) -> str:
    """How the names begin of what a crash may leave beside `path`."""
    return f".{path.name}."


SYNCS_FILE_SYSTEMS = _kernel() >= (5, 8)  # before, syncfs did not tell of failed writes
