"""Faults of a disk, made by letting calls of the operating system fail."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def fail(
    monkeypatch: pytest.MonkeyPatch, call: str, code: int, on: str = "", times: int = -1
) -> None:
    """Let `os.<call>` fail with the error `code` where its path contains `on`.

    `times` tells how often; always unless it is given.
    """
    real = getattr(os, call)
    left = times

    def failing(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if left and on in place(args):
            left -= 1
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, failing)


def fail_reading(monkeypatch: pytest.MonkeyPatch, code: int, on: str = "", times: int = -1) -> None:
    """Let reading where something was asked for fail, whether it may wait for the disk or not."""
    for call in ("preadv", "pread"):
        fail(monkeypatch, call, code, on, times)


def before(monkeypatch: pytest.MonkeyPatch, call: str, what: Callable[[], object]) -> None:
    """Do `what` just before `os.<call>` is made the next time: what another thread may do."""
    real = getattr(os, call)

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(os, call, real)
        what()
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, interrupted)


def place(args: tuple[Any, ...]) -> str:
    """The paths that a call is about; a descriptor's is the one it was opened by."""
    first, *more = args
    if isinstance(first, int):
        return str(Path(f"/proc/self/fd/{first}").readlink())
    return " ".join(str(each) for each in (first, *more) if isinstance(each, str | os.PathLike))


def descriptors(below: str) -> int:
    """How many descriptors of this process are open on files whose path contains `below`."""
    count = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 # names are all there is
        try:
            count += below in str(Path(f"/proc/self/fd/{name}").readlink())
        except FileNotFoundError:
            continue  # that of the listing itself
    return count
