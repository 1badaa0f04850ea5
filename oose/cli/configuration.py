"""Commands on configuration files: check, show."""

import os
from pathlib import Path

import click

from oose.cli.desk import Desk
from oose.cli.exits import BAD_CONFIGURATION, CommandFailed
from oose.settings import BadSettings, Settings, read, show, tree, warnings

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
    try:
        settings = read_named(file)
    except BadSettings as error:
        if desk.as_json:
            desk.result([{"problem": each} for each in error.problems], "")
        raise unusable(error) from None
    found = list(warnings(settings))
    if not desk.as_json:
        for warning in found:
            desk.warn(warning)
    value = [{"warning": each} for each in found]
    desk.result(value, f"{settings.path or 'the defaults'}: good")


@config_group.command("show")
@click.argument("file", required=False)
@click.pass_obj
def show_command(desk: Desk, file: str | None) -> None:
    """Print every name with its value, as a file; secrets masked."""
    settings = read_configuration(file)
    desk.result(tree(settings), show(settings).rstrip("\n"))


def read_configuration(file: str | None) -> Settings:
    """The configuration that is meant; `CommandFailed` with its problems."""
    try:
        return read_named(file)
    except BadSettings as error:
        raise unusable(error) from None


def read_named(file: str | None) -> Settings:
    """The same; `BadSettings`."""
    name = file or os.environ.get("OOSE_CONFIG")
    return read(Path(name) if name else None)


def unusable(error: BadSettings) -> CommandFailed:
    """Every problem, a line each."""
    problems = "\n".join(f"  {problem}" for problem in error.problems)
    return CommandFailed(f"The configuration is not usable:\n{problems}", BAD_CONFIGURATION)
