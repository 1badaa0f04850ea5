"""What people are told of repair: one prism's part, and that of all prisms together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define

from oose.registry import Registry
from oose.repairing.shares import CARE

SHARES = ("contents", "bytes", "lost", "stuck", "unverified", "surplus")
WORK = ("tasks", "toDo", "rate", "repaired", "repairedBytes", "removed", "failed", "unseen")


@define(eq=False)
class Work:
    """What was done since the start, and how fast: `rate` is of the time since work began."""

    repaired: int = 0
    repaired_bytes: int = 0
    removed: int = 0
    _began: float | None = None
    _bytes: int = 0
    _rate: float = 0.0

    def begin(self, now: float) -> None:
        """There is something to be done, at `now` (s)."""
        if self._began is None:
            self._began, self._bytes = now, 0

    def end(self) -> None:
        """There is nothing more."""
        self._began = None

    def done(self, added: int, removed: int, size: int, now: float) -> None:
        """So many clones were made and removed, and `size` bytes sent."""
        self.repaired += added
        self.repaired_bytes += size
        self.removed += removed
        self._bytes += size
        if self._began is not None and now > self._began:
            self._rate = self._bytes / (now - self._began)

    @property
    def rate(self) -> float:
        """Bytes a second, of what was done last."""
        return self._rate

    def seconds_left(self, to_do: int) -> int | None:
        """How long so many bytes will take; None while nothing is known of that."""
        if not to_do:
            return 0
        return round(to_do / self._rate) if self._rate else None


def of_all(registry: Registry, own: str, mine: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The parts of all prisms that count together; `mine` is what the prism `own` says now.

    The time left is that of the slowest, and `lookedAt` (ms) that of who looked longest ago; None
    where that is not known of each. `hinted`: something has changed since for one of them.
    """
    parts: list[Mapping[str, Any]] = [] if mine is None else [mine]
    for peer in registry.peers():
        if peer.kind == "prism" and peer.counts and peer.name != own:
            part = (peer.care or {}).get(CARE)
            if isinstance(part, Mapping):
                parts.append(part)
    endangered: Counter[str] = Counter()
    for part in parts:
        endangered.update(_counts(part.get("endangered")))
    return {
        "prisms": len(parts),
        **{key: sum(_number(part.get(key)) for part in parts) for key in (*SHARES, *WORK)},
        "endangered": {key: endangered[key] for key in sorted(endangered, key=int)},
        "secondsLeft": _known(max, [part.get("secondsLeft") for part in parts]),
        "lookedAt": _known(min, [part.get("lookedAt") for part in parts]),
        "hinted": any(part.get("hinted") is True for part in parts),
    }


def _counts(value: object) -> dict[str, int]:
    found = value if isinstance(value, Mapping) else {}
    return {key: _number(n) for key, n in found.items() if str(key).isdigit()}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _known(pick: Any, values: Sequence[object]) -> int | None:
    """The least or the most of them; None where one is not known, or there are none."""
    known = [each for each in values if isinstance(each, int)]
    return pick(known) if known and len(known) == len(values) else None
