"""Counters for `/stats`: numbers only, bounded in number, nothing that names a user or a token."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

Source = Callable[[], Mapping[str, Any]]


@define
class Stats:
    """What one prism or store has done since its start (`started`, seconds)."""

    started: float
    version: str
    requests: Counter[tuple[str, int]] = field(factory=Counter)
    sources: dict[str, Source] = field(factory=dict)

    def count(self, endpoint: str, status: int) -> None:
        """An answered request. Endpoints and statuses are few, whatever clients send."""
        self.requests[endpoint, status] += 1

    def tree(self, now: float) -> Mapping[str, Any]:
        """All of it; `uptime` in seconds."""
        requests: dict[str, dict[str, int]] = {}
        for (endpoint, status), count in sorted(self.requests.items()):
            requests.setdefault(endpoint, {})[str(status)] = count
        return {
            "version": self.version,
            "uptime": round(now - self.started, 3),
            "requests": requests,
            **{name: source() for name, source in self.sources.items()},
        }

    def flush(self) -> int:
        """Begin to count anew; how many counters there were."""
        count = len(self.requests)
        self.requests.clear()
        return count


class Hits:
    """How often what was asked for, the `most` last used of it."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._hits: OrderedDict[str, int] = OrderedDict()

    def count(self, key: str) -> None:
        """One more."""
        self._hits[key] = self._hits.pop(key, 0) + 1
        if len(self._hits) > self._most:
            self._hits.popitem(last=False)

    def entries(self) -> Mapping[str, int]:
        """All, by key."""
        return dict(self._hits)

    def flush(self) -> int:
        """Forget them; how many there were."""
        count = len(self._hits)
        self._hits.clear()
        return count
