"""Users, sessions and purchases that tests keep in memory."""

from collections.abc import AsyncIterator, Sequence

from attrs import define, evolve, field
from twisted.internet.defer import Deferred

from oose.errors import Unavailable
from oose.purchases import Purchase, Session, Tidied


@define
class OneUser:
    """The accounts of `anna`, whose password is `right`.

    `late`, when there is one, is awaited before each answer; where it `is_away` there is none.
    """

    asked: int = 0
    late: Deferred[None] | None = None
    is_away: bool = False

    async def verify(self, username: str, password: str) -> bool:
        self.asked += 1
        refuse(self.is_away)
        if self.late is not None:
            await self.late
        return (username, password) == ("anna", "right")


@define
class MemorySessions:
    """`late`, when there is one, is awaited by each `find` after it has looked.

    Where it `is_away`, nothing that is asked of it is answered.
    """

    kept: dict[str, Session] = field(factory=dict)
    found: int = 0
    late: Deferred[None] | None = None
    is_away: bool = False
    cannot_extend: bool = False

    async def add(self, session: Session) -> None:
        self.kept[session.digest] = session

    async def find(self, digest: str, now: int) -> Session | None:
        self.found += 1
        refuse(self.is_away)
        session = self.kept.get(digest)
        if self.late is not None:
            await self.late
        return session if session is not None and session.expires > now else None

    async def extend(self, digest: str, expires: int) -> None:
        refuse(self.cannot_extend)
        self.kept[digest] = evolve(self.kept[digest], expires=expires)

    async def remove(self, digest: str) -> bool:
        refuse(self.is_away)
        return self.kept.pop(digest, None) is not None

    async def prune(self, now: int) -> int:
        ended = [each.digest for each in self.kept.values() if each.expires <= now]
        for digest in ended:
            del self.kept[digest]
        return len(ended)


@define
class MemoryPurchases:
    """`late`, when there is one, is awaited by each `find` after it has looked.

    Where it `is_away`, nothing that is asked of it is answered. `stale` tokens are what it has
    said to somebody who looked for content's.
    """

    kept: dict[str, Purchase] = field(factory=dict)
    stale: list[str] = field(factory=list)
    found: int = 0
    late: Deferred[None] | None = None
    is_away: bool = False

    async def add(self, purchase: Purchase) -> None:
        self.kept[purchase.token] = purchase

    async def find(self, token: str) -> Purchase | None:
        self.found += 1
        refuse(self.is_away)
        purchase = self.kept.get(token)
        if self.late is not None:
            await self.late
        return purchase

    async def remove(self, token: str) -> bool:
        refuse(self.is_away)
        return self.kept.pop(token, None) is not None

    async def remove_many(self, tokens: Sequence[str]) -> int:
        return sum([await self.remove(token) for token in tokens])

    async def prune(self, before: int) -> int:
        ended = [each.token for each in self.kept.values() if each.expires < before]
        for token in ended:
            del self.kept[token]
        return len(ended)

    async def tidy(self, before: int, *, pretend: bool = False) -> Tidied:
        return Tidied(0 if pretend else await self.prune(before))

    async def each(self) -> AsyncIterator[Sequence[Purchase]]:
        if self.kept:
            yield list(self.kept.values())

    async def of(self, *hashes: str, limit: int | None = None) -> Sequence[str]:
        if self.stale:
            return self.stale
        return [each.token for each in self.kept.values() if each.hash in hashes][:limit]


def refuse(is_away: bool) -> None:
    if is_away:
        raise Unavailable("away")
