"""What a process writes to its log of peers, its own among them, as others have changed them."""

from collections.abc import Collection

from attrs import frozen

from oose.log import part
from oose.peer import Peer

_log = part("peers")


@frozen
class Announcements:
    """Announces changes of peers; those of `own` (ids) are the process's own."""

    own: Collection[str]

    def tell(self, before: Peer, after: Peer) -> None:
        """Say once what somebody else has changed of a peer; nothing where it goes on as it did."""
        if after.voted and not before.voted:
            self._down(after)
        elif after.available and not before.available:
            _log.info("{who} is back", who=self._called(after))
        elif before.available and not after.available:
            _log.info("{who} has stopped, or its disk is gone", who=self._called(after))
        if after.active != before.active:
            how = "activated" if after.active else "deactivated"
            _log.info("{who} was {how} by an administrator", who=self._called(after), how=how)
        if after.writable != before.writable:
            what = "new content again" if after.writable else "nothing new"
            _log.info("{who} takes {what}", who=self._called(after), what=what)

    def _down(self, peer: Peer) -> None:
        if peer.id in self.own:
            _log.warn(
                "{who} is down (voted): others have no answer from it. Can they reach {url}?",
                who=self._called(peer),
                url=peer.url,
            )
        else:
            _log.warn("{who} is down (voted)", who=self._called(peer))

    def _called(self, peer: Peer) -> str:
        return f"{peer.id}, which is here," if peer.id in self.own else peer.id
