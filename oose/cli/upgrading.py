"""The commands that change the program of a machine, or take it away: upgrade, uninstall."""

from pathlib import Path

import click

from oose.cli.desk import Desk
from oose.cli.exits import UNAVAILABLE, CommandFailed
from oose.cli.this_machine import PRETEND, YES, check_root, refusing, say, this_machine, work_off
from oose.installing.machine_files import configurations, service_of
from oose.installing.releases import current, script_of
from oose.installing.uninstalling import STAYS, uninstall_steps
from oose.installing.upgrading import RolledBack, upgrade


@click.command("upgrade")
@click.argument("source", default=".", type=click.Path(path_type=Path))
@PRETEND
@click.pass_obj
def upgrade_command(desk: Desk, source: Path, *, pretend: bool) -> None:
    """Go over to the version in the folder SOURCE, the one here where none is named.

    It is installed beside the one in use. Every configuration of this machine is checked with it,
    then services are started again, one after the other; where one does not become ready the old
    version takes its place again.
    """
    check_root(pretend=pretend)
    machine = this_machine()
    with refusing():
        before = current(machine)
        script_of(source)
        if pretend:
            names = [service_of(file) for file in configurations(machine)]
            lines = [
                f"- install the version in {source.absolute()} beside {before}",
                *(f"- check {file} with it" for file in configurations(machine)),
                "- switch to it",
                *(f"- start {name} again, and wait until it is ready" for name in names),
            ]
            desk.result([{"change": line[2:]} for line in lines], "\n".join(lines))
            return
        try:
            done = upgrade(machine, source.absolute(), lambda change: say(desk, change))
        except RolledBack as error:
            raise CommandFailed(str(error), UNAVAILABLE) from None
    value = {"before": str(done.before), "now": str(done.now)}
    is_same = done.now == done.before
    desk.result(value, f"{done.now} is in use already" if is_same else f"{done.now} is in use now")


@click.command("uninstall")
@YES
@PRETEND
@click.pass_obj
def uninstall_command(desk: Desk, *, yes: bool, pretend: bool) -> None:
    """Take the program away; content, configuration and databases stay as they are."""
    check_root(pretend=pretend)
    machine = this_machine()
    if not (yes or pretend):
        click.confirm("Stop oose on this machine, and remove the program?", abort=True, err=True)
    with refusing():
        work_off(desk, machine, uninstall_steps(machine), pretend=pretend)
    if not desk.as_json:
        click.echo(STAYS, err=True)
