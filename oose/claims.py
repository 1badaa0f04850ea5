"""Claims on content: whose turn it is to remove clones of it, noted in its content document.

A claim is won by the write that the database took, and lost by itself after a while.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.contents import Content
from oose.errors import OoseError
from oose.log import part
from oose.metadata.documents import Document, Documents, Stale

CLAIM_LIFE = 30.0  # seconds after which a claim counts no more, its owner being dead
FAR = 3600.0  # seconds: no claim is for so long; one that says so is by a clock that is wrong
TRIES = 8  # at a claim that somebody else holds, and at giving one back that others write beside
PAUSE = 0.25  # seconds between them
_log = part("clones")


@frozen
class Claim:
    """A turn, until the clock says `until` (s). `content` is what else is noted of it.

    Its `id` tells it from any other of the same owner.
    """

    content: Content
    by: str
    until: float
    id: str = field(factory=lambda: secrets.token_hex(8))

    @property
    def word(self) -> Mapping[str, Any]:
        """As the content document has it."""
        return {"by": self.by, "until": int(self.until * 1000), "id": self.id}


@frozen
class Claims:
    """Takes claims for `who`, this process, on the content documents."""

    documents: Documents
    clock: IReactorTime
    who: str

    async def take(self, content_hash: str) -> Claim | None:
        """The claim, won; None where somebody else keeps it for too long."""
        claim = await self._take(content_hash)
        for _ in range(TRIES - 1):
            if claim is not None:
                break
            await deferLater(self.clock, PAUSE)
            claim = await self._take(content_hash)
        return claim

    async def _take(self, content_hash: str) -> Claim | None:
        claim = Claim(Content(content_hash), self.who, self.clock.seconds() + CLAIM_LIFE)
        if await self._put(content_hash, {"claim": claim.word}, None):
            return claim
        document = await self.documents.get(content_hash)
        if document is None or not self._is_free(document):
            return None
        others = unclaimed(document)
        claim = Claim(Content.from_document(others), self.who, self.clock.seconds() + CLAIM_LIFE)
        if not await self._put(content_hash, {**others.body, "claim": claim.word}, document.rev):
            return None
        return claim

    async def _put(self, content_hash: str, body: Mapping[str, Any], rev: str | None) -> bool:
        return not isinstance(await self.documents.put(content_hash, body, rev), Stale)

    def _is_free(self, document: Document) -> bool:
        """Whether nobody has a claim that counts; one that cannot be understood does not."""
        claim = document.body.get("claim")
        until = claim.get("until") if isinstance(claim, Mapping) else None
        if not isinstance(until, int | float):
            return True
        now: float = self.clock.seconds()
        return not now < until / 1000 <= now + FAR

    async def release(self, claim: Claim) -> None:
        """Let others have it, unless it is somebody else's by now.

        A database that is away, or that others write to all the time, lets it run out.
        """
        content_hash = claim.content.hash
        why: object = "others write to its document all the time"
        try:
            for _ in range(TRIES):
                if await self._release(content_hash, claim):
                    return
        except OoseError as error:
            why = error
        _log.warn("The claim on {hash} runs out by itself: {why}", hash=content_hash, why=why)

    async def _release(self, content_hash: str, claim: Claim) -> bool:
        document = await self.documents.get(content_hash)
        if document is None or document.body.get("claim") != claim.word:
            return True
        left = unclaimed(document).body
        if left:
            return await self._put(content_hash, left, document.rev)
        return not isinstance(await self.documents.delete(content_hash, document.rev), Stale)


def unclaimed(document: Document) -> Document:
    """The same without a claim."""
    body = {key: each for key, each in document.body.items() if key != "claim"}
    return Document(document.id, document.rev, body)
