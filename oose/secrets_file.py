"""The secrets that one machine makes for itself once, in files only their owner can read."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from oose.credentials import Credentials

FILE_NAME = "secrets.json"  # below the configuration's `root`


class UnreadableSecrets(Exception):
    """The file of secrets is there, but is not one; the message says which file and what to do."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise


def load_or_make(path: Path) -> Mapping[str, Credentials]:
    """The credentials of this machine's `prism` and `store`s, made where there are none yet."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        return {
            kind: Credentials(as_text(kept[kind]["username"]), as_text(kept[kind]["password"]))
            for kind in ("prism", "store")
        }
    except FileNotFoundError:
        made = {
            kind: {"username": kind, "password": secrets.token_urlsafe(32)}
            for kind in ("prism", "store")
        }
        write_private(path, json.dumps(made, indent=2) + "\n")
        return load_or_make(path)
    except (ValueError, KeyError, TypeError):
        raise UnreadableSecrets(
            f"{path} is not a file of secrets that oose made; move it away and start again"
        ) from None


def as_text(value: object) -> str:
    """What has to be text of one line, not empty; `TypeError`."""
    if isinstance(value, str) and value and value.isprintable():
        return value
    raise TypeError(value)
