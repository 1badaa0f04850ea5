"""A file from a prism: verified by its hash before it has its name."""

import hashlib
import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from oose.address import hash_type_of
from oose.cli.connection import understood
from oose.cli.exits import UNAVAILABLE, CommandFailed
from oose.cli.prism import Prism

PIECE = 256 * 1024
Seen = Callable[[int, int], None]


def download(prism: Prism, content_hash: str, out: BinaryIO, seen: Seen) -> int:
    """Write the bytes to `out`; how many. `seen` is told of bytes received, and of all.

    `CommandFailed` when they are not all there or are not what their hash says.
    """
    answer = prism.ask("/content/download", {"hash": content_hash})
    if answer.status != 200:
        understood(answer)
    total = int(answer.headers.get("Content-Length", -1))
    digest = hashlib.new(hash_type_of(content_hash))
    size = 0
    with answer:
        try:
            while data := answer.read(PIECE):
                digest.update(data)
                out.write(data)
                size += len(data)
                seen(len(data), total)
        except (HTTPException, ConnectionError):
            pass  # cut off: the sum below says so
    if size != total:
        raise CommandFailed(f"The download broke off after {size} of {total} bytes", UNAVAILABLE)
    if digest.hexdigest() != content_hash:
        raise CommandFailed(f"The bytes received are not {content_hash}: they were not kept")
    return size


def download_to(prism: Prism, content_hash: str, path: Path, seen: Seen) -> int:
    """Download to `path`, where nothing appears before all of it is there and right."""
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        with draft.open("xb") as out:
            size = download(prism, content_hash, out, seen)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    return size
