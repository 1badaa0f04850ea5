"""Commands that ask nobody: hash, path."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import click

from oose.address import HASH_TYPES, old_relative_path, relative_path
from oose.cli.arguments import EXTENSION, HASH
from oose.cli.desk import Desk
from oose.cli.exits import CommandFailed


@click.command("hash")
@click.argument("file", metavar="FILE")
@click.option(
    "--type", "kind", type=click.Choice(list(HASH_TYPES)), default="sha1", show_default=True
)
@click.pass_obj
def hash_command(desk: Desk, file: str, kind: str) -> None:
    """Print the hash under which FILE (- is stdin) would be kept."""
    try:
        if file == "-":
            stdin: Any = sys.stdin.buffer
            digest = hashlib.file_digest(stdin, kind).hexdigest()
        else:
            with Path(file).open("rb") as opened:
                digest = hashlib.file_digest(opened, kind).hexdigest()
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}") from None
    desk.result({"hash": digest, "hashType": kind, "file": file}, f"{digest}  {file}")


@click.command("path")
@click.argument("content_hash", metavar="HASH", type=HASH)
@click.option("--ext", type=EXTENSION, default="bin", show_default=True)
@click.option("--old", is_flag=True, help="As version 2.x laid files out.")
@click.pass_obj
def path_command(desk: Desk, content_hash: str, ext: str, *, old: bool) -> None:
    """Print where content lies below a store's `content` folder."""
    path = old_relative_path(content_hash, ext) if old else relative_path(content_hash, ext)
    desk.result({"hash": content_hash, "relativePath": path}, path)
