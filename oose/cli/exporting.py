"""The commands that write all metadata to a file, and read it back."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from oose.cli.configuration import CONFIG, read_configuration
from oose.cli.counted import counted
from oose.cli.desk import Desk
from oose.cli.exits import FAILED, USAGE, CommandFailed
from oose.cli.opened import Opened, on_databases
from oose.cli.tallies import say_failures
from oose.counting import some
from oose.errors import BadInput
from oose.moving.entries import ACCOUNT, KINDS
from oose.moving.export import Export
from oose.moving.export_file import ExportFile
from oose.moving.importing import Import
from oose.moving.private_file import private_file
from oose.moving.tally import Tally

STANDARD = "-"
NAMES: Mapping[str, str] = {
    "peer": "Prisms and stores",
    "inventory": "Inventory records",
    "content": "Notes on content",
    "heartbeat": "Votes",
    "purchase": "Purchases",
    "account": "Accounts",
}


@click.command("export")
@click.argument("file", default=STANDARD)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@CONFIG
@click.pass_obj
def export_command(desk: Desk, file: str, config: str | None, *, force: bool) -> None:
    """Write all metadata to FILE as lines of JSON; to stdout without it.

    The documents of all databases and the purchases; of one machine its accounts too, with the
    hashes of their passwords, so keep it as you keep the database: FILE is for its owner only.
    Sessions are left out. FILE gets its name when it is whole.
    """
    if file != STANDARD and Path(file).exists() and not force:
        raise CommandFailed(f"{file} is there already; --force replaces it", USAGE)

    async def work(opened: Opened) -> Counter[str]:
        totals = await opened.databases.totals()
        total = sum(totals.values())
        with written(file) as stream, counted(desk, "Exporting", total) as tell:
            export = Export(
                opened.databases,
                lambda line: stream.write(line.encode()),
                opened.reactor,
                int(time.time() * 1000),
                lambda count: tell(min(count, total), count),
            )
            return await export.run()

    counts = on_databases(config, work)
    if counts[ACCOUNT]:
        desk.warn("it holds the hashes of passwords: keep it as you keep the database")
    if file == STANDARD:
        return
    lines = [f"{NAMES[kind]}: {counts[kind]:,}" for kind in KINDS]
    if read_configuration(config).is_cluster:
        lines[-1] = f"{NAMES[ACCOUNT]}: those of a cluster are in CouchDB"
    desk.result({"file": file, "counts": {kind: counts[kind] for kind in KINDS}}, "\n".join(lines))


@click.command("import")
@click.argument("file")
@click.option(
    "--replace", is_flag=True, help="What is there already is replaced by what is in FILE."
)
@CONFIG
@click.pass_obj
def import_command(desk: Desk, file: str, config: str | None, *, replace: bool) -> None:
    """Read metadata from FILE, which `oose export` wrote; from stdin where it is -.

    What is there already stays as it is, unless with --replace. A line that makes no sense is
    named, and the others are taken. It may be done again. Peers are taken as not available: those
    that run say so themselves.
    """

    with being_read(file) as (stream, size):
        source = opened_export(stream)

        async def work(opened: Opened) -> Tally:
            with counted(desk, "Importing", size) as tell:
                importing = Import(
                    source,
                    opened.databases,
                    opened.reactor,
                    int(time.time() * 1000),
                    replace,
                    lambda passed, tally: tell(passed, tally.counts["read"]),
                )
                return await importing.run()

        tally = on_databases(config, work, make=True)
    if tally.counts["account left out"]:
        desk.warn("accounts are left out: those of a cluster are CouchDB's own")
    desk.result(tally.to_json(), summary(tally))
    say_failures(desk, tally, "failed")
    if tally.failed:
        raise click.exceptions.Exit(FAILED)


# Behind the commands.


@contextmanager
def written(file: str) -> Iterator[BinaryIO]:
    """The file to write to."""
    if file == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with private_file(Path(file)) as stream:
            yield stream


@contextmanager
def being_read(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file to read from, and its size in bytes where that is known."""
    if file == STANDARD:
        yield sys.stdin.buffer, None
    else:
        path = Path(file)
        with path.open("rb") as stream:
            yield stream, path.stat().st_size


def opened_export(stream: BinaryIO) -> ExportFile:
    """An export behind its first line; `CommandFailed` where it is none."""
    source = ExportFile(stream)
    try:
        source.header()
    except BadInput as error:
        raise CommandFailed(error.message) from None
    return source


def summary(tally: Tally) -> str:
    """What became of all of it, in a few lines."""
    counts = tally.counts
    lines = []
    for kind in KINDS:
        words = [
            f"{counts[f'{kind} {outcome}']:,} {said}"
            for outcome, said in (
                ("new", "new"),
                ("replaced", "replaced"),
                ("there", "there already"),
                ("expired", "over"),
                ("left out", "left out"),
            )
            if counts[f"{kind} {outcome}"]
        ]
        lines.append(f"{NAMES[kind]}: {', '.join(words) or 'none'}")
    if tally.failed:
        lines.append(f"{some(tally.failed, 'line')} failed")
    return "\n".join(lines)
