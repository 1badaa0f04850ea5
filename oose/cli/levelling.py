"""The command that makes stores equally full: rebalance."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from oose.balance import Balance, Level
from oose.cli.arguments import Parsed
from oose.cli.configuration import CONFIG
from oose.cli.desk import Desk
from oose.cli.exits import CommandFailed
from oose.cli.tended import Job, Ways, works
from oose.cli.workshop import Workshop, on_workshop
from oose.tending.levelling import Levelling, Rebalancing, levels


def parse_percent(value: str) -> float:
    """A fraction from text such as `5%`."""
    number = value.removesuffix("%").strip()
    if number.isascii() and number.replace(".", "", 1).isdigit() and 0 < float(number) < 100:
        return float(number) / 100
    raise ValueError("a percentage such as 5%")


@click.command("rebalance")
@click.option(
    "--tolerance",
    metavar="PERCENT",
    type=Parsed("tolerance", parse_percent),
    default="5%",
    show_default=True,
    help="By how much a store may be fuller or emptier than the mean.",
)
@works
@CONFIG
@click.pass_obj
def rebalance_command(desk: Desk, tolerance: float, ways: Ways, config: str | None) -> None:
    """Move clones from fuller stores to emptier ones, after a store was added.

    No clone comes onto a machine that has one already, nor into fewer groups than before. What is
    protected stays, and so does what has too few clones. It may be stopped at any time and goes on
    when it is run again.
    """
    job = Job(desk, ways, "Moving")

    async def work(workshop: Workshop) -> None:
        found = levels(workshop.registry)
        if len([each for each in found if each.capacity]) < 2:
            raise CommandFailed("There are no two stores that are available and take content")
        balance = Balance(found, tolerance)
        deed = Levelling(workshop.clones, workshop.repair, balance)
        reactor = workshop.opened.reactor
        with job.bar() as passed:
            rebalancing = Rebalancing(
                balance, workshop.picking(ways.block), lambda: job.round(deed, passed)
            )
            with job.under_way(reactor, rebalancing):
                await rebalancing.run()
        job.more["stores"] = [described(*each) for each in before_and_after(balance)]
        job.lines += in_words(balance, tolerance, pretend=ways.pretend)

    with job.summed_up():
        on_workshop(config, desk, work, asks_stores=not ways.pretend)


# Behind the command.


def before_and_after(balance: Balance) -> Sequence[tuple[Level, Level]]:
    """Each store as it was, and as it is."""
    before = {each.place: each for each in balance.levels}
    return [(before[each.place], each) for each in balance.now()]


def described(before: Level, after: Level) -> Mapping[str, Any]:
    """A store for a program."""
    return {
        "store": before.place,
        "capacity": before.capacity,
        "before": before.used,
        "after": after.used,
    }


def in_words(balance: Balance, tolerance: float, *, pretend: bool) -> Sequence[str]:
    """How full the stores are now."""
    lines = [
        f"  {before.place}: {before.used / before.capacity:.1%}"
        + (f", then {after.used / after.capacity:.1%}" if after.used != before.used else "")
        for before, after in before_and_after(balance)
    ]
    would_be = "would be" if pretend else "are"
    if balance.is_even:
        lines.append(f"All {would_be} within {tolerance:.1%} of the mean, {balance.mean:.1%}")
    else:
        lines.append(
            f"Not all {would_be} within {tolerance:.1%} of the mean, {balance.mean:.1%}: what is"
            " left is protected, has too few clones, is too large, or has no other place that"
            " spreads it as well"
        )
    return lines
