"""Purchases and sessions: what opens content to a viewer, and the prism to a user.

Interfaces that Redis and the embedded database both meet. Times are milliseconds since 1970;
`now` comes in as an argument, so nothing here needs a clock.
"""

import hashlib
import secrets
import string
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from attrs import frozen

TOKEN_LENGTH = 64
TOKEN_LETTERS = string.ascii_letters + string.digits


def new_token() -> str:
    """A fresh token: 64 characters of A-Z a-z 0-9 from the system's random source."""
    return "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))


def token_digest(token: str) -> str:
    """The form in which a session's token is stored: its sha256 in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


@frozen
class Purchase:
    """The right to fetch `hash` under `token` until `expires` (ms), from pages of `referrers`."""

    token: str
    hash: str
    ext: str
    referrers: tuple[str, ...]
    life: int
    expires: int


@frozen
class Tidied:
    """What was forgotten: long `expired` purchases, and `broken` ones, which nobody can use.

    `unending` are those that would have stayed after their end, and do no longer.
    """

    expired: int = 0
    broken: int = 0
    unending: int = 0

    def __add__(self, other: "Tidied") -> "Tidied":
        """Both together."""
        return Tidied(
            self.expired + other.expired,
            self.broken + other.broken,
            self.unending + other.unending,
        )


@frozen
class Session:
    """A login: who, from which address, when it was made (ms), and when it ends if unused (ms)."""

    digest: str
    username: str
    ip: str
    created: int
    expires: int


class Purchases(Protocol):
    """Where purchases are kept."""

    async def add(self, purchase: Purchase) -> None:
        """Keep it durably."""
        ...

    async def find(self, token: str) -> Purchase | None:
        """The purchase, expired or not, or None."""
        ...

    async def remove(self, token: str) -> bool:
        """Forget it; whether there was one."""
        ...

    async def remove_many(self, tokens: Sequence[str]) -> int:
        """Forget all of them; how many there were."""
        ...

    async def prune(self, before: int) -> int:
        """Forget those that expired before the time `before` (ms); how many."""
        ...

    async def tidy(self, before: int, *, pretend: bool = False) -> Tidied:
        """Look at all there is, and forget what `prune` does and what no purchase can be.

        With `pretend` only count.
        """
        ...

    def each(self) -> AsyncIterator[Sequence[Purchase]]:
        """All purchases, expired or not, in pages of at most 1000.

        What comes or goes meanwhile may be among them or not, and one may come twice.
        """
        ...

    async def of(self, *hashes: str, limit: int | None = None) -> Sequence[str]:
        """The tokens of purchases of this content, each once and at most `limit`.

        Those sold meanwhile may be missing.
        """
        ...


class Sessions(Protocol):
    """Where sessions are kept, by the digest of their token only."""

    async def add(self, session: Session) -> None:
        """Keep it durably."""
        ...

    async def find(self, digest: str, now: int) -> Session | None:
        """The session, or None: unknown, ended, or its user removed or disabled meanwhile."""
        ...

    async def extend(self, digest: str, expires: int) -> None:
        """Let it end at `expires` (ms) instead; nothing where it is gone."""
        ...

    async def remove(self, digest: str) -> bool:
        """End it; whether there was one."""
        ...

    async def prune(self, now: int) -> int:
        """Forget those that have ended; how many."""
        ...


class Endings(Protocol):
    """Word of purchases removed and sessions logged out, wherever in the cluster that was done.

    What a process remembers of them counts only while this is connected, and only in the era in
    which it was read.
    """

    @property
    def is_connected(self) -> bool:
        """Whether every ending is heard of now, soon enough."""
        ...

    @property
    def era(self) -> int:
        """Another number whenever an ending may have been missed."""
        ...

    def on_purchase(self, ended: Callable[[str], None]) -> None:
        """Call `ended` with the token of each purchase that is removed."""
        ...

    def on_session(self, ended: Callable[[str], None]) -> None:
        """Call `ended` with the digest of each session that is logged out."""
        ...


class OneProcess:
    """The `Endings` of a process that shares its database with none: it ends all there is."""

    is_connected = True
    era = 0

    def on_purchase(self, ended: Callable[[str], None]) -> None:
        """Nothing that it does not know already."""

    def on_session(self, ended: Callable[[str], None]) -> None:
        """Nothing that it does not know already."""
