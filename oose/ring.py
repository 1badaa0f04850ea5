"""Who watches whom: peers stand on a ring, in the order of a hash of their ids.

Each is watched by those just before it, so what watching costs a peer does not grow with the
cluster; and as long as the cluster is small, each is watched by all others.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256

WATCHERS = 7  # of each peer, where there are so many


class Ring:
    """The peers `ids` on a ring. It may also be asked about ids that do not stand on it."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._at = sorted((position(each), each) for each in set(ids))

    def stands(self, peer_id: str) -> bool:
        """Whether it is on the ring."""
        return self._is_at(self._own(peer_id), peer_id)

    def watchers_of(self, peer_id: str) -> Sequence[str]:
        """The peers just before this one, the nearest first."""
        own = self._own(peer_id)
        return [self._at[own - steps][1] for steps in range(1, self._others(own, peer_id) + 1)]

    def watched_by(self, peer_id: str) -> Sequence[str]:
        """The peers just after this one, the nearest first; none when it is not on the ring."""
        own = self._own(peer_id)
        if not self._is_at(own, peer_id):
            return []
        count = len(self._at)
        steps = range(1, self._others(own, peer_id) + 1)
        return [self._at[(own + each) % count][1] for each in steps]

    def _own(self, peer_id: str) -> int:
        return bisect_left(self._at, (position(peer_id), peer_id))

    def _is_at(self, index: int, peer_id: str) -> bool:
        return index < len(self._at) and self._at[index][1] == peer_id

    def _others(self, own: int, peer_id: str) -> int:
        return min(WATCHERS, len(self._at) - self._is_at(own, peer_id))


@lru_cache(maxsize=65536)
def position(peer_id: str) -> bytes:
    """Where an id stands."""
    return sha256(peer_id.encode()).digest()
