"""The command that moves the metadata of a 2.0.x installation to today's databases."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from oose.cli.configuration import CONFIG, read_configuration
from oose.cli.couchdb import PATIENCE, policy_of
from oose.cli.counted import counted
from oose.cli.desk import Desk
from oose.cli.exits import FAILED
from oose.cli.opened import on_databases
from oose.cli.reacting import run_reacting
from oose.cli.tallies import say_failures
from oose.couchdb import CouchClient
from oose.counting import some
from oose.databases import Databases
from oose.embedded.database import FILE_NAME as DATABASE_FILE
from oose.moving.cursor import FILE_NAME, Cursor
from oose.moving.migration import Migration
from oose.moving.old_database import OldDatabase
from oose.moving.old_documents import PREFIX
from oose.moving.old_file import OldFile
from oose.moving.old_source import OldSource
from oose.moving.tally import Tally
from oose.moving.target import Target
from oose.settings import Settings
from oose.settings.model import CouchSettings

USERNAME, PASSWORD = "OOSE_OLD_USERNAME", "OOSE_OLD_PASSWORD"  # their names

Work = Callable[[Settings, Databases | None, Any], Awaitable[Tally]]


@click.command("migrate")
@click.option(
    "--from",
    "source",
    required=True,
    metavar="SOURCE",
    help="URL/DATABASE of its CouchDB, or a file with a document a line.",
)
@click.option("--prefix", default=PREFIX, show_default=True, help="What its keys begin with.")
@click.option("--pretend", is_flag=True, help="Only say what would be moved; nothing is written.")
@click.option("--again", is_flag=True, help="Begin at the beginning, not where the last was cut.")
@CONFIG
@click.pass_obj
def migrate_command(
    desk: Desk, source: str, prefix: str, config: str | None, *, pretend: bool, again: bool
) -> None:
    """Move the database of a 2.0.x installation to the one that the configuration names.

    Peers, inventory, and purchases that are not over; what is there already stays as it is. It may
    be stopped at any time and goes on there when it is run again; the old database is only read.
    An account for it comes from OOSE_OLD_USERNAME and OOSE_OLD_PASSWORD, or is the configuration's
    where the server is the same. The file is what `_all_docs?include_docs=true` answers, or has a
    document as JSON on each line.
    """
    check_source(source)

    async def work(settings: Settings, databases: Databases | None, reactor: Any) -> Tally:
        async with opened_source(settings, source, prefix, reactor) as old:
            cursor = Cursor(settings.root / FILE_NAME, old.name, target_name(settings))
            if again and not pretend:
                cursor.remove()
            total = await old.size()
            with counted(desk, "Moving", total) as tell:
                migration = Migration(
                    old,
                    Target(databases, pretend),
                    cursor,
                    reactor,
                    int(time.time() * 1000),
                    prefix,
                    lambda passed, tally: tell(passed, tally.counts["read"]),
                )
                return await migration.run()

    tally = on_target(config, work, pretend=pretend)
    desk.result({"pretend": pretend, **tally.to_json()}, summary(tally, pretend=pretend))
    say_failures(desk, tally, "could not be understood")
    if tally.failed:
        raise click.exceptions.Exit(FAILED)


# Behind the command.


def check_source(source: str) -> None:
    """`UsageError` where it is no source, or shows a password to everybody on this machine."""
    if not is_url(source):
        if not Path(source).is_file():
            raise click.UsageError(f"--from: {source!r} is no file, and no URL with a database")
        return
    parts = urlsplit(source)
    if "@" in parts.netloc:
        raise click.UsageError(f"--from: no password here; {USERNAME} and {PASSWORD} have it")
    if not parts.hostname or not parts.path.strip("/") or parts.query or parts.fragment:
        raise click.UsageError("--from: expected a URL such as http://127.0.0.1:5984/oose")


def is_url(source: str) -> bool:
    """Whether it is a CouchDB, and no file."""
    return source.startswith(("http://", "https://"))


def on_target(config: str | None, work: Work, *, pretend: bool) -> Tally:
    """Do `work` on the databases of the configuration; None to pretend where there are none yet."""
    settings = read_configuration(config)
    if pretend and settings.couchdb is None and not (settings.root / DATABASE_FILE).exists():

        async def alone(reactor: Any) -> Tally:
            return await work(settings, None, reactor)

        return run_reacting(alone)
    return on_databases(
        config,
        lambda opened: work(opened.settings, opened.databases, opened.reactor),
        make=not pretend,
    )


def target_name(settings: Settings) -> str:
    """Which databases are meant, for the cursor."""
    couchdb = settings.couchdb
    if couchdb is None:
        return str((settings.root / DATABASE_FILE).absolute())
    return f"{couchdb.url} {couchdb.database}"


@asynccontextmanager
async def opened_source(
    settings: Settings, source: str, prefix: str, reactor: Any
) -> AsyncIterator[OldSource]:
    """The old database, for as long as it is read."""
    if is_url(source):
        url, _, database = source.rstrip("/").rpartition("/")
        account = account_for(settings, url)
        client = CouchClient(reactor, policy_of(settings), account)
        try:
            yield OldDatabase(client, database, prefix)
        finally:
            await client.close()
    else:
        file = OldFile(Path(source))
        try:
            yield file
        finally:
            file.close()


def account_for(settings: Settings, url: str) -> CouchSettings:
    """With which account to ask the server at `url`; without a name as nobody."""
    username, password = os.environ.get(USERNAME, ""), os.environ.get(PASSWORD, "")
    couchdb = settings.couchdb
    if not username and couchdb is not None and is_same_server(couchdb.url, url):
        username, password = couchdb.username, couchdb.password
    return CouchSettings(url, username, password, timeout=PATIENCE)


def is_same_server(one: str, other: str) -> bool:
    """Whether two URLs lead to the same server."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (
        second.scheme,
        second.hostname,
        second.port,
    )


def summary(tally: Tally, *, pretend: bool) -> str:
    """What became of all of it, in a few lines."""
    counts = tally.counts
    moved = "would be moved" if pretend else "moved"
    lines = [
        f"{name}: {counts[f'{kind} moved']:,} {moved}, {counts[f'{kind} there']:,} there already"
        for kind, name in (
            ("peers", "Prisms and stores"),
            ("records", "Inventory records"),
            ("purchases", "Purchases"),
        )
    ]
    if counts["records otherwise"]:
        lines.append(f"  {counts['records otherwise']:,} of the records there say it otherwise")
    for name, thing, words in (
        ("expired", "purchase", "left out, as over"),
        ("unsized", "record", "without a size: the sweep makes such from the files"),
        ("summary", "document", "with only where content is, as its records have it"),
        ("other", "other document", "(votes and the like) left where they were"),
        ("failed", "document", "could not be understood"),
    ):
        if counts[name]:
            lines.append(f"{some(counts[name], thing)} {words}")
    return "\n".join(lines)
