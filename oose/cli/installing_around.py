"""The commands for what stands around prisms and stores: install web, install host."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import click

from oose.cli.desk import Desk
from oose.cli.exits import CommandFailed
from oose.cli.peers import everybody, on_registry
from oose.cli.this_machine import PRETEND, check_root, finish, refusing, this_machine, work_off
from oose.installing import layout
from oose.installing.host.firewall import hosts_of
from oose.installing.runner import Refused
from oose.installing.surroundings import host_plan, web_plan

PORT = click.IntRange(1, 65535)


@click.command("web")
@click.option(
    "--server-name", "server_names", multiple=True, metavar="NAME", help="A name of the prisms."
)
@click.option("--domain", metavar="DOMAIN", help="Stores deliver as NAME.DOMAIN.")
@click.option("--pem", metavar="FILE", help="A certificate; `auto` makes a self-signed one.")
@click.option("--key", metavar="FILE", help="Its key, where it is in a file of its own.")
@click.option("--store-pem", metavar="FILE", help="Another certificate for stores.")
@click.option("--store-key", metavar="FILE", help="And its key.")
@click.option(
    "--next-prism", "prisms", multiple=True, metavar="HOST:PORT",
    help="One of another machine, asked when this one's is away.",
)  # fmt: skip
@click.option(
    "--other-nginx", "proxies", multiple=True, metavar="ADDRESS",
    help="Another machine's, which may ask this one's prism.",
)  # fmt: skip
@click.option(
    "--balancer", "balancers", multiple=True, metavar="ADDRESS",
    help="A proxy before nginx, which says who the client is.",
)  # fmt: skip
@click.option("--listen", "addresses", multiple=True, metavar="ADDRESS", help="Not everywhere.")
@click.option("--https-port", type=PORT, help="[default: 443]")
@click.option("--http-port", type=click.IntRange(0, 65535), help="0: none.  [default: 80]")
@click.option("--requests", type=click.IntRange(1), help="A client's a second.  [default: 50]")
@click.option("--burst", type=click.IntRange(1), help="And at once.  [default: 200]")
@click.option("--most-rate", type=click.IntRange(0), help="A viewer's bytes a second.")
@PRETEND
@click.pass_obj
def web_command(desk: Desk, /, domain: str | None, *, pretend: bool, **options: Any) -> None:
    """nginx before the prism and the stores of this machine, with TLS.

    What is said once is kept in /etc/oose/web.py. A prism or store that is installed afterwards
    gets its place in nginx as well.
    """
    check_root(pretend=pretend)
    asked = dict(options)
    asked["certificate"], asked["key"] = pair(asked.pop("pem"), asked["key"], "--key")
    pem, key = asked.pop("store_pem"), asked["store_key"]
    asked["store_certificate"], asked["store_key"] = pair(pem, key, "--store-key")
    machine = this_machine()
    with refusing():
        plan = web_plan(machine, asked, domain, known_peers)
        work_off(desk, machine, plan.steps, pretend=pretend)
    finish(desk, plan.notes)


@click.command("host")
@click.option(
    "--ssh-port",
    "ssh",
    type=PORT,
    multiple=True,
    help="Of sshd.  [default: it is asked]",
)
@click.option(
    "--peer", "peers", multiple=True, metavar="ADDRESS",
    help="Also let in as peers are: an address, or a network.",
)  # fmt: skip
@PRETEND
@click.pass_obj
def host_command(desk: Desk, /, *, pretend: bool, **options: Any) -> None:
    """A firewall for this machine, and settings of its kernel and disks.

    Open are SSH, and to everybody what viewers need; to peers what peers need. What else the
    machine offers gets rules in /etc/oose/firewall.d. Peers are those that the cluster knows now.
    """
    check_root(pretend=pretend)
    machine = this_machine()
    with refusing():
        plan = host_plan(machine, options, known_peers)
        work_off(desk, machine, plan.steps, pretend=pretend)
    finish(desk, plan.notes)


def pair(pem: str | None, key: str | None, name: str) -> tuple[str | None, str | None]:
    """Files of a certificate and its key, absolute."""
    if pem is None:
        if key is not None:
            raise click.UsageError(f"{name} is the key of a certificate, which was not named")
        return None, None
    if pem == "auto":
        return str(layout.WEB_PEM), str(layout.WEB_PEM)
    certificate = absolute(pem)
    return certificate, certificate if key is None else absolute(key)


def absolute(path: str) -> str:
    """As it is known from everywhere."""
    return os.path.normpath(Path(path).absolute())


def known_peers(file: PurePosixPath) -> Sequence[str]:
    """Names and addresses of all peers of a cluster; `Refused` where its database is away."""
    try:
        return hosts_of(on_registry(str(file), everybody))
    except CommandFailed as error:
        raise Refused(str(error)) from None
