"""Commands on the CouchDB of a cluster: setup."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import evolve
from twisted.web.iweb import IPolicyForHTTPS

from oose.cli.configuration import CONFIG, read_configuration
from oose.cli.desk import Desk
from oose.cli.exits import BAD_CONFIGURATION, CommandFailed
from oose.cli.reacting import run_reacting
from oose.cli.secret import FROM_STDIN, asked_password
from oose.couchdb import CouchClient, prepare
from oose.settings import Settings, Tls
from oose.settings.model import CouchSettings
from oose.tls import UnusableCertificate, client_policy

T = TypeVar("T")
ADMIN, ADMIN_PASSWORD = "OOSE_COUCHDB_ADMIN", "OOSE_COUCHDB_ADMIN_PASSWORD"
PATIENCE = 10.0  # seconds for a request: nobody else waits for it


@click.group("couchdb")
def couchdb_group() -> None:
    """Prepare the CouchDB of a cluster."""


@couchdb_group.command("setup")
@click.option(
    "--admin", metavar="NAME", envvar=ADMIN, help=f"An administrator of CouchDB.  [${ADMIN}]"
)
@FROM_STDIN
@CONFIG
@click.pass_obj
def setup_command(desk: Desk, admin: str | None, config: str | None, *, from_stdin: bool) -> None:
    """Make the databases, their rights, their index and oose's account.

    Without --admin the configuration's own account makes the databases. The administrator's
    password comes from OOSE_COUCHDB_ADMIN_PASSWORD, from stdin, or is asked for.
    """
    settings = read_configuration(config)
    couchdb = settings.couchdb
    if couchdb is None:
        raise CommandFailed("The configuration names no `couchdb`", BAD_CONFIGURATION)
    account = couchdb
    if admin is not None:
        password = os.environ.get(ADMIN_PASSWORD) if not from_stdin else None
        account = as_admin(couchdb, admin, password or asked_once(from_stdin=from_stdin))
    done = asked_of_couchdb(settings, account, lambda client: prepare(client, couchdb))
    made = [
        *done.databases,
        *(["the index of what stores have"] if done.index else []),
        *([f"the account {couchdb.username}"] if done.account else []),
    ]
    value = {"databases": list(done.databases), "account": done.account, "index": done.index}
    desk.result(value, f"Made {', '.join(made)}" if made else "All of it is there already")


def asked_once(*, from_stdin: bool) -> str:
    """The administrator's password, which there is already."""
    return asked_password(from_stdin=from_stdin, is_new=False)


def admin_of(couchdb: CouchSettings) -> CouchSettings:
    """The administrator that the environment names, else oose's own account."""
    name = os.environ.get(ADMIN)
    if name is None:
        return couchdb
    password = os.environ.get(ADMIN_PASSWORD)
    if password is None:
        raise CommandFailed(f"{ADMIN} is set, but not {ADMIN_PASSWORD}")
    return as_admin(couchdb, name, password)


def as_admin(couchdb: CouchSettings, name: str, password: str) -> CouchSettings:
    """The same server with another account."""
    return evolve(couchdb, username=name, password=password)


def asked_of_couchdb(
    settings: Settings, account: CouchSettings, ask: Callable[[CouchClient], Awaitable[T]]
) -> T:
    """What `ask` makes of a client with an account; `CommandFailed`."""
    policy = policy_of(settings)
    patient = evolve(account, timeout=max(PATIENCE, account.timeout))

    async def work(reactor: Any) -> T:
        client = CouchClient(reactor, policy, patient)
        try:
            return await ask(client)
        finally:
            await client.close()

    return run_reacting(work)


def policy_of(settings: Settings) -> IPolicyForHTTPS:
    """How certificates of databases are judged, as the service does."""
    verify = (settings.ssl or Tls()).verify
    try:
        return client_policy(Path(verify) if isinstance(verify, str) else verify, own=None)
    except UnusableCertificate as error:
        raise CommandFailed(str(error), BAD_CONFIGURATION) from None
