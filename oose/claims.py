"""Claims on content: whose turn it is to remove clones of it, noted in its content document.

A claim is won by the write that the database took, and lost by itself after a while.
"""

from collections.abc import Mapping
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.contents import Content
from oose.errors import OoseError
from oose.log import part
from oose.metadata.documents import Document, Documents, Stale

CLAIM_LIFE = 30.0  # seconds after which a claim counts no more, its owner being dead
TRIES = 8  # at a claim that somebody else holds
PAUSE = 0.25  # seconds between them
_log = part("clones")


@frozen
class Claim:
    """A turn, until the clock says `until` (s). `content` is what else is noted of it."""

    content: Content
    by: str
    until: float

    @property
    def word(self) -> Mapping[str, Any]:
        """As the content document has it."""
        return {"by": self.by, "until": int(self.until * 1000)}


@frozen
class Claims:
    """Takes claims for `who`, this process, on the content documents."""

    documents: Documents
    clock: IReactorTime
    who: str

    async def take(self, content_hash: str) -> Claim | None:
        """The claim, won; None where somebody else keeps it for too long."""
        for _ in range(TRIES):
            claim = await self._take(content_hash)
            if claim is not None:
                return claim
            await deferLater(self.clock, PAUSE)
        return None

    async def _take(self, content_hash: str) -> Claim | None:
        until = self.clock.seconds() + CLAIM_LIFE
        claim = Claim(Content(content_hash), self.who, until)
        if await self._put(content_hash, {"claim": claim.word}, None):
            return claim
        document = await self.documents.get(content_hash)
        if document is None or not self._is_free(document):
            return None
        body = {**document.body, "claim": claim.word}
        if not await self._put(content_hash, body, document.rev):
            return None
        return Claim(Content.from_document(document), self.who, until)

    async def _put(self, content_hash: str, body: Mapping[str, Any], rev: str | None) -> bool:
        return not isinstance(await self.documents.put(content_hash, body, rev), Stale)

    def _is_free(self, document: Document) -> bool:
        claim = document.body.get("claim")
        return claim is None or claim["until"] <= self.clock.seconds() * 1000

    async def release(self, claim: Claim) -> None:
        """Let others have it; a database that is away lets it run out."""
        content_hash = claim.content.hash
        try:
            while True:
                document = await self.documents.get(content_hash)
                if document is None or document.body.get("claim") != claim.word:
                    return
                left = {key: each for key, each in document.body.items() if key != "claim"}
                if left:
                    answer = await self.documents.put(content_hash, left, document.rev)
                else:
                    answer = await self.documents.delete(content_hash, document.rev)
                if not isinstance(answer, Stale):
                    return
        except OoseError as error:
            _log.warn("The claim on {hash} runs out by itself: {why}", hash=content_hash, why=error)
