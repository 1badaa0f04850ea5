"""A file from a prism: verified by its hash before it has its name."""

import hashlib
import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from oose.address import hash_type_of
from oose.cli.connection import NO_PRISM, understood
from oose.cli.exits import UNAVAILABLE, CommandFailed
from oose.cli.prism import Prism

PIECE = 256 * 1024
Seen = Callable[[int, int | None], None]


def download(prism: Prism, content_hash: str, out: BinaryIO, seen: Seen) -> int:
    """Write the bytes to `out`; how many. `seen` is told of bytes received, and of all if known.

    `CommandFailed` when they are not all there or are not what their hash says.
    """
    answer = prism.ask("/content/download", {"hash": content_hash})
    if answer.status != 200:
        understood(answer)
        raise CommandFailed(NO_PRISM, UNAVAILABLE)
    total = answer.length
    digest = hashlib.new(hash_type_of(content_hash))
    size = 0
    with answer:
        while True:
            try:
                data = answer.read(PIECE)
            except (HTTPException, OSError) as error:
                words = str(error) or type(error).__name__
                raise CommandFailed(
                    f"The download broke off after {size} bytes: {words}", UNAVAILABLE
                ) from None
            if not data:
                break
            digest.update(data)
            out.write(data)
            size += len(data)
            seen(len(data), total)
    if total is not None and size != total:
        raise CommandFailed(f"The download broke off after {size} of {total} bytes", UNAVAILABLE)
    if digest.hexdigest() != content_hash:
        raise CommandFailed(f"The bytes received are not {content_hash}: they are of no use")
    return size


def download_to(prism: Prism, content_hash: str, path: Path, seen: Seen) -> int:
    """Download to `path`, where nothing appears before all of it is there and right."""
    try:
        if path.exists() and not path.is_file():  # a pipe or device: written to, not replaced
            with path.open("wb") as out:
                return download(prism, content_hash, out, seen)
        return _download_beside(prism, content_hash, path, seen)
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None


def _download_beside(prism: Prism, content_hash: str, path: Path, seen: Seen) -> int:
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    with draft.open("xb") as out:
        try:
            size = download(prism, content_hash, out, seen)
            out.flush()
            os.fsync(out.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    return size
