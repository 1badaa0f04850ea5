"""User accounts: the interface to whoever keeps them."""

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen


@frozen
class Account:
    """One user as listed: times are milliseconds since 1970. The password is never read out."""

    username: str
    enabled: bool
    created: int


class Accounts(Protocol):
    """Where accounts are kept."""

    async def verify(self, username: str, password: str) -> bool:
        """Whether this is an enabled user's password. As slow for an unknown user as for one."""
        ...


class ManagedAccounts(Accounts, Protocol):
    """Accounts that oose keeps itself, and so can change."""

    async def add(self, username: str, password: str, now: int) -> None:
        """Make a user; `Conflict` where the name is taken, `BadInput` for a bad one."""
        ...

    async def list(self) -> Sequence[Account]:
        """All users by name."""
        ...

    async def set_password(self, username: str, password: str) -> None:
        """Change it and end the user's sessions; `NotFound` for an unknown user."""
        ...

    async def set_enabled(self, username: str, *, enabled: bool) -> None:
        """Let in or shut out, ending sessions when shut out; `NotFound` for an unknown user."""
        ...

    async def remove(self, username: str) -> None:
        """Remove the user and end their sessions; `NotFound` for an unknown user."""
        ...
