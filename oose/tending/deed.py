"""What can be done to one content, and what came of it."""

from collections.abc import Sequence
from typing import Literal, Protocol

from attrs import frozen

from oose.tending.picking import Picked

Note = Literal["protected", "waiting", "demand", "later"]


@frozen
class Outcome:
    """What was done to one content, or would be: clones made, removed and verified, `bytes` sent.

    One is made on the store `onto`, or removed from the store `off`, where that is known. `note`
    says why it is not otherwise, and that is as it should be: it is protected, a store that is away
    is waited for, viewers ask for it, repair does it later. `why` says what went wrong.
    """

    made: int = 0
    removed: int = 0
    verified: int = 0
    bytes: int = 0
    onto: str | None = None
    off: str | None = None
    note: Note | None = None
    why: str | None = None

    @property
    def is_work(self) -> bool:
        """Whether anything is done at all."""
        return bool(self.made or self.removed or self.verified)


NOTHING = Outcome()


class Deed(Protocol):
    """Is done to each content of many."""

    async def begin(self, block: Sequence[Picked]) -> Sequence[Picked]:
        """What is done for some contents together, before each; as they are then.

        An `OoseError` ends all of it: no other content would fare better.
        """
        ...

    def foresee(self, picked: Picked) -> Outcome:
        """What would be done."""
        ...

    async def do(self, picked: Picked) -> Outcome:
        """Do it; an `OoseError` is about this content."""
        ...
