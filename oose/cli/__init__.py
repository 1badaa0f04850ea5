"""The `oose` command: works against any prism by its URL, and on this machine's configuration."""

from errno import EPIPE
from typing import Any

import click

from oose import __version__
from oose.cli.adopting import adopt_command
from oose.cli.clones import clones_group
from oose.cli.configuration import config_group
from oose.cli.content import detail_command, download_command, purchase_command
from oose.cli.couchdb import couchdb_group
from oose.cli.desk import Desk, tell
from oose.cli.draining import store_group
from oose.cli.exits import FAILED, INTERRUPTED, MEANINGS, CommandFailed
from oose.cli.exporting import export_command, import_command
from oose.cli.installing import install_group
from oose.cli.inventory import inventory_group
from oose.cli.levelling import rebalance_command
from oose.cli.local import hash_command, path_command
from oose.cli.migrating import migrate_command
from oose.cli.operating import cache_group, status_command
from oose.cli.peers import peer_group
from oose.cli.purchases import purchases_group
from oose.cli.quarantine import quarantine_group
from oose.cli.removing import protect_command, remove_command
from oose.cli.upgrading import uninstall_command, upgrade_command
from oose.cli.uploading import upload_command
from oose.cli.users import user_group
from oose.cli.verifying import verify_command

__all__ = ["command", "main"]


class Ending(click.Group):
    """A group whose commands end with a message and an exit code, whatever happens."""

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group`."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                if ctx.obj is not None:
                    ctx.obj.close()
        except CommandFailed as error:
            message, code = error.message, error.code
        except (KeyboardInterrupt, click.Abort):
            message, code = "interrupted", INTERRUPTED
        except click.UsageError as error:
            if not wants_json(ctx):
                raise
            message, code = error.format_message(), error.exit_code
        except OSError as error:
            if error.errno == EPIPE:  # who read our output has seen enough: click knows
                raise
            message, code = explained(error), FAILED
        tell("error", message, as_json=wants_json(ctx))
        raise click.exceptions.Exit(code)


def wants_json(ctx: click.Context) -> bool:
    """Whether `--json` was given, before the command or behind it."""
    return bool(ctx.params["as_json"]) or (ctx.obj is not None and ctx.obj.as_json)


def also_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """`--json` behind a command."""
    desk = ctx.find_object(Desk)
    if value and desk is not None:
        desk.as_json = True


def take_json(each: click.Command) -> None:
    """Let a command take `--json` too, where people type it."""
    if isinstance(each, click.Group):
        for inner in each.commands.values():
            take_json(inner)
    else:
        each.params.append(JSON_TOO)


JSON = "Results on stdout as JSON, for scripts."
JSON_TOO = click.Option(
    ["--json"], is_flag=True, is_eager=True, expose_value=False, callback=also_json, help=JSON
)


def explained(error: OSError) -> str:
    """What the system says, and of what."""
    words = error.strerror or str(error)
    return words if error.filename is None else f"{error.filename}: {words}"


@click.group(cls=Ending, epilog=MEANINGS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--profile", metavar="FILE", help="Where the prism is and who you are, in TOML.")
@click.option("--url", metavar="URL", help="The prism's base URL.")
@click.option("--ca", metavar="FILE", help="Certificates to trust, instead of the system's.")
@click.option("--insecure", is_flag=True, help="Accept any certificate.")
@click.option("--json", "as_json", is_flag=True, help=JSON)
@click.version_option(__version__, prog_name="oose")
@click.pass_context
def command(
    ctx: click.Context,
    profile: str | None,
    url: str | None,
    ca: str | None,
    *,
    insecure: bool,
    as_json: bool,
) -> None:
    """Keep and deliver large media files with OOSE.

    The login comes from a profile (--profile, $OOSE_PROFILE, ~/.config/oose/login.toml, or the
    data/login.toml of a first start) or from OOSE_PRISM with OOSE_USERNAME and OOSE_PASSWORD, or
    OOSE_TOKEN; OOSE_CA names certificates. Never from the command line, where others can read it.
    """
    ctx.obj = Desk(profile, url, ca, insecure, as_json)


for _each in (
    upload_command,
    download_command,
    detail_command,
    purchase_command,
    purchases_group,
    remove_command,
    protect_command,
    verify_command,
    inventory_group,
    clones_group,
    store_group,
    rebalance_command,
    quarantine_group,
    cache_group,
    status_command,
    user_group,
    peer_group,
    couchdb_group,
    config_group,
    migrate_command,
    adopt_command,
    export_command,
    import_command,
    hash_command,
    path_command,
    install_group,
    upgrade_command,
    uninstall_command,
):
    command.add_command(_each)
    take_json(_each)


def main() -> None:
    """The console script."""
    command(prog_name="oose")
