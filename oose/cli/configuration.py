"""Commands on configuration files: check, show."""

import os
from pathlib import Path

import click

from oose.cli.desk import Desk
from oose.cli.exits import BAD_CONFIGURATION, CommandFailed
from oose.settings import BadSettings, Settings, read, show, warnings

CONFIG = click.option(
    "--config", metavar="FILE", help="The configuration.  [default: $OOSE_CONFIG, or the defaults]"
)


@click.group("config")
def config_group() -> None:
    """Check a configuration file, or show what it comes to."""


@config_group.command("check")
@click.argument("file", required=False)
@click.pass_obj
def check_command(desk: Desk, file: str | None) -> None:
    """Say whether the service would start with FILE; every problem at once if not."""
    settings = read_configuration(file)
    found = list(warnings(settings))
    for warning in found:
        desk.warn(warning)
    value = {"file": str(settings.path or ""), "warnings": found}
    desk.result(value, f"{settings.path or 'the defaults'}: good")


@config_group.command("show")
@click.argument("file", required=False)
@click.pass_obj
def show_command(desk: Desk, file: str | None) -> None:
    """Print every name with its value, as a file; secrets masked."""
    text = show(read_configuration(file))
    desk.result({"configuration": text}, text.rstrip("\n"))


def read_configuration(file: str | None) -> Settings:
    """The configuration that is meant; `CommandFailed` with its problems."""
    name = file or os.environ.get("OOSE_CONFIG")
    try:
        return read(Path(name) if name else None)
    except BadSettings as error:
        problems = "\n".join(f"  {problem}" for problem in error.problems)
        raise CommandFailed(
            f"The configuration is not usable:\n{problems}", BAD_CONFIGURATION
        ) from None
