"""The machine that the command runs on, as the installer's plans take it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from oose.cli.desk import Desk
from oose.cli.exits import NOT_ALLOWED, UNAVAILABLE, CommandFailed
from oose.counting import some
from oose.installing.machine import Machine
from oose.installing.plan import Change, Step, carry_out
from oose.installing.runner import Commands, NotYet, Refused

CUT_SHORT = "The changes before this one are made; the same command goes on with the others"
PRETEND = click.option("--pretend", is_flag=True, help="Only say what would be changed.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")


def this_machine() -> Machine:
    """With the release that this command is of."""
    return Machine(Commands(), Path(sys.prefix).resolve().parent)


def check_root(*, pretend: bool) -> None:
    """`CommandFailed` for who may not change a machine."""
    if not pretend and os.geteuid() != 0:
        raise CommandFailed("This changes the machine: root may, or sudo", NOT_ALLOWED)


@contextmanager
def refusing() -> Iterator[None]:
    """What the installer refuses is said as every command does."""
    try:
        yield
    except Refused as error:
        raise CommandFailed(str(error)) from None


def work_off(
    desk: Desk, machine: Machine, steps: Sequence[Step], *, pretend: bool, hint: str = ""
) -> Sequence[Change]:
    """Carry out a plan, each change said as it is made; `hint` where a service is not ready."""
    try:
        made = carry_out(steps, machine, lambda change: say(desk, change), pretend=pretend)
    except NotYet as error:
        lines = filter(None, (str(error), hint, CUT_SHORT))
        raise CommandFailed("\n".join(lines), UNAVAILABLE) from None
    except Refused as error:
        raise CommandFailed(f"{error}\n{CUT_SHORT}") from None
    if not made:
        say_last(desk, [], "Nothing to change: all is as it should be")
    else:
        words = "would be made: nothing was changed" if pretend else "made"
        say_last(desk, made, f"{some(len(made), 'change')} {words}")
    return made


def finish(desk: Desk, notes: Sequence[str]) -> None:
    """What an operator should know now."""
    if not desk.as_json:
        for note in notes:
            click.echo(note, err=True)


def say(desk: Desk, change: Change) -> None:
    """One line, and a diff where there is one."""
    if not desk.as_json:
        click.echo(f"- {change.said}")
        if change.shown:
            click.echo(change.shown.rstrip("\n"))


def say_last(desk: Desk, made: Sequence[Change], text: str) -> None:
    """All of it for programs, the sum for people."""
    value = [{"change": each.said, "diff": each.shown or None} for each in made]
    desk.result(value, text)
