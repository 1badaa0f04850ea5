"""What tools may see and empty of a prism's memory, by the names the original used."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from oose.address import shown
from oose.errors import BadInput
from oose.existence import Existence
from oose.purchasing import PurchaseDesk
from oose.stats import Stats
from oose.viewing import Viewing

COMMANDS = ("all", "stats", "prismHits", "storeHits")
HOTTEST = "hottest"  # which is counted, and cannot be emptied


@frozen
class PrismCaches:
    """`stats` are the request counters, `prismHits` redirects by content, `storeHits` by store.

    `hottest` is what viewers ask this prism for most often lately: how often, and for how many
    clones that calls in all.

    `all` is all of these, and what is remembered of where content is and of purchases.
    """

    stats: Stats
    viewing: Viewing
    existence: Existence
    desk: PurchaseDesk
    hottest: Callable[[], Mapping[str, Any]]

    def detail(self, command: Any) -> Mapping[str, Any]:
        """The entries, by cache."""
        wanted = parse_command(command, HOTTEST)
        entries: dict[str, Mapping[str, Any]] = {
            "stats": self._requests(),
            "prismHits": self.viewing.content_hits.entries(),
            "storeHits": self.viewing.store_hits.entries(),
            HOTTEST: self.hottest(),
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


def parse_command(command: Any, *more: str) -> str:
    """Which cache is meant, `all` where nothing is said; `BadInput`."""
    if command is None:
        return "all"
    known = (*COMMANDS, *more)
    if command not in known:
        raise BadInput(f"command must be one of {', '.join(known)}, not {shown(command)}")
    return str(command)
