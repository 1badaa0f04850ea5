"""Passwords: kept as argon2id hashes, made and checked in threads of their own."""

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from oose.errors import Unavailable
from oose.pool import Pool

# The OWASP Password Storage Cheat Sheet's parameters for argon2id: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
MOST_WAITING = 32


class Passwords:
    """Hashes and verifies, at most `MOST_WAITING` at a time: more would only eat memory."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES)
        self._nobody: str | None = None
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The text to keep."""
        return await self._pool.run(self._hasher.hash, as_bytes(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; for None, nobody's hash, as slow as for somebody's."""
        if self._waiting >= MOST_WAITING:
            raise Unavailable("Too many logins at once; try again in a moment", retry_after=2)
        self._waiting += 1
        try:
            return await self._pool.run(self._verify, hashed, as_bytes(password))
        finally:
            self._waiting -= 1

    def _verify(self, hashed: str | None, password: bytes) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash(b"nobody's password")
        try:
            self._hasher.verify(self._nobody if hashed is None else hashed, password)
        except (VerificationError, ValueError):  # `ValueError`: what is kept is no hash at all
            return False
        return hashed is not None


def as_bytes(password: str) -> bytes:
    """What is hashed, also of text that UTF-8 cannot hold."""
    return password.encode("utf-8", "surrogatepass")
