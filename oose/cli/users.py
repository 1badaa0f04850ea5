"""Commands on the users that the embedded database of this machine keeps."""

import sys
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oose.cli.configuration import CONFIG, read_configuration
from oose.cli.desk import Desk
from oose.cli.exits import FAILED, NOT_FOUND, CommandFailed
from oose.embedded import EmbeddedAccounts, EmbeddedDatabase
from oose.embedded.database import FILE_NAME
from oose.errors import NotFound, OoseError
from oose.first_start import make_root
from oose.passwords import Passwords
from oose.pool import Inline

T = TypeVar("T")
FROM_STDIN = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from stdin."
)


@click.group("user")
def user_group() -> None:
    """Add, list, change and remove users of this machine."""


@user_group.command("add")
@click.argument("name")
@FROM_STDIN
@CONFIG
@click.pass_obj
def add_command(desk: Desk, name: str, config: str | None, *, from_stdin: bool) -> None:
    """Make a user."""
    password = asked_password(from_stdin=from_stdin)
    now = int(time.time() * 1000)
    run_now(with_accounts(config, lambda accounts: accounts.add(name, password, now), make=True))
    desk.result({"username": name}, f"User {name} added")


@user_group.command("list")
@CONFIG
@click.pass_obj
def list_command(desk: Desk, config: str | None) -> None:
    """List the users."""
    users = run_now(with_accounts(config, lambda accounts: accounts.list()))
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
    run_now(with_accounts(config, lambda accounts: accounts.set_password(name, password)))
    desk.result({"username": name}, f"The password of {name} is changed")


@user_group.command("disable")
@click.argument("name")
@CONFIG
@click.pass_obj
def disable_command(desk: Desk, name: str, config: str | None) -> None:
    """Shut a user out; ends their sessions."""
    run_now(with_accounts(config, lambda accounts: accounts.set_enabled(name, enabled=False)))
    desk.result({"username": name, "enabled": False}, f"User {name} is shut out")


@user_group.command("enable")
@click.argument("name")
@CONFIG
@click.pass_obj
def enable_command(desk: Desk, name: str, config: str | None) -> None:
    """Let a user in again."""
    run_now(with_accounts(config, lambda accounts: accounts.set_enabled(name, enabled=True)))
    desk.result({"username": name, "enabled": True}, f"User {name} may log in")


@user_group.command("remove")
@click.argument("name")
@CONFIG
@click.pass_obj
def remove_command(desk: Desk, name: str, config: str | None) -> None:
    """Remove a user; ends their sessions. What they uploaded stays."""
    run_now(with_accounts(config, lambda accounts: accounts.remove(name)))
    desk.result({"username": name}, f"User {name} is removed")


# Behind the commands.


async def with_accounts(config: str | None, work: Any, *, make: bool = False) -> Any:
    """Do `work` on the accounts of the configuration; what it returns.

    Where nobody was ever kept, a place for them comes into being only with `make`.
    """
    settings = read_configuration(config)
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


def run_now(work: Coroutine[Deferred[Any], Any, T]) -> T:
    """Run `work`, which waits for nothing; `CommandFailed` for what it refuses."""
    results: list[T] = []
    failures: list[Failure] = []
    _ = Deferred.fromCoroutine(work).addCallbacks(results.append, failures.append)
    for failure in failures:
        error = failure.value
        if isinstance(error, OoseError):
            code = NOT_FOUND if isinstance(error, NotFound) else FAILED
            raise CommandFailed(error.message, code)
        failure.raiseException()
    return results[0]


def asked_password(*, from_stdin: bool) -> str:
    """A password from stdin, or asked for twice where somebody can be asked."""
    if from_stdin:
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise CommandFailed("The password on stdin is not UTF-8") from None
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask for a password: --password-stdin")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def day(milliseconds: int) -> str:
    """A time as a date."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
