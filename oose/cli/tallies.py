"""What failed of many things, told to whoever waits for it."""

from oose.cli.desk import Desk
from oose.moving.tally import Tally


def say_failures(desk: Desk, tally: Tally, what: str) -> None:
    """Name the first that failed, and say how many more there are."""
    if desk.as_json:
        return  # the result has them
    for which, why in tally.failures:
        desk.warn(f"{which}: {why}")
    more = tally.failed - len(tally.failures)
    if more:
        desk.warn(f"and {more:,} more that {what}")
