"""Content that a command is about: hashes on the command line, and those in a file."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from oose.address import parse_hash
from oose.cli.exits import USAGE, CommandFailed
from oose.errors import BadInput

STDIN = "-"
FROM = click.option(
    "--from",
    "source",
    metavar="FILE",
    help="Also what FILE (- is stdin) has: a hash a line; what follows it there does not matter.",
)


def asked_for(hashes: Sequence[str], source: str | None) -> Sequence[str]:
    """All that is meant, each once; `CommandFailed` where nothing is, or a line is no hash."""
    found = dict.fromkeys(hashes)
    if source == STDIN:
        found.update(dict.fromkeys(lines_of("stdin", sys.stdin)))
    elif source is not None:
        with Path(source).open(encoding="utf-8", errors="replace") as file:
            found.update(dict.fromkeys(lines_of(source, file)))
    if not found:
        raise CommandFailed("No hash is given", USAGE)
    return list(found)


def lines_of(source: str, lines: Iterable[str]) -> Iterable[str]:
    """The hashes at the beginning of lines."""
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words:
            try:
                yield parse_hash(words[0])
            except BadInput as error:
                raise CommandFailed(f"{source}, line {number}: {error.message}", USAGE) from None
