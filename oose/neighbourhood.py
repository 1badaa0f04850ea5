"""Whom the peers of one process watch, and who watches these with them."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import frozen

from oose.peer import Peer
from oose.ring import Ring


@frozen
class Neighbourhood:
    """The watched by id: `up` are those that count, `down` those that were voted down.

    The values are those of our own peers that watch them. `watchers` are all that watch each, by
    its id. Only those watch that count themselves; or those that were voted down, where nobody is
    left that counts. `everybody` are all of these.
    """

    own: Sequence[str] = ()
    up: Mapping[str, Sequence[str]] = {}
    down: Mapping[str, Sequence[str]] = {}
    watchers: Mapping[str, Sequence[str]] = {}
    everybody: Collection[str] = ()

    def voters(self, peer_id: str) -> Sequence[str]:
        """Those of our own that watch it."""
        return self.up.get(peer_id) or self.down.get(peer_id, ())

    def watches(self, peer_id: str) -> bool:
        """Whether any of our own watches it."""
        return peer_id in self.watchers


def neighbourhood(own: Collection[str], peers: Iterable[Peer]) -> Neighbourhood:
    """What `own` see of a cluster of `peers`; one process does not watch itself."""
    known = list(peers)
    voted = {peer.id for peer in known if peer.active and peer.voted}
    ring = Ring([peer.id for peer in known if peer.counts] or voted)
    watching = [each for each in own if ring.stands(each)]
    up: dict[str, list[str]] = {}
    for each in watching:
        for target in ring.watched_by(each):
            if target not in own and target not in voted:
                up.setdefault(target, []).append(each)
    watchers = {target: ring.watchers_of(target) for target in up}
    down: dict[str, list[str]] = {}
    for target in sorted(voted.difference(own)) if watching else ():
        all_of_them = ring.watchers_of(target)
        ours = [each for each in watching if each in all_of_them]
        if ours:
            down[target] = ours
            watchers[target] = all_of_them
    everybody = set(watchers).union(*watchers.values())
    return Neighbourhood(watching, up, down, watchers, everybody)
