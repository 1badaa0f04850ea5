"""The peers of a cluster as one process knows them: who there is, and who may be asked now.

Three write to a peer's document: the peer itself, which renews it; the administrator, whose words
are `active` and `writable`; and those who watch it, whose words are `available` with `voted`.
Each leaves the others' words alone, whoever comes first.
"""

from collections.abc import Callable, Iterable, Sequence

from attrs import evolve, frozen

from oose.errors import Conflict, NotFound
from oose.log import part
from oose.metadata.documents import Document, Documents, Stale, Write
from oose.peer import Kind, Peer

__all__ = ["Kind", "Peer", "Registry"]
_log = part("registry")


@frozen
class _Kept:
    peer: Peer
    rev: str


class Registry:
    """The peer database, and a copy of it in memory for the questions of every request.

    `edition` changes whenever it is another peer that exists or counts.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._kept: dict[str, _Kept] = {}
        self._tell: Callable[[Peer, Peer], None] = lambda before, after: None
        self.edition = 0

    def watch(self, tell: Callable[[Peer, Peer], None]) -> None:
        """Tell what others have written of a peer: as it was known, and as it is now."""
        self._tell = tell

    # What the database says.

    async def load(self) -> None:
        """Read all peers."""
        found = await self._documents.range("", "\uffff")
        for gone in self._kept.keys() - {document.id for document in found}:
            self._forget(gone)
        for document in found:
            self._read(document)

    async def apply(self, ids: Iterable[str]) -> None:
        """Read these peers again, as they have changed or are gone."""
        wanted = [each for each in ids if each.startswith(("prism:", "store:"))]
        found = await self._documents.get_many(wanted) if wanted else {}
        for each in wanted:
            if each in found:
                self._read(found[each])
            else:
                self._forget(each)

    # A peer about itself.

    async def register(self, peer: Peer) -> Peer:
        """Write a peer at its start, keeping the administrator's word and when it was made.

        What was voted before its start is over. `Conflict` when a store's name is held by another
        prism or another machine.
        """
        while True:
            self.check_name(peer)
            kept = self._kept.get(peer.id)
            if kept is not None:
                known = kept.peer
                peer = evolve(
                    peer,
                    created=known.created,
                    active=known.active,
                    writable=known.writable,
                    identity=peer.identity or known.identity,
                    care=known.care,
                )
                if peer == known:
                    return peer
            if await self._put(peer, kept.rev if kept is not None else None):
                break
        if kept is None:
            await self._check_again(peer)
        return peer

    async def update(self, peer: Peer) -> Peer:
        """Write what has changed of a peer that this process speaks for."""
        return (await self.renew([peer]))[0]

    async def renew(self, peers: Sequence[Peer]) -> Sequence[Peer]:
        """Write what has changed of several, in one request where nobody else wrote meanwhile.

        Those that were removed stay so.
        """
        told = {peer.id: peer for peer in peers}
        left = set(told)
        while left:
            writes: dict[str, Peer] = {}
            for each in sorted(left & self._kept.keys()):
                known = self._kept[each].peer
                told[each] = told[each].with_the_words_in(known)
                if told[each] != known:
                    writes[each] = told[each]
            left = await self._put_many(list(writes.values()))
        return [told[peer.id] for peer in peers]

    # Those who watch it.

    async def vote_down(self, peer_id: str) -> bool:
        """Say that a peer is not available; whether that was said now.

        One that has changed meanwhile is only read again.
        """
        kept = self._kept.get(peer_id)
        if kept is None or not kept.peer.counts:
            return False
        return await self._put(evolve(kept.peer, available=False, voted=True), kept.rev)

    async def bring_back(self, peer_id: str) -> bool:
        """The same for one that was voted down and is available again."""
        kept = self._kept.get(peer_id)
        if kept is None or not (kept.peer.active and kept.peer.voted):
            return False
        return await self._put(evolve(kept.peer, available=True, voted=False), kept.rev)

    # The administrator.

    async def activate(self, peer_id: str) -> Peer:
        """Let a peer count when it is available; `NotFound`."""
        return await self._order(peer_id, active=True)

    async def deactivate(self, peer_id: str) -> Peer:
        """Let a peer count no longer, whatever it says itself; `NotFound`."""
        return await self._order(peer_id, active=False)

    async def set_writable(self, peer_id: str, writable: bool) -> Peer:
        """Say whether a peer takes new content; `NotFound`."""
        return await self._order(peer_id, writable=writable)

    async def remove(self, peer_id: str) -> None:
        """Forget a peer for good; `NotFound`, or `Conflict` while it counts."""
        while True:
            await self.apply([peer_id])
            kept = self._known(peer_id)
            if kept.peer.counts:
                raise Conflict(f"{kept.peer.place} is in use; stop or deactivate it first")
            if not isinstance(await self._documents.delete(peer_id, kept.rev), Stale):
                return self._forget(peer_id)

    # Who there is.

    def peer(self, peer_id: str) -> Peer | None:
        """The peer of that id, whether it counts or not."""
        kept = self._kept.get(peer_id)
        return kept.peer if kept is not None else None

    def store(self, place: str) -> Peer | None:
        """The store `<prism>:<store>`, whether it counts or not."""
        return self.peer(f"store:{place}")

    def serving(self, place: str) -> Peer | None:
        """The store, when it counts and its prism does."""
        store = self.store(place)
        if store is None or not store.counts:
            return None
        prism = self.peer(f"prism:{store.prism}")
        return store if prism is None or prism.counts else None

    def peers(self) -> Sequence[Peer]:
        """All, by id."""
        return [self._kept[key].peer for key in sorted(self._kept)]

    # Writing.

    async def _put(self, peer: Peer, rev: str | None) -> bool:
        """Whether it was written; where it was not, the peer has been read again."""
        answer = await self._documents.put(peer.id, peer.to_body(), rev)
        if isinstance(answer, Stale):
            await self.apply([peer.id])
            return False
        self._keep(peer, answer)
        return True

    async def _put_many(self, peers: Sequence[Peer]) -> set[str]:
        """The ids of those that were not written, which have been read again."""
        if len(peers) == 1:
            peer = peers[0]
            return set() if await self._put(peer, self._kept[peer.id].rev) else {peer.id}
        writes = [Write(peer.id, peer.to_body(), self._kept[peer.id].rev) for peer in peers]
        answers = await self._documents.put_many(writes) if writes else []
        for peer, answer in zip(peers, answers, strict=True):
            if not isinstance(answer, Stale):
                self._keep(peer, answer)
        stale = {answer.id for answer in answers if isinstance(answer, Stale)}
        await self.apply(stale)
        return stale

    async def _order(
        self, peer_id: str, *, active: bool | None = None, writable: bool | None = None
    ) -> Peer:
        await self.apply([peer_id])
        while True:
            kept = self._known(peer_id)
            peer = evolve(
                kept.peer,
                active=kept.peer.active if active is None else active,
                writable=kept.peer.writable if writable is None else writable,
            )
            if peer == kept.peer or await self._put(peer, kept.rev):
                return peer

    def _known(self, peer_id: str) -> _Kept:
        kept = self._kept.get(peer_id)
        if kept is None:
            raise NotFound(f"There is no peer {peer_id}")
        return kept

    # Names.

    def check_name(self, peer: Peer) -> None:
        """`Conflict` when a store's name is known to be held by another prism or machine."""
        for kept in self._kept.values():
            other = kept.peer
            same_name = other.kind == peer.kind == "store" and other.name == peer.name
            if same_name and (other.id != peer.id or other.machine not in {peer.machine, ""}):
                raise Conflict(
                    f"The store name {peer.name!r} is held by {other.place} on {other.machine};"
                    " give this store another name, or remove that one"
                )

    async def _check_again(self, peer: Peer) -> None:
        """Two may have taken one name at the same moment: then neither has it."""
        written = self._kept[peer.id]
        await self.load()
        self._kept[peer.id] = written  # what was written just now may be missing
        try:
            self.check_name(peer)
        except Conflict:
            await self._documents.delete(peer.id, written.rev)
            raise

    # Keeping.

    def _read(self, document: Document) -> None:
        try:
            peer = Peer.from_document(document)
        except (KeyError, TypeError) as error:
            _log.error("The peer {id} cannot be understood: {why!r}", id=document.id, why=error)
            self._forget(document.id)
        else:
            known = self.peer(peer.id)
            self._keep(peer, document.rev)
            if known is not None and known != peer:
                self._tell(known, peer)

    def _keep(self, peer: Peer, rev: str) -> None:
        known = self.peer(peer.id)
        if known is None or (known.counts, known.voted) != (peer.counts, peer.voted):
            self.edition += 1
        self._kept[peer.id] = _Kept(peer, rev)

    def _forget(self, peer_id: str) -> None:
        if self._kept.pop(peer_id, None) is not None:
            self.edition += 1
