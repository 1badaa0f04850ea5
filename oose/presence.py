"""Who keeps renewing their document, judged by when a change was seen here.

The clocks of other machines say nothing: what they write only has to change.
"""

from collections.abc import Mapping

from attrs import frozen


@frozen
class _Seen:
    renewed: int
    at: float
    watched: float


class Presence:
    """Remembers when each peer's renewal was seen. Who is seen first counts as renewed just now.

    Times are seconds of a clock that is never set. Of those between two looks no more count than
    `step`: a process that was frozen has seen nobody in the meantime.
    """

    def __init__(self, life: float, step: float) -> None:
        self._life = life
        self._step = step
        self._looked = 0.0
        self._watched = 0.0
        self._seen: dict[str, _Seen] = {}

    def look(self, renewed: Mapping[str, int], now: float) -> None:
        """Look at what these peers (ids) have written, and forget all others."""
        self._watched += min(now - self._looked, self._step)
        self._looked = now
        seen: dict[str, _Seen] = {}
        for peer_id, mark in renewed.items():
            known = self._seen.get(peer_id)
            if known is None or known.renewed != mark:
                known = _Seen(mark, now, self._watched)
            seen[peer_id] = known
        self._seen = seen

    def is_fresh(self, peer_id: str) -> bool:
        """Whether it was renewed within the last `life` seconds that were looked at."""
        known = self._seen.get(peer_id)
        return known is not None and self._watched - known.watched <= self._life

    def renewed_at(self, peer_id: str) -> float:
        """When its last renewal was seen; long ago where none was."""
        known = self._seen.get(peer_id)
        return known.at if known is not None else float("-inf")

    def forget(self) -> None:
        """Begin anew: nobody could be seen for a while."""
        self._seen.clear()
