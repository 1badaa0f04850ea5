"""A prism or a store, as the cluster's database of peers has it."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import evolve, field, frozen

from oose.metadata.documents import Document

Kind = Literal["prism", "store"]


@frozen
class Peer:
    """A prism or a store as registered. Its room is in bytes, `created` in ms since 1970.

    A store takes nothing that would leave less than `min_free`.
    `active` is the administrator's word, `available` the cluster's; a peer counts only with both.
    `voted` says that it was voted down, not stopped or without its disk: those who watch it may
    bring it back. `renewed` (ms) changes while it lives and reaches the database.
    `identity` is what a store's disk carries, so that another disk is not taken for it.
    `care` is what it tells the others of how its part of all content is, by who looks after it.
    `machine` is empty where nobody knows yet: of a peer that was imported and has not started.
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
    min_free: int = 0
    identity: str | None = None
    voted: bool = False
    renewed: int = 0
    care: Mapping[str, Any] | None = field(default=None, hash=False)

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

    def with_the_words_in(self, known: "Peer") -> "Peer":
        """What it says of itself, with what it does not decide as it is `known`.

        Where it was voted down that stands, unless it says itself that it is not available.
        """
        voted = known.voted and self.available
        return evolve(
            self,
            active=known.active,
            writable=known.writable,
            voted=voted,
            available=self.available and not voted,
        )

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
                "minFree": self.min_free,
                "identity": self.identity,
            }
        if self.care is not None:
            body["care"] = self.care
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
            min_free=body.get("minFree", 0),
            identity=body.get("identity"),
            voted=body.get("voted", False),
            renewed=body.get("renewedAt", 0),
            care=body.get("care"),
        )
