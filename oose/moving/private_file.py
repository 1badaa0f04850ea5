"""A file that only its owner can read, and that is there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from oose.durable import draft_prefix, sync_folder

MODE = 0o600


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Write it; it gets its name, also over what has it, when all of it is durable.

    An error of the system is one with `path`: nobody knows its draft.
    """
    draft = path.with_name(f"{draft_prefix(path)}{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        if str(error.filename) != str(draft):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    sync_folder(path.parent)
