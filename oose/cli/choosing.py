"""Options that say which content is meant."""

import functools
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeVar

import click
from attrs import define, fields, frozen

from oose.address import parse_hash
from oose.cli.arguments import HASH
from oose.cli.counted import counted
from oose.cli.desk import Desk
from oose.cli.exits import USAGE, CommandFailed
from oose.cli.sources import walk
from oose.cli.stores import store_named
from oose.errors import BadInput, NotFound
from oose.registry import Registry
from oose.tending.picking import Choice

F = TypeVar("F", bound=Callable[..., Any])
STDIN = "-"
NONE = (
    "Say which content: --hash, --from, --folder, --store, --prism, --above, --below, --at, --all"
)
_OPTIONS = (
    click.option("--hash", "hashes", metavar="HASH", type=HASH, multiple=True, help="This one."),
    click.option(
        "--from",
        "source",
        metavar="FILE",
        help="What FILE (- is stdin) has: a hash a line, or JSON with one.",
    ),
    click.option(
        "--folder",
        metavar="PATH",
        type=click.Path(exists=True, file_okay=False),
        help="What the files in a folder are, by their hashes.",
    ),
    click.option(
        "--store", "stores", metavar="NAME", multiple=True, help="Only what is on a store."
    ),
    click.option(
        "--prism", "prisms", metavar="NAME", multiple=True, help="Only what is on its stores."
    ),
    click.option("--above", type=click.IntRange(0), help="Only with more clones that count now."),
    click.option("--below", type=click.IntRange(0), help="Only with fewer."),
    click.option("--at", type=click.IntRange(0), help="Only with so many."),
    click.option("--all", "everything", is_flag=True, help="All there is."),
)


@frozen
class Asked:
    """What the options say."""

    hashes: tuple[str, ...]
    source: str | None
    folder: str | None
    stores: tuple[str, ...]
    prisms: tuple[str, ...]
    above: int | None
    below: int | None
    at: int | None
    everything: bool

    def check(self, *, may_be_all: bool = False) -> None:
        """`UsageError` where nothing is said, unless that is all there is; or all and not all."""
        limits = (self.above, self.below, self.at)
        named = [self.hashes, self.source, self.folder, self.stores, self.prisms]
        is_some = any(named) or any(each is not None for each in limits)
        if self.everything and is_some:
            raise click.UsageError("--all goes with no other content")
        if not (self.everything or is_some or may_be_all):
            raise click.UsageError(NONE)

    async def choice(self, registry: Registry) -> Choice:
        """What is meant of all content; `NotFound` for a store or prism that there is not."""
        stores = [(await store_named(registry, each)).place for each in self.stores]
        for each in self.prisms:
            if registry.peer(f"prism:{each}") is None:
                raise NotFound(f"There is no prism {each!r}: `oose peer list` has all")
        return Choice(frozenset(stores), frozenset(self.prisms), self.above, self.below, self.at)


def chooses(function: F) -> F:
    """A command with these options, which gets them as `asked`."""

    @functools.wraps(function)
    def packed(*args: Any, **given: Any) -> Any:
        asked = Asked(**{each.name: given.pop(each.name) for each in fields(Asked)})
        return function(*args, asked=asked, **given)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed  # type: ignore[return-value]


@define(eq=False)
class Named:
    """The hashes that were named, in a file, as there may be many; `unread` files had none."""

    _file: IO[str]
    total: int = 0
    unread: int = 0

    def add(self, content_hash: str) -> None:
        """One more."""
        self._file.write(f"{content_hash}\n")
        self.total += 1

    def hashes(self) -> Iterator[str]:
        """All of them."""
        self._file.seek(0)
        for line in self._file:
            yield line.rstrip()


@contextmanager
def named(desk: Desk, asked: Asked, hash_type: str) -> Iterator[Named | None]:
    """What is named by hashes, read before anything is done; None where all there is is meant.

    `CommandFailed` for what is no hash.
    """
    if not asked.hashes and asked.source is None and asked.folder is None:
        yield None
        return
    with TemporaryFile("w+", encoding="ascii") as file:
        found = Named(file)
        for each in asked.hashes:
            found.add(each)
        if asked.source == STDIN:
            add_lines(found, "stdin", sys.stdin)
        elif asked.source is not None:
            with Path(asked.source).open(encoding="utf-8", errors="replace") as lines:
                add_lines(found, asked.source, lines)
        if asked.folder is not None:
            add_files(desk, found, asked.folder, hash_type)
        yield found


def add_lines(found: Named, source: str, lines: Iterable[str]) -> None:
    """The hash of each line."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        try:
            found.add(parse_hash(json.loads(text)["hash"] if text[0] == "{" else text.split()[0]))
        except BadInput as error:
            raise CommandFailed(f"{source}, line {number}: {error.message}", USAGE) from None
        except (ValueError, KeyError):
            raise CommandFailed(
                f"{source}, line {number}: neither a hash nor JSON with a hash", USAGE
            ) from None


def add_files(desk: Desk, found: Named, folder: str, hash_type: str) -> None:
    """The hash of each file; of what cannot be read that is said."""
    with counted(desk, "Hashing", None) as tell:
        for source in walk(folder):
            if source.left_out is not None:
                desk.warn(f"{source.shown}: {source.left_out}")
                continue
            try:
                with source.open() as file:
                    opened: Any = file
                    found.add(hashlib.file_digest(opened, hash_type).hexdigest())
            except OSError as error:
                found.unread += 1
                desk.warn(f"{source.shown}: {error.strerror}")
            tell(found.total, found.total)
