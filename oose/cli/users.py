"""Commands on users: those of this machine, or of the cluster that the configuration names."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oose.accounts import ManagedAccounts
from oose.cli.configuration import CONFIG, read_configuration
from oose.cli.couchdb import admin_of, asked_of_couchdb, policy_of
from oose.cli.desk import Desk
from oose.cli.exits import NOT_FOUND, CommandFailed
from oose.cli.reacting import outcome
from oose.cli.secret import FROM_STDIN, asked_password
from oose.cli.session_ends import end_sessions
from oose.couchdb import CouchAccounts, CouchClient
from oose.embedded import EmbeddedAccounts, EmbeddedDatabase
from oose.embedded.database import FILE_NAME
from oose.errors import Unavailable
from oose.first_start import make_root
from oose.passwords import Passwords
from oose.pool import Inline
from oose.redis import RedisConnection
from oose.settings import Settings
from oose.settings.model import CouchSettings

T = TypeVar("T")
Work = Callable[[ManagedAccounts], Awaitable[T]]


@click.group("user")
def user_group() -> None:
    """Add, list, change and remove users of this machine or cluster."""


@user_group.command("add")
@click.argument("name")
@FROM_STDIN
@CONFIG
@click.pass_obj
def add_command(desk: Desk, name: str, config: str | None, *, from_stdin: bool) -> None:
    """Make a user."""
    password = asked_password(from_stdin=from_stdin)
    now = int(time.time() * 1000)
    on_accounts(config, lambda accounts: accounts.add(name, password, now), make=True)
    desk.result({"username": name}, f"User {name} added")


@user_group.command("list")
@CONFIG
@click.pass_obj
def list_command(desk: Desk, config: str | None) -> None:
    """List the users."""
    users = on_accounts(config, lambda accounts: accounts.list())
    value = [
        {"username": each.username, "enabled": each.enabled, "createdAt": each.created}
        for each in users
    ]
    rows = [(each.username, "yes" if each.enabled else "no", day(each.created)) for each in users]
    desk.table(value, ("user", "enabled", "since"), rows)


@user_group.command("password")
@click.argument("name")
@FROM_STDIN
@CONFIG
@click.pass_obj
def password_command(desk: Desk, name: str, config: str | None, *, from_stdin: bool) -> None:
    """Change a password; ends the user's sessions."""
    password = asked_password(from_stdin=from_stdin)
    on_accounts(config, lambda accounts: accounts.set_password(name, password))
    desk.result({"username": name}, f"The password of {name} is changed")


@user_group.command("disable")
@click.argument("name")
@CONFIG
@click.pass_obj
def disable_command(desk: Desk, name: str, config: str | None) -> None:
    """Shut a user out; ends their sessions."""
    on_accounts(config, lambda accounts: accounts.set_enabled(name, enabled=False))
    desk.result({"username": name, "enabled": False}, f"User {name} is shut out")


@user_group.command("enable")
@click.argument("name")
@CONFIG
@click.pass_obj
def enable_command(desk: Desk, name: str, config: str | None) -> None:
    """Let a user in again."""
    on_accounts(config, lambda accounts: accounts.set_enabled(name, enabled=True))
    desk.result({"username": name, "enabled": True}, f"User {name} may log in")


@user_group.command("remove")
@click.argument("name")
@CONFIG
@click.pass_obj
def remove_command(desk: Desk, name: str, config: str | None) -> None:
    """Remove a user; ends their sessions. What they uploaded stays."""
    on_accounts(config, lambda accounts: accounts.remove(name))
    desk.result({"username": name}, f"User {name} is removed")


# Behind the commands.


def on_accounts(config: str | None, work: Work[T], *, make: bool = False) -> T:
    """Do `work` on the accounts of the configuration; what it returns, or `CommandFailed`.

    Where nobody was ever kept, a place for them comes into being only with `make`.
    """
    settings = read_configuration(config)
    if settings.couchdb is None:
        return run_now(in_file(settings, work, make=make))
    couchdb = settings.couchdb
    return asked_of_couchdb(
        settings, admin_of(couchdb), lambda client: in_couchdb(settings, couchdb, client, work)
    )


async def in_file(settings: Settings, work: Work[T], *, make: bool) -> T:
    """Do `work` on the accounts in the embedded database."""
    path = settings.root / FILE_NAME
    if make:
        make_root(settings.root)
    elif not path.exists():
        raise CommandFailed(
            f"{path} is not there: no users are kept here yet. Is this the configuration meant?",
            NOT_FOUND,
        )
    here = Inline()
    database = EmbeddedDatabase(path, writer=here, readers=here)
    await database.open()
    try:
        return await work(EmbeddedAccounts(database, Passwords(here)))
    finally:
        await database.close()


async def in_couchdb(
    settings: Settings, couchdb: CouchSettings, client: CouchClient, work: Work[T]
) -> T:
    """Do `work` on the accounts in CouchDB; sessions that end, end in Redis."""
    redis = settings.redis
    assert redis is not None  # a cluster names both
    connection = RedisConnection(client.reactor, redis, policy_of(settings), client.clock)

    async def end(username: str) -> None:
        try:
            await connection.open()
            await end_sessions(connection, redis.prefix, username)
        except Unavailable as error:
            raise Unavailable(
                f"CouchDB has it, but Redis is away and sessions of {username} may go on:"
                " do it again when Redis is back"
            ) from error

    accounts = CouchAccounts(client, client.clock, service=couchdb.username, end_sessions=end)
    try:
        return await work(accounts)
    finally:
        await connection.close()


def run_now(work: Coroutine[Deferred[Any], Any, T]) -> T:
    """Run `work`, which waits for nothing; `CommandFailed` for what it refuses."""
    results: list[T] = []
    failures: list[Failure] = []
    _ = Deferred.fromCoroutine(work).addCallbacks(results.append, failures.append)
    return outcome(results, failures)


def day(milliseconds: int) -> str:
    """A time as a date; nothing for 0, which is said of users that others have made."""
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
