"""Passwords, as a command comes to know them: never from the command line."""

import sys

import click

from oose.cli.exits import CommandFailed

FROM_STDIN = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from stdin."
)


def asked_password(*, from_stdin: bool, is_new: bool = True) -> str:
    """A password from stdin, or asked for where somebody can be: a new one twice."""
    if from_stdin:
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise CommandFailed("The password on stdin is not UTF-8") from None
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask for a password: --password-stdin")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=is_new, err=True)
    return password
