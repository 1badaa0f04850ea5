"""Commands on a prism itself: status, cache."""

import time
from collections.abc import Mapping

import click

from oose.cli.desk import Desk, fields
from oose.cli.repair import repair_lines


@click.command("status")
@click.pass_obj
def status_command(desk: Desk) -> None:
    """Tell whether the prism answers, how all content is, its version and its counters."""
    desk.prism().open("/ping")
    stats = desk.prism().open("/stats")
    value = {"url": desk.prism().profile.url, **stats}
    repair = stats.get("repair")
    if isinstance(repair, Mapping) and not desk.as_json:
        click.echo("\n".join(repair_lines(repair, time.time())))
    desk.table(value, ("what", "now"), fields(value))


@click.group("cache")
def cache_group() -> None:
    """Look at the caches of a prism, or empty them."""


@cache_group.command("detail")
@click.argument("command", default="stats")
@click.pass_obj
def detail_command(desk: Desk, command: str) -> None:
    """Show a cache: all, stats, prismHits, storeHits or hottest.

    hottest is what viewers ask this prism for most often: how often a minute lately, and how many
    clones that calls for.
    """
    found = desk.prism().call_as_peer("/cache/detail", {"command": command})
    if command == "hottest":
        hot = [
            (key, str(each["perMinute"]), str(each["clones"]))
            for key, each in found[command].items()
        ]
        desk.table(found, ("hash", "a minute", "clones"), hot)
        return
    desk.table(found, ("what", "value"), fields(found))


@cache_group.command("flush")
@click.argument("command")
@click.pass_obj
def flush_command(desk: Desk, command: str) -> None:
    """Empty a cache: all, stats, prismHits or storeHits."""
    done = desk.prism().call_as_peer("/cache/flush", {"command": command})
    desk.result(done, f"{done['count']} entries removed")
