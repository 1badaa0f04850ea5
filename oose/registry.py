"""The peers of a cluster as one process knows them: who there is, and who may be asked now."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import evolve, frozen

from oose.errors import Conflict
from oose.metadata.documents import Document, Documents, Stale

Kind = Literal["prism", "store"]


@frozen
class Peer:
    """A prism or a store as registered. `capacity` and `free` are bytes, `created` ms since 1970.

    `active` is the administrator's word, `available` the cluster's; a peer counts only with both.
    `voted` says that it was voted down, not stopped or without its disk: those who watch it may
    bring it back. `renewed` (ms) changes while it lives and reaches the database.
    `identity` is what a store's disk carries, so that another disk is not taken for it.
    """

    kind: Kind
    name: str
    prism: str
    host: str
    port: int
    url: str
    group: str
    machine: str
    version: str
    created: int
    writable: bool = True
    available: bool = True
    active: bool = True
    capacity: int = 0
    free: int = 0
    identity: str | None = None
    voted: bool = False
    renewed: int = 0

    @property
    def place(self) -> str:
        """`<prism>:<store>`, or a prism's name."""
        return f"{self.prism}:{self.name}" if self.kind == "store" else self.name

    @property
    def id(self) -> str:
        """The document's `_id`."""
        return f"{self.kind}:{self.place}"

    @property
    def counts(self) -> bool:
        """Whether it may be asked now."""
        return self.active and self.available

    def to_body(self) -> Mapping[str, Any]:
        """The document, without `_id` and `_rev`."""
        body: dict[str, Any] = {
            "name": self.name,
            "host": self.host,
            "port": self.port,
            "url": self.url,
            "group": self.group,
            "machine": self.machine,
            "writable": self.writable,
            "available": self.available,
            "active": self.active,
            "voted": self.voted,
            "createdAt": self.created,
            "renewedAt": self.renewed,
            "version": self.version,
        }
        if self.kind == "store":
            body |= {
                "prism": self.prism,
                "capacity": self.capacity,
                "free": self.free,
                "identity": self.identity,
            }
        return body

    @classmethod
    def from_document(cls, document: Document) -> "Peer":
        """Read a document back."""
        body = document.body
        is_store = document.id.startswith("store:")
        return cls(
            kind="store" if is_store else "prism",
            name=body["name"],
            prism=body["prism"] if is_store else body["name"],
            host=body["host"],
            port=body["port"],
            url=body["url"],
            group=body["group"],
            machine=body["machine"],
            version=body["version"],
            created=body["createdAt"],
            writable=body["writable"],
            available=body["available"],
            active=body["active"],
            capacity=body.get("capacity", 0),
            free=body.get("free", 0),
            identity=body.get("identity"),
            voted=body.get("voted", False),
            renewed=body.get("renewedAt", 0),
        )


class Registry:
    """The peer database, and a copy of it in memory for the questions of every request."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._peers: dict[str, Peer] = {}

    async def load(self) -> None:
        """Read all peers."""
        found = await self._documents.range("", "\uffff")
        self._peers = {document.id: Peer.from_document(document) for document in found}

    async def register(self, peer: Peer) -> Peer:
        """Write a peer at its start, keeping the administrator's word and when it was made.

        `Conflict` when a store's name is held by another prism or another machine.
        """
        for other in self._peers.values():
            same_name = other.kind == peer.kind == "store" and other.name == peer.name
            if same_name and (other.id != peer.id or other.machine != peer.machine):
                raise Conflict(
                    f"The store name {peer.name!r} is held by {other.place} on {other.machine};"
                    " give this store another name, or remove that one"
                )
        known = self._peers.get(peer.id)
        if known is not None:
            peer = evolve(
                peer,
                created=known.created,
                active=known.active,
                writable=known.writable,
                identity=peer.identity or known.identity,
            )
        return await self.update(peer)

    async def update(self, peer: Peer) -> Peer:
        """Write what has changed of a peer that this process speaks for."""
        if self._peers.get(peer.id) == peer:
            return peer
        while True:
            current = await self._documents.get(peer.id)
            if current is not None:
                word = current.body
                peer = evolve(peer, active=word["active"], writable=word["writable"])
            rev = current.rev if current is not None else None
            if not isinstance(await self._documents.put(peer.id, peer.to_body(), rev), Stale):
                break
        self._peers[peer.id] = peer
        return peer

    def store(self, place: str) -> Peer | None:
        """The store `<prism>:<store>`, whether it counts or not."""
        return self._peers.get(f"store:{place}")

    def serving(self, place: str) -> Peer | None:
        """The store, when it counts and its prism does."""
        store = self._peers.get(f"store:{place}")
        if store is None or not store.counts:
            return None
        prism = self._peers.get(f"prism:{store.prism}")
        return store if prism is None or prism.counts else None

    def peers(self) -> Sequence[Peer]:
        """All, by id."""
        return [self._peers[key] for key in sorted(self._peers)]
