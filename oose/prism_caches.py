"""What tools may see and empty of a prism's memory, by the names the original used."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from oose.address import shown
from oose.errors import BadInput
from oose.existence import Existence
from oose.purchasing import PurchaseDesk
from oose.stats import Stats
from oose.viewing import Viewing

COMMANDS = ("all", "stats", "prismHits", "storeHits")


@frozen
class PrismCaches:
    """`stats` are the request counters, `prismHits` redirects by content, `storeHits` by store.

    `all` is all of these, and what is remembered of where content is and of purchases.
    """

    stats: Stats
    viewing: Viewing
    existence: Existence
    desk: PurchaseDesk

    def detail(self, command: Any) -> Mapping[str, Any]:
        """The entries, by cache."""
        wanted = parse_command(command)
        entries = {
            "stats": self._requests(),
            "prismHits": self.viewing.content_hits.entries(),
            "storeHits": self.viewing.store_hits.entries(),
        }
        if wanted != "all":
            return {wanted: entries[wanted]}
        return {**entries, "exists": self.existence.known(), "purchases": self.desk.cached()}

    def flush(self, command: Any) -> int:
        """Empty; how many entries there were."""
        wanted = parse_command(command)
        flushes = {
            "stats": self.stats.flush,
            "prismHits": self.viewing.content_hits.flush,
            "storeHits": self.viewing.store_hits.flush,
        }
        if wanted != "all":
            return flushes[wanted]()
        count = sum(flush() for flush in flushes.values())
        return count + self.existence.forget_all() + self.desk.flush()

    def _requests(self) -> Mapping[str, int]:
        return {f"{name}:{code}": count for (name, code), count in self.stats.requests.items()}


def parse_command(command: Any) -> str:
    """Which cache is meant, `all` where nothing is said; `BadInput`."""
    if command is None:
        return "all"
    if command not in COMMANDS:
        raise BadInput(f"command must be one of {', '.join(COMMANDS)}, not {shown(command)}")
    return str(command)
